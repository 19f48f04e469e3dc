"""The linear probe: where the network is cut, what is computed once, and what comes of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn import data
from kerascnn.applications import DSN, FitNet1, Plain20, cifar_resnet
from kerascnn.cli.tables import plan_table
from kerascnn.console import output
from kerascnn.evaluation.keras_models import load_keras
from kerascnn.training import (
    FineTuning,
    GradualUnfreezing,
    Recipe,
    RunConfig,
    RunFolder,
    compile_for,
    finetune,
    linear_probe,
    resolved,
    resume,
    train,
)
from kerascnn.training.assembly import assemble
from kerascnn.training.fine_tuning import features as feature_files, probe as probe_files
from kerascnn.training.fine_tuning.gradual_unfreezing import PlanRow
from kerascnn.training.fine_tuning.pretrained import resolve_pretrained, with_weights
from support.messages import mentioning, names, refused

SIZE = 16
SETTINGS = [f"image_size={SIZE}", "precision=float32", "batch_size=8", "pixels.mean=middle", "pixels.std=64"]
SETTINGS.append("augmentation={}")


def colored(seed: int, count: int, classes: int = 2):
    """Images of noise, redder from class to class, and their classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = rng.integers(0, 120, (count, SIZE, SIZE, 3))
    images[..., 0] += (100 * labels // (classes - 1))[:, None, None]
    return images.astype(np.uint8), labels


@pytest.fixture(scope="module")
def red():
    return data.from_arrays(*colored(0, 40), validation=colored(1, 16), class_names=("gray", "red"))


@pytest.fixture(scope="module")
def blind(tmp_path_factory):
    """The weights of a Plain20 of two convolutions a stage, whose last stage lets nothing through."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(cifar_resnet.BLOCKS_OF_DEPTH, 20, 1)
        keras.utils.set_random_seed(0)
        model = Plain20(input_shape=(SIZE, SIZE, 3), classes=3)
        model.get_layer("conv4_1_2_bn").gamma.assign(np.zeros(64))
        file = tmp_path_factory.mktemp("blind") / "blind.weights.h5"
        model.save_weights(file)
        yield file


@pytest.fixture(scope="module")
def recipe(blind):
    return with_weights(Recipe.load("probe").with_settings(SETTINGS), str(blind), "plain20")


@pytest.fixture(scope="module")
def probed(recipe, red, tmp_path_factory):
    return train(recipe, red, runs=tmp_path_factory.mktemp("probe"), run_config=RunConfig(best=0), verbose=0)


def test_a_probe_is_a_run(probed, red):
    """Cut below the stage that lets nothing through, it knows the images without a step."""
    [row] = probed.folder.history()
    assert row["top1"] == row["val_top1"] == 1
    assert 0 < row["loss"] < 0.1
    assert row["seconds"] > 0
    assert row["images_per_second"] > 0
    # Of places that are as accurate, the one with the least loss; not one above the fifth convolution.
    place = probed.recipe.fine_tuning.cut
    assert place in [stage.place for stage in linear_probe(probed.recipe, red).stages[:6]]
    assert probed.model.get_layer("predictions").kernel.shape == (2 * probed.model.get_layer(place).output.shape[-1], 2)
    assert probed.model.optimizer.iterations == 0
    stored, *_, facts = probed.folder.read_recipe()
    assert stored == probed.recipe
    assert facts["probe"]["cut"] == place
    assert list((probed.folder.path / "train").glob("events*"))
    images, labels = colored(1, 16)
    model = load_keras(probed.folder.model_file)
    assert (model.predict(images.astype(np.float32), verbose=0).argmax(axis=1) == labels).all()


def test_the_table_has_a_row_per_place(probed, red):
    probe = linear_probe(probed.recipe, red)
    *cuts, whole = probe.stages
    assert [(stage.place, stage.stage, stage.width) for stage in cuts] == [
        ("conv1_relu", "C0", 32), ("conv2_1_1_relu", "C0", 32), ("conv2_1_2_relu", "C0", 32),
        ("conv3_1_1_relu", "C1", 64), ("conv3_1_2_relu", "C1", 64), ("conv4_1_1_relu", "C2", 128),
        ("conv4_1_2_relu", "C2", 128),
    ]  # fmt: skip
    assert (whole.place, whole.stage, whole.width) == ("none", "C2", 64)
    assert probe.chosen.accuracy == max(stage.accuracy for stage in probe.stages) == 1
    # The whole network guesses; its standard error is that of a share of 40 images.
    assert whole.accuracy <= 0.6
    assert whole.standard_error == pytest.approx(np.sqrt(whole.accuracy * (1 - whole.accuracy) / 40))
    for one, other in zip(probe.stages[:-1], probe.stages[1:], strict=True):
        assert one.milliseconds <= other.milliseconds
        assert one.megabytes < other.megabytes or other is whole
    # conv1 with its normalization, two classes and the pixels' mean: 16 x 27 + 4 x 16 + 33 x 2 + 1 numbers.
    assert probe.stages[0].megabytes == pytest.approx(4 * 563 / 1e6)
    assert json.loads(json.dumps(probe.to_dict()))["stages"][-1]["place"] == "none"


def test_features_are_computed_once(recipe, red, probed, monkeypatch, tmp_path):
    """Of another seed, another cut and a fine-tuning, the features are the same; of other images, they are not."""
    monkeypatch.setattr(feature_files, "compute_features", None)
    for settings in (["seed=1"], ["fine_tuning.cut=C0"], ["fine_tuning.cut=conv2_1_1"], ["fine_tuning.cut=none"]):
        changed = recipe.with_settings(settings)
        assert linear_probe(resolved(changed, red), red).images_per_second > 0
    with pytest.raises(TypeError):
        resolved(recipe, replace(red, training=red.training.take(range(38))))
    with pytest.raises(TypeError):
        resolved(recipe.with_settings(["pixels.std=65"]), red)


def test_other_code_makes_other_features(recipe, red, tmp_path, monkeypatch):
    """The package's version says nothing of a checkout, so the code itself is part of the key."""
    code = tmp_path / "views.py"
    code.write_text("a = 1")
    weights, wanted = tmp_path / "weights", resolved(recipe, red)
    weights.write_bytes(b"0")
    monkeypatch.setattr(feature_files, "CODE", {tmp_path: "*.py"})
    keys = []
    for text in ("a = 1", "a = 2", "a = 1"):
        code.write_text(text)
        feature_files.code_digest.cache_clear()
        keys.append(feature_files.features_key(wanted, weights, red.training))
    feature_files.code_digest.cache_clear()
    assert keys[0] == keys[2] != keys[1]
    monkeypatch.undo()
    assert any(
        path.name == "decode.py" for folder, pattern in feature_files.CODE.items() for path in folder.glob(pattern)
    )


def test_images_that_are_held_out_choose_no_place(recipe, red, monkeypatch, tmp_path):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path))
    counts = {"cross_validated": [], "fit_head": []}
    for name, seen in counts.items():
        found = getattr(probe_files, name)
        monkeypatch.setattr(
            probe_files,
            name,
            lambda one, *more, seen=seen, found=found: seen.append(len(one.labels)) or found(one, *more),
        )
    resolved(recipe.with_settings(["fine_tuning.hold_out=0.25", "epochs=3"]), red)
    assert set(counts["cross_validated"]) == {30} and counts["fit_head"] == [40]


