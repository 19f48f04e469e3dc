"""Trainings with class weights and with cached images."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, data
from kerascnn.data.pipeline.cache import images_folder
from kerascnn.data.pipeline.pipeline import evaluation_batches
from kerascnn.training import Recipe, train
from kerascnn.training.run_config import RunConfig
from support.messages import mentioning


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """A folder of 12 images of noise of one class, for training and validation, and 4 of another."""
    folder = tmp_path_factory.mktemp("images") / "uneven"
    generator = np.random.default_rng(0)
    for kind, count in (("often", 12), ("seldom", 4)):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 256, (16, 16, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / kind / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def balanced_run(uneven, tmp_path_factory):
    """One step that moves nothing, over all training images: the network is as it was when its loss was taken."""
    loaded = data.load(uneven)
    recipe = Recipe.for_model("resnet20").with_values(
        epochs=1, batch_size=len(loaded.training), precision="float32", image_size=16, class_weights="balanced"
    )
    recipe = replace(
        recipe,
        optimizer=replace(recipe.optimizer, learning_rate=1e-12, weight_decay=0.0),
        augmentation=replace(recipe.augmentation, pad=0, flip=False),
    )
    runs = tmp_path_factory.mktemp("uneven") / "runs"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KERASCNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        run = train(recipe, loaded, runs=runs, run_config=RunConfig(cache="disk", best=0))
        kept = {path.suffix: path.stat().st_size for path in images_folder(loaded).iterdir() if path.suffix != ".npy"}
        files = len(list(images_folder(loaded).iterdir()))
    return run, loaded, kept, files


@pytest.mark.slow
def test_every_class_counts_the_same_in_the_loss(balanced_run):
    run, loaded, _, _ = balanced_run
    labels = loaded.training.labels
    assert np.bincount(labels).min() < np.bincount(labels).max()
    [(images, one_hot)] = evaluation_batches(
        loaded.training, classes=2, size=16, crop_fraction=1.0, batch_size=len(labels)
    )
    losses = -np.log(np.sum(run.model(images, training=True).numpy() * one_hot.numpy(), axis=1))
    of_classes = [losses[labels == label].mean() for label in (0, 1)]
    assert abs(of_classes[0] - of_classes[1]) > 0.02
    # The weights are 1 on average, and the mean over the images becomes that over the classes.
    assert float(run.folder.history()[0]["loss"]) == pytest.approx(np.mean(of_classes), rel=1e-3)


@pytest.mark.slow
def test_images_are_cached_for_the_next_run(balanced_run):
    _, loaded, kept, files = balanced_run
    # Pixels and shapes of two splits.
    assert files == 4
    assert kept[".pixels"] in {16 * 16 * 3 * len(loaded.training), 16 * 16 * 3 * len(loaded.validation)}


def test_images_of_an_archive_are_cached_next_to_them(uneven, tmp_path):
    loaded = data.load(shutil.make_archive(tmp_path / "uneven", "zip", uneven))
    assert str(images_folder(loaded)).startswith(loaded.workspace.name)


@pytest.mark.slow
def test_a_resumed_run_uses_its_cache(balanced_run):
    assert balanced_run[0].folder.read_run_config().cache == "disk"


def test_other_class_weights_are_rejected():
    with mentioning(InputError, "'none'", "'balanced'", "'even'"):
        Recipe(class_weights="even")
