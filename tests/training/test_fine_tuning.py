"""Fine-tuning: which weights are loaded, how pixels are scaled, and whether it helps."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import ResNet20, ResNet32, cifar_resnet
from kerascnn.export.inference_network import deployable
from kerascnn.training import Recipe, RunConfig, RunFolder, finetune, resolved, train
from kerascnn.training.assembly import assemble, build
from kerascnn.training.fine_tuning.pretrained import find_weights, resolve_pretrained, with_weights
from support.messages import mentioning, names


def of_classes(data, wanted, training=None):
    """The images of some classes of the digits, and of those for training at most so many."""
    splits = []
    for examples in (data.training, data.validation):
        kept = examples.take(np.flatnonzero(np.isin(examples.labels, wanted)))
        splits.append(replace(kept, labels=np.searchsorted(wanted, kept.labels)))
    few = splits[0].take(np.arange(training or len(splits[0])))
    return replace(data, class_names=tuple(map(str, wanted)), training=few, validation=splits[1])


# Images of 16 x 16 pixels, in which the digits of 8 x 8 are as well to be seen.
SETTINGS = ["image_size=16", "precision=float32", "batch_size=16", "augmentation={}"]


@pytest.mark.slow
def test_fine_tuning_is_better_and_faster_than_training_from_scratch(digits, tmp_path, monkeypatch):
    """What a ResNet-20, of one block a stage, learnt from the digits 0 to 4 helps with 40 images of the others."""
    monkeypatch.setitem(cifar_resnet.BLOCKS_OF_DEPTH, 20, 1)
    first, others = of_classes(digits, range(5)), of_classes(digits, range(5, 10), training=40)
    small = Recipe.load("resnet_small").with_settings([*SETTINGS, "epochs=6"])
    options = {"runs": tmp_path, "run_config": RunConfig(best=0)}
    known = train(small.with_values(batch_size=32), first, **options)
    scratch = train(small, others, **options)
    # Normalization is trained, too: six epochs leave statistics that have hardly settled.
    tuning = {"probe": False, "cut": "none", "hold_out": 0.0, "head_epochs": 1, "freeze_batch_norm": False}
    recipe = Recipe.load("finetune").with_settings([*SETTINGS, "epochs=6", "optimizer.learning_rate=0.01"])
    recipe = replace(recipe, fine_tuning=replace(recipe.fine_tuning, **tuning))
    tuned = finetune(known.folder.path, others, recipe=recipe, **options)
    assert accuracies(tuned)[-1] > accuracies(scratch)[-1] + 0.2
    assert accuracies(tuned)[-2] > max(accuracies(scratch)) + 0.1
    assert tuned.recipe.model == "resnet20"
    [head, *rows] = tuned.folder.read_recipe()[3]["fine_tuning"]
    assert (head["stage"], head["from_epoch"], [row["from_epoch"] for row in rows]) == ("head", 1, [2, 2, 2])
    # Fed as the weights were: with the mean image of the digits from 0 to 4.
    means = [np.asarray(run.model.get_layer("preprocessing").mean) for run in (tuned, known)]
    np.testing.assert_array_equal(*means)


def accuracies(run):
    return [row["val_top1"] for row in run.folder.history()]


@pytest.fixture
def few(few_digits):
    return of_classes(few_digits, range(3))


def weights_of(model):
    return {weight.path: np.asarray(weight) for weight in model.weights}


@pytest.mark.parametrize("kind", ["run", "file", "best"])
def test_all_weights_but_the_classifiers_are_loaded(kind, digits_run, few):
    folder = digits_run.folder
    weights = {"run": folder.path, "file": folder.model_file, "best": next(folder.checkpoints.glob("best-*.keras"))}
    recipe = with_weights(Recipe.load("finetune").with_values(precision="float32"), str(weights[kind]))
    recipe = resolved(recipe, few)
    assert (recipe.model, recipe.image_size, recipe.pixels.std) == ("resnet20", 32, 64.0)
    ours = weights_of(assemble(recipe, few))
    theirs = weights_of(keras.saving.load_model(folder.model_file if kind == "run" else weights[kind], compile=False))
    assert ours["predictions/kernel"].shape == (64, 3)
    for path in ours:
        if not path.startswith("predictions/"):
            np.testing.assert_array_equal(ours[path], theirs[path], err_msg=path)


def test_a_new_classifier_even_for_as_many_classes(digits_run, few_digits):
    unfitted = Recipe.load("finetune").with_settings(["fine_tuning.probe=false", "fine_tuning.cut=none"])
    recipe = resolved(with_weights(unfitted, str(digits_run.folder.path)), few_digits)
    model = assemble(recipe, few_digits)
    assert not np.any(np.asarray(model.get_layer("predictions").bias))
    assert np.any(np.asarray(digits_run.model.get_layer("predictions").bias))


def test_a_mean_image_of_another_size_counts_as_its_channels(digits_run, few):
    recipe = with_weights(Recipe.load("finetune").with_values(image_size=48), str(digits_run.folder.path))
    recipe = resolved(recipe, few)
    mean = np.asarray(digits_run.model.get_layer("preprocessing").mean)
    assert mean.shape == (32, 32, 3)
    np.testing.assert_allclose(recipe.pixels.mean, mean.mean(axis=(0, 1)), rtol=1e-6)
    assert (recipe.pixels.std, recipe.pixels.crop_fraction, recipe.image_size) == (64.0, 1.0, 48)
    assert resolved(recipe, few) == recipe
    layer = assemble(recipe, few).get_layer("preprocessing")
    np.testing.assert_allclose(layer(np.zeros((1, 1, 1, 3)))[0, 0, 0], -mean.mean(axis=(0, 1)) / 64, rtol=1e-5)


@pytest.mark.slow
def test_pixels_as_published_where_the_file_does_not_say(few, tmp_path):
    """A network alone, of a family whose publishers took blue before red and subtracted means."""
    from kerascnn.applications import ResNet18, preprocess_input

    network = ResNet18(input_shape=(32, 32, 3), classes=9)
    generator = np.random.default_rng(0)
    network.get_layer("conv1").kernel.assign(generator.normal(size=(7, 7, 3, 64)))
    network.save_weights(tmp_path / "public.weights.h5")
    recipe = Recipe.load("finetune").with_values(image_size=32, precision="float32", fine_tuning={"cut": "none"})
    recipe = resolved(with_weights(recipe, str(tmp_path / "public.weights.h5"), "resnet18"), few)
    model = assemble(recipe, few)
    pixels = generator.integers(0, 256, (2, 32, 32, 3)).astype("float32")
    maps = [keras.Model(one.inputs[0], one.get_layer("conv5_2_relu").output) for one in (model, network)]
    expected = maps[1](preprocess_input("resnet18", pixels))
    np.testing.assert_allclose(maps[0](pixels), expected, rtol=1e-3, atol=1e-4 * float(np.max(expected)))
    # The same function once it is exported, of whatever the pixels are divided by.
    stretched = replace(recipe, pixels=replace(recipe.pixels, std=[58.0, 57.0, 56.0]))
    model = build(stretched, few.class_names)
    model.get_layer("preprocessing").set_mean([120.0, 110.0, 100.0])
    np.testing.assert_allclose(deployable(model)(pixels), model(pixels), atol=1e-5)


def test_a_weight_file_without_pixel_scale_is_rejected(digits_run, few, tmp_path):
    digits_run.model.save_weights(tmp_path / "trained.weights.h5")
    recipe = with_weights(Recipe.load("finetune"), str(tmp_path / "trained.weights.h5"), "resnet20")
    with mentioning(InputError, "trained.weights.h5", "scale"):
        resolved(recipe, few)
    # They can be used if the recipe states the scale.
    stated = recipe.with_settings(["pixels.mean=[1, 2, 3]", "pixels.std=[4, 5, 6]", "precision=float32"])
    layer = assemble(resolved(stated, few), few).get_layer("preprocessing")
    np.testing.assert_allclose(layer(np.full((1, 1, 1, 3), 13.0))[0, 0, 0], [3, 11 / 5, 10 / 6], rtol=1e-6)


def test_unusable_weights(digits_run, few, tmp_path):
    tuning = Recipe.load("finetune")
    for weights in ("nowhere.keras", "some/folder"):
        with mentioning(InputError, "no weights", weights):
            find_weights(with_weights(tuning, weights))
    with mentioning(InputError, tmp_path, "model.keras"):
        find_weights(with_weights(tuning, str(tmp_path)))
    with mentioning(InputError, "no weights", "--weights"):
        resolved(tuning, few)
    with mentioning(InputError, digits_run.folder.path, "resnet20", "resnet32"):
        with_weights(tuning, str(digits_run.folder.path), "resnet32")
    (tmp_path / "cut.keras").write_bytes(digits_run.folder.model_file.read_bytes()[:1000])
    with mentioning(InputError, "cut.keras", "damaged"):
        resolved(with_weights(tuning, str(tmp_path / "cut.keras"), "resnet20"), few)
    with mentioning(InputError, "resnet20", "own weights", "fine_tuning"):
        resolved(with_weights(tuning, str(digits_run.folder.path)), few, ResNet20(classes=3))
    ResNet32().save_weights(tmp_path / "other.weights.h5")
    recipe = with_weights(tuning.with_values(precision="float32"), str(tmp_path / "other.weights.h5"), "resnet20")
    with mentioning(InputError, "other.weights.h5", "ResNet20", "layer"):
        assemble(resolved(recipe, few), few)


def test_weights_of_a_run_by_its_short_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = RunFolder(tmp_path / "runs" / "resnet32-digits-20261101-090000")
    folder.path.mkdir(parents=True)
    folder.write_recipe(Recipe(model="resnet32"), "digits", None, {}, RunConfig())
    folder.model_file.touch()
    for name in ("runs/last", "resnet32-digits@last"):
        recipe = with_weights(Recipe.load("finetune"), name)
        assert (recipe.model, recipe.fine_tuning.weights.split("/")[-1]) == ("resnet32", folder.path.name)
        tuning = {"weights": name}
        assert find_weights(recipe.with_values(fine_tuning=tuning)) == find_weights(recipe)


def test_the_builders_arguments_of_a_run_are_used(digits_run, tmp_path):
    folder = RunFolder(tmp_path)
    values = digits_run.recipe.with_values(model_arguments={"shortcut": "B", "aux_heads": True})
    folder.write_recipe(values, "digits", None, {}, RunConfig())
    assert with_weights(Recipe.load("finetune"), str(tmp_path)).model_arguments == {"shortcut": "B"}


def test_loading_is_all_or_nothing(digits_run, few):
    recipe = Recipe.load("finetune").with_values(fine_tuning={"cut": "none"})
    recipe = resolved(with_weights(recipe, str(digits_run.folder.path)), few)
    model = build(replace(recipe, model_arguments={"shortcut": "B"}), few.class_names)
    before = model.get_weights()
    with mentioning(InputError, "'conv3_1_shortcut'"):
        resolve_pretrained(recipe).load_into(model)
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--weights", "nowhere.keras"], ("no weights", "nowhere.keras")),
        (["--weights", "imagenet", "--model", "zfnet"], ("ZFNet", "no public weights")),
        (["--recipe", "finetune"], ("'finetune'", "resnet50", "no weights", "--weights")),
        (["--recipe", "finetune", "--set", "pixels.mean=[1, 2]"], ("pixels.mean", "'channel'", "list of 3")),
        (["--set", "pixels.std=0"], ("pixels.std", "above 0", "not 0")),
    ],
)
def test_mistakes_are_reported_before_anything_runs(arguments, parts, command):
    outcome = command("train", *arguments)
    assert outcome.status == 2
    names(outcome.err, *parts)
    assert "digits" not in outcome.err


@pytest.mark.parametrize(
    ("model", "weights", "arguments", "first_mean", "first_std"),
    [
        ("resnet50", "torchvision", {"shortcut": "B", "stride_in": "3x3"}, 0.485 * 255, 0.229 * 255),
        ("resnet50", "imagenet", {"shortcut": "B", "stride_in": "1x1"}, 123.68, 1),
        ("googlenet", "imagenet", {}, 127.5, 127.5),
        ("inceptionv3", "keras", {"stem": "released", "variant": "released"}, 127.5, 127.5),
    ],
)
def test_public_weights_imply_arguments_and_pixel_scaling(model, weights, arguments, first_mean, first_std):
    recipe = with_weights(Recipe.load("finetune"), weights, model)
    recipe = resolve_pretrained(recipe).complete(recipe)
    assert recipe.model == {"googlenet": "googlenettorchvision"}.get(model, model)
    assert recipe.model_arguments == arguments
    assert recipe.pixels.mean[0] == pytest.approx(first_mean)
    assert recipe.pixels.std[0] == pytest.approx(first_std)


def test_public_weights_of_another_variant_are_rejected():
    recipe = replace(
        with_weights(Recipe.load("finetune"), "torchvision", "resnet50"), model_arguments={"stride_in": "1x1"}
    )
    with mentioning(InputError, "'torchvision'", "stride_in='1x1'", "stride_in='3x3'"):
        resolve_pretrained(recipe)