def test_a_damaged_cache_is_computed_again(recipe, red, monkeypatch, tmp_path):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path))
    wanted = resolved(recipe, red)
    before = linear_probe(wanted, red)
    files = sorted((tmp_path / "features").iterdir())
    assert [file.suffix for file in files].count(".npz") == 2 and len(files) == 3
    for file in files:
        file.write_bytes(file.read_bytes()[:100])
    after = linear_probe(wanted, red)
    assert (after.chosen.place, after.chosen.accuracy) == (before.chosen.place, before.chosen.accuracy)
    np.testing.assert_array_equal(after.predicted, before.predicted)


@pytest.mark.slow
def test_a_cut_network_trains_on_and_is_resumed(probed, red, tmp_path):
    """Its run is as good a source of weights as any; a run without a checkpoint begins with its probe again."""
    tuning = ["epochs=2", "fine_tuning.head_epochs=1", "fine_tuning.hold_out=0", *SETTINGS[1:3]]
    recipe = Recipe.load("finetune").with_settings(tuning)
    run = finetune(probed.folder.path, red, recipe=recipe, runs=tmp_path, run_config=RunConfig(best=0), verbose=0)
    assert run.recipe.fine_tuning.cut == probed.recipe.fine_tuning.cut
    assert [row["val_top1"] for row in run.folder.history()] == [1, 1]
    # Five steps of 40 images, in the second epoch alone.
    assert run.model.optimizer.iterations == 5
    for checkpoint in run.folder.checkpoints.glob("epoch-0002*"):
        checkpoint.unlink()
    again = resume(RunFolder.open(run.folder.path), run.recipe, red, verbose=0)
    for ours, theirs in zip(again.model.weights, run.model.weights, strict=True):
        np.testing.assert_array_equal(*map(np.asarray, (ours, theirs)))


