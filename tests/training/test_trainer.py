"""A training, and the files of its run folder."""

import csv
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import kerascnn
from kerascnn import InputError, data
from kerascnn.training import Recipe, RunFolder, resolved, train
from kerascnn.training.callbacks.tensorboard import image_grid, tag
from support import tiny_training
from support.messages import mentioning
from support.runs import assert_same_weights

CURVES = {"epoch/loss", "epoch/top-1 accuracy"}


def events(folder, split):
    """Every summary of a split: the curves, and the tags of images."""
    accumulator = EventAccumulator(str(folder.path / split), size_guidance={"tensors": 0})
    accumulator.Reload()
    curves = {}
    images = {}
    for name in accumulator.Tags()["tensors"]:
        plugin = accumulator.SummaryMetadata(name).plugin_data.plugin_name
        found = accumulator.Tensors(name)
        if plugin == "scalars":
            curves[name] = {event.step: float(tf.make_ndarray(event.tensor_proto)) for event in found}
        elif plugin == "images":
            images[name] = tf.make_ndarray(found[0].tensor_proto)
    return curves, images, accumulator


def test_run_folder(digits_run):
    folder = digits_run.folder
    assert folder.path.name.startswith("resnet20-digits-20")
    assert {entry.name for entry in folder.path.iterdir()} == {
        "recipe.yaml",
        "images.csv.gz",
        "history.csv",
        "model.keras",
        "checkpoints",
        ".owner.lock",
        "train",
        "validation",
        *(file.name for file in folder.path.glob("*.tfevents.*")),
    }
    accuracies = [row["val_top1"] for row in folder.history()]
    best = f"best-epoch-{1 + accuracies.index(max(accuracies)):04d}.keras"
    assert {file.name for file in folder.checkpoints.iterdir()} == {"epoch-0002.npz", "epoch-0003.npz", best}


def test_recipe_file_is_complete(digits_run):
    written = yaml.safe_load(digits_run.folder.recipe_file.read_text())
    assert written["recipe"]["image_size"] == 32
    assert written["recipe"]["augmentation"]["flip"] is False
    assert written["data"] == {"source": "digits", "limit": 200}
    assert written["facts"]["classes"] == list("0123456789")
    assert written["facts"]["training_images"] == 160
    assert written["facts"]["trainable_parameters"] == 269_722
    assert written["run_config"] == {"checkpoint_minutes": 10.0, "best": 1, "deterministic": False, "cache": "none"}
    assert written["versions"]["keras"] == keras.__version__
    assert written["versions"]["kerascnn"] == kerascnn.__version__
    recipe, source, limit, _ = digits_run.folder.read_recipe()
    assert (recipe, source, limit) == (digits_run.recipe, "digits", 200)


def test_history(digits_run):
    rows = digits_run.folder.history()
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert rows[-1]["loss"] < rows[0]["loss"]
    for row in rows:
        assert row["images_per_second"] == pytest.approx(160 / row["seconds"])


def test_curves_of_a_single_classifier(digits_run):
    training, _, _ = events(digits_run.folder, "train")
    validation, _, _ = events(digits_run.folder, "validation")
    machine = {f"machine/{name}" for name in ("images_per_second", "seconds", "waiting_share", "memory_gigabytes")}
    per_epoch = {name for name in training if not name.startswith("steps")}
    assert per_epoch == CURVES | {"epoch/top-5 accuracy", "optimizer/learning_rate"} | machine
    assert set(validation) == CURVES | {"epoch/top-5 accuracy"}
    # The group that TensorBoard opens is the first.
    assert min(training).startswith("epoch/")
    rows = digits_run.folder.history()
    for number, row in enumerate(rows):
        assert training["epoch/loss"][number + 1] == pytest.approx(row["loss"])
        assert validation["epoch/top-1 accuracy"][number + 1] == pytest.approx(row["val_top1"])
        assert training["machine/images_per_second"][number + 1] == pytest.approx(row["images_per_second"], rel=1e-5)
    # After the last step of a cosine the learning rate is zero.
    assert training["optimizer/learning_rate"][3] == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_curves_of_every_classifier(googlenet_run):
    heads = CURVES | {f"heads/{head} {curve}" for head in ("aux_4a", "aux_4d") for curve in ("loss", "top-1 accuracy")}
    for split in ("train", "validation"):
        curves, _, _ = events(googlenet_run.folder, split)
        assert heads < set(curves)
        assert not any("top-5" in name for name in curves)
        for step, loss in curves["heads/sum of all losses"].items():
            parts = [curves[name][step] for name in ("epoch/loss", "heads/aux_4a loss", "heads/aux_4d loss")]
            assert loss == pytest.approx(parts[0] + 0.3 * (parts[1] + parts[2]), rel=1e-4)