def test_weights_of_labels_and_of_classes(recipe, blind):
    """Multi-label data have a sigmoid each; with balanced weights a rare class is as probable as the other."""
    images, labels = colored(0, 60, 3)
    tags = np.stack([labels > 0, labels > 1, labels < 0], axis=1).astype(np.uint8)
    with pytest.warns(UserWarning, match="multi-label"):
        made = data.from_arrays(images, tags[:, :2], validation=(images, tags[:, :2]), class_names=("red", "very red"))
    wanted = resolved(recipe, made)
    probe = linear_probe(wanted, made)
    assert probe.chosen.accuracy > 0.99
    assert ((probe.predicted > 0.5) == tags[:, :2]).mean() > 0.98
    images, labels = images[labels < 2], labels[labels < 2]
    few = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:5]])
    rare = data.from_arrays(images[few], labels[few], validation=(images, labels))
    for setting, mean in (("class_weights=none", 0.2), ("class_weights=balanced", 0.5), ("sampling=balanced", 0.5)):
        cut = resolved(recipe.with_settings([setting, "fine_tuning.cut=none"]), rare)
        # From the whole network, which sees nothing, come the shares of the classes.
        assert linear_probe(cut, rare).predicted[:, 1].mean() == pytest.approx(mean, abs=0.03)


@pytest.mark.slow
def test_a_network_that_ends_in_a_convolution_is_probed_below_it(red, tmp_path):
    file = tmp_path / "dsn.weights.h5"
    keras.utils.set_random_seed(0)
    DSN(input_shape=(SIZE, SIZE, 3), classes=3).save_weights(file)
    recipe = with_weights(Recipe.load("probe").with_settings(SETTINGS), str(file), "dsn")
    run = train(recipe, red, runs=tmp_path, run_config=RunConfig(best=0), verbose=0)
    places = [stage.place for stage in linear_probe(run.recipe, red).stages]
    assert run.recipe.fine_tuning.cut in places and places[-1] == "cccp5_relu"
    assert run.folder.history()[0]["val_top1"] == 1
    with mentioning(ValueError, "dsn", "convolution", "fine_tuning.cut"):
        linear_probe(resolved(recipe.with_settings(["fine_tuning.cut=none"]), red), red)


@pytest.mark.slow
def test_weights_without_the_dense_layers_end_at_the_last_map(red, tmp_path):
    """As those of keras.applications without a top; they fit images of another size too."""
    file = tmp_path / "fitnet.weights.h5"
    keras.utils.set_random_seed(0)
    FitNet1(include_top=False).save_weights(file)
    recipe = with_weights(Recipe.load("probe").with_settings(SETTINGS), str(file), "fitnet1")
    whole = recipe.with_settings(["fine_tuning.cut=none", "image_size=20"])
    run = train(whole, red, runs=tmp_path, run_config=RunConfig(best=0), verbose=0)
    assert run.recipe.fine_tuning.cut == linear_probe(run.recipe, red).stages[-1].place == "conv9"
    # A run that is cut is not given a row for its end twice.
    again = resolved(with_weights(Recipe.load("probe").with_settings(SETTINGS), str(run.folder.path)), red)
    assert [stage.place for stage in linear_probe(again, red).stages][-1] == "conv9"


def test_public_weights_without_the_dense_layers(tmp_path, monkeypatch):
    """The smaller file is downloaded, whose network is cut; of a residual network all but the classifier is there."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    recipes = [Recipe.load("finetune").with_values(model=name) for name in ("vgg16", "resnet50")]
    found = [resolve_pretrained(with_weights(recipe, "imagenet")) for recipe in recipes]
    assert [one.cut for one in found] == ["conv5_3_relu", "none"]
    assert not any(one.source.public.include_top for one in found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("photos") / "photos"
    for number, (image, label) in enumerate(zip(*colored(2, 40), strict=True)):
        (place / f"class{label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"class{label}" / f"{number}.png")
    return place


@pytest.mark.slow
def test_the_command(command, folder, blind, tmp_path):
    """A cut network is exported smaller; the table, on standard error or as JSON, says how accurate it is."""
    asked = ["train", "--data", folder, "--model", "plain20", "--weights", blind, "--recipe", "probe"]
    asked += [f"--set={setting}" for setting in SETTINGS]
    whole = command(*asked, "--cut", "none", "--out", tmp_path / "whole")
    assert whole.status == 0, whole.err
    names(whole.err, "none *", "conv2_1_2_relu", "ms/image", "MB", "cross-validated", "images/s")
    cut = command(*asked, "--cut", "C0", "--json", "--out", tmp_path / "cut")
    assert cut.status == 0, cut.err
    [probe] = [line for line in map(json.loads, cut.out.splitlines()) if line["event"] == "probe"]
    assert probe["cut"] == "conv2_1_2_relu"
    sizes = [next((tmp_path / name).rglob("*.tflite")).stat().st_size for name in ("cut", "whole")]
    assert sizes[0] < sizes[1] / 2
    # A recipe without a probe prints no table.
    plain = ["--recipe", "resnet_small", "--cut", "auto", "--epochs", 1, "--out", tmp_path / "plain"]
    names(command(*asked, *plain).err, "cut at conv", "the most accurate", "choose with --cut")


def test_mistakes(command, folder, blind, recipe, red, tmp_path):
    asked = ["train", "--data", folder, "--recipe", "probe"]
    refused(command(*asked), "--weights", "imagenet")
    refused(command("train", "--data", folder, "--model", "plain20", "--cut", "auto"), "weights")
    # Before anything is done, so that the data are not even looked for.
    tuned = ["train", "--data", tmp_path / "none", "--model", "plain20", "--weights", blind, "--workers", "2"]
    refused(command(*tuned), "one device", "2", "fine_tuning.hold_out=0")
    with mentioning(ValueError, "C9", "conv4_1_2_relu"):
        train(recipe.with_settings(["fine_tuning.cut=C9"]), red, verbose=0)
    with mentioning(ValueError, "--weights", "imagenet"):
        train(Recipe.load("resnet_small").with_settings([*SETTINGS, "fine_tuning.cut=auto"]), red, verbose=0)


def test_features_that_do_not_fit(recipe, red, monkeypatch):
    monkeypatch.setattr(feature_files, "memory_for_images", lambda: 10_000)
    with mentioning(ValueError, "40 images", "limit"):
        resolved(recipe.with_settings(["pixels.std=30"]), red)


def test_too_few_images_to_hold_any_out(recipe, red):
    """Then the whole network is kept."""
    two = replace(red, training=red.training.take(range(2)))
    assert linear_probe(resolved(recipe, two), two).chosen.place == "none"


def test_no_gradient_is_computed_below_the_lowest_trainable_stage(recipe, red):
    """Of seven convolutions, two a stage after the first: kernels in the stage, and images above its first layer."""
    tuning = FineTuning(recipe.fine_tuning.weights, head_epochs=1, stage_epochs=1, freeze_batch_norm=True)
    wanted = resolved(replace(recipe, fine_tuning=tuning, epochs=4), red)
    model = assemble(wanted, red)
    compile_for(model, wanted, steps_per_epoch=5)
    unfreezing = GradualUnfreezing(tuning)
    unfreezing.set_model(model)
    unfreezing.on_train_begin()
    batch = np.zeros((2, SIZE, SIZE, 3), np.float32), np.eye(2, dtype=np.float32)
    for epoch, (kernels, inputs) in enumerate([(0, 0), (2, 1), (4, 3), (7, 6)]):
        unfreezing.on_epoch_begin(epoch)
        counts = computed(tf.function(model.train_step).get_concrete_function(batch).graph)
        assert (counts["Conv2DBackpropFilter"], counts["Conv2DBackpropInput"]) == (kernels, inputs)


def computed(graph):
    """The types of the operations that a function's results and effects need; TensorFlow leaves out the others."""
    waiting, needed = [*(tensor.op for tensor in graph.outputs), *graph.control_outputs], set()
    while waiting:
        operation = waiting.pop()
        if operation not in needed:
            needed.add(operation)
            waiting += [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
    return Counter(operation.type for operation in needed)


def test_stages_that_a_short_training_never_reaches_are_marked(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    rows = [PlanRow(f"C{stage}", "a", "b", 2, 100, 0, epoch, 1.0) for stage, epoch in ((5, 1), (4, 2), (3, 6))]
    console = output()
    with console.capture() as captured:
        console.print(plan_table(rows, epochs=2))
    marks = [line.split()[-3] for line in captured.get().splitlines() if line.strip().startswith("C")]
    assert marks == ["1", "2", "never"]
    assert "--epochs 6" in captured.get()