@pytest.mark.slow
def test_images_and_graph(googlenet_run):
    _, images, accumulator = events(googlenet_run.folder, "train")
    width, height, png = images["images/augmented training images"]
    assert (int(width), int(height)) == (6 * 72, 72)
    grid = tf.io.decode_png(png).numpy()
    assert grid.shape == (72, 432, 3)
    assert grid.std() > 10
    nodes = {node.name: node for node in accumulator.Graph().node}
    assert {"conv1", "labels"} < set(nodes) and nodes["conv1"].op == "Conv2D"
    # A box for each module holds its layers.
    assert any(name.endswith("/inception_4a_3x3_reduce") for name in nodes)
    assert list(nodes["conv1"].input) == ["preprocessing"]
    assert all(name in nodes for node in nodes.values() for name in node.input)


def test_the_model_is_complete(digits_run, few_digits):
    model = keras.saving.load_model(digits_run.folder.model_file)
    images = few_digits.validation.images.astype("float32")
    np.testing.assert_array_equal(model(images), digits_run.model(images))
    assert model.get_layer("labels").class_names == tuple("0123456789")
    mean = few_digits.training.images.mean(axis=0)
    np.testing.assert_allclose(model.get_layer("preprocessing").mean, mean, atol=1e-2)
    metrics = model.evaluate(
        images, keras.utils.to_categorical(few_digits.validation.labels, 10), verbose=0, return_dict=True
    )
    assert metrics["top1"] == pytest.approx(digits_run.folder.history()[-1]["val_top1"])


@pytest.mark.slow
def test_mixed_precision_keeps_float32_weights(googlenet_run):
    model = googlenet_run.model
    assert model.get_layer("conv1").compute_dtype == "bfloat16"
    assert model.get_layer("preprocessing").compute_dtype == "float32"
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(tiny_network, tmp_path):
    one, again, other = (
        train(
            tiny_training.steady_recipe(epochs=1, batch_size=16).with_values(seed=seed),
            tiny_training.images(),
            runs=tmp_path,
        )
        for seed in (5, 5, 1)
    )
    assert_same_weights(again.model, one.model)
    assert not np.array_equal(other.model.get_layer("main_fc").kernel, one.model.get_layer("main_fc").kernel)


def test_mistakes_create_no_files(few_digits, tmp_path):
    recipe = Recipe.for_model("googlenet").with_values(image_size=40)
    with mentioning(InputError, "65 x 65", "40 x 40"):
        train(recipe, few_digits, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    (tmp_path / "file").write_text("")
    with mentioning(InputError, tmp_path / "file", "cannot be written"):
        train(Recipe.for_model("resnet20"), few_digits, runs=tmp_path / "file" / "runs")


def test_values_that_depend_on_the_data_are_resolved(few_digits, photographs):
    loaded = data.load(photographs)
    recipe = resolved(Recipe.for_model("googlenet").with_values(batch_size=500), loaded)
    assert recipe.batch_size == len(loaded.training) < 40
    assert (recipe.image_size, recipe.augmentation.flip) == (224, True)
    assert recipe.precision != "auto"
    assert resolved(replace(recipe, model="resnet20"), few_digits).augmentation.flip is False


def test_folders_of_one_second_get_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda form: "20261120-101500")
    paths = [RunFolder.create(tmp_path, "resnet20", "digits").path.name for _ in range(3)]
    assert paths == [f"resnet20-digits-20261120-101500{suffix}" for suffix in ("", "-2", "-3")]


def test_tags():
    assert tag("loss") == "epoch/loss"
    assert tag("loss", {"loss", "main_loss"}) == "heads/sum of all losses"
    assert tag("top1") == tag("main_top1") == "epoch/top-1 accuracy"
    assert tag("main_loss") == "epoch/loss"
    assert tag("aux_4d_top5") == "heads/aux_4d top-5 accuracy"
    assert tag("aux_top1") == "heads/aux top-1 accuracy"
    assert tag("images_per_second") == "machine/images_per_second"
    assert tag("learning_rate") == "optimizer/learning_rate"


def test_image_grid_keeps_the_order():
    images = np.stack([np.full((2, 3, 3), value) for value in range(7)]).astype("float32")
    grid = image_grid(images)
    assert grid.shape == (2, 18, 3)
    assert grid[0, ::3, 0].tolist() == [0, 1, 2, 3, 4, 5]


def test_history_file_is_plain_csv(digits_run):
    with digits_run.folder.history_file.open(newline="") as file:
        header = next(csv.reader(file))
    assert header[0] == "epoch"
    assert {"loss", "top1", "val_loss", "val_top1", "learning_rate", "images_per_second"} < set(header)
