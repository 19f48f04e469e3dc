"""The network and the image size of a training that names none."""

import numpy as np
import pytest

from kerascnn import InputError, data
from kerascnn.applications import registry
from kerascnn.training.default_network import Machine, choose_network
from support.messages import mentioning, names, refused

ONE_CORE, TWO_CORES, MANY_CORES, GPU = Machine(0, 1), Machine(0, 2), Machine(0, 64), Machine(1, 16)


@pytest.mark.parametrize(
    ("size", "images", "classes", "machine", "chosen"),
    [
        # Digits, MNIST, CIFAR-10, and what is not square: by the shorter side.
        ((8, 8), 1437, 10, GPU, ("resnet20", 32)),
        ((28, 28), 60_000, 10, ONE_CORE, ("resnet20", 32)),
        ((32, 32), 50_000, 10, GPU, ("resnet20", 32)),
        ((48, 300), 50_000, 10, GPU, ("resnet20", 32)),
        # Photographs: never more pixels than they have, but for the smallest size.
        ((49, 49), 500, 2, GPU, ("resnet18", 64)),
        ((64, 64), 100_000, 200, GPU, ("resnet50", 64)),
        ((96, 96), 5000, 10, GPU, ("resnet18", 96)),
        ((375, 500), 634, 2, GPU, ("resnet18", 224)),
        # On a CPU within five minutes, with a step of three passes: 0.33 multiply-adds at 96 pixels.
        ((375, 500), 634, 2, ONE_CORE, ("resnet18", 128)),
        ((375, 500), 634, 2, TWO_CORES, ("resnet18", 160)),
        ((375, 500), 634, 2, MANY_CORES, ("resnet18", 224)),
        ((375, 500), 1_000_000, 1000, ONE_CORE, ("resnet18", 64)),
        # Depth for many images of each class, where there is a GPU.
        ((375, 500), 1_281_167, 1000, GPU, ("resnet50", 224)),
        ((375, 500), 19_000, 10, GPU, ("resnet18", 224)),
        ((375, 500), 30_000, 1000, GPU, ("resnet18", 224)),
        ((375, 500), 1_281_167, 1000, MANY_CORES, ("resnet18", 64)),
    ],
)
def test_choice(size, images, classes, machine, chosen):
    choice = choose_network(size, images, classes, machine, epochs=20)
    assert (choice.model, choice.image_size) == chosen
    assert f"{size[1]} x {size[0]}" in choice.reason


@pytest.mark.parametrize(
    ("size", "given", "chosen"),
    [
        ((375, 500), 40, "resnet20"),
        ((375, 500), 49, "resnet18"),
        ((375, 500), 300, "resnet18"),
        ((32, 32), 64, "resnet20"),
    ],
)
def test_a_given_image_size_is_kept(size, given, chosen):
    choice = choose_network(size, 634, 2, ONE_CORE, epochs=20, image_size=given)
    assert (choice.model, choice.image_size) == (chosen, given)


def test_the_estimate_is_in_the_reason():
    # 1.8e9 multiply-adds at 224 pixels, three passes, 1e11 of them per second and core.
    long = choose_network((375, 500), 1_000_000, 10, TWO_CORES, epochs=20).reason
    hours = 3 * 1.8e9 * (64 / 224) ** 2 * 20 * 1_000_000 / 2e11 / 3600
    assert f"20 epochs of 1000000 take about {hours:.0f} hours on 2 CPU cores" in long
    short = choose_network((375, 500), 20, 2, ONE_CORE, epochs=1).reason
    assert "1 epoch of 20 takes about 1 minute on 1 CPU core" in short
    assert "on 1 GPU" in choose_network((375, 500), 634, 2, GPU, epochs=20).reason


def test_the_size_is_measured_once_and_kept(photographs, tmp_path):
    loaded = data.load(photographs)
    # Made 120 wide and 90 high.
    assert loaded.median_size == (90, 120)
    data.write_records(loaded, tmp_path / "records")
    assert data.load(tmp_path / "records").median_size == (90, 120)
    examples = data.ArrayExamples(np.zeros((2, 8, 9, 3), np.uint8), np.array([0, 1]))
    assert data.DataSet("some", "some", ("a", "b"), examples, examples).median_size == (8, 9)
    with mentioning(InputError, "--model"):
        choose_network(None, 634, 2, ONE_CORE, epochs=20)


@pytest.mark.parametrize(
    ("arguments", "chosen", "printed"),
    [
        (["--data", "{photographs}"], "resnet18 at 64", "resnet18 is chosen, because the images are 120 x 90 pixels"),
        (["--limit", "100"], "resnet20 at 32", "resnet20 is chosen, because the images are 32 x 32 pixels"),
        (["--data", "{photographs}", "--image-size", "16"], "resnet20 at 16", "resnet20 is chosen"),
        (["--data", "{photographs}", "--model", "resnet34"], "resnet34 at 224", None),
        (["--data", "{photographs}", "--set", "model=vgg11"], "vgg11 at 224", None),
        (["--data", "{photographs}", "--recipe", "cifar_resnet"], "resnet20 at 32", None),
    ],
)
def test_train_prints_its_choice_and_how_to_choose(arguments, chosen, printed, photographs, command, monkeypatch):
    def train(recipe, data, **others):
        raise InputError(f"{recipe.model} at {recipe.image_size or registry.info(recipe.model).input_size}")

    monkeypatch.setattr("kerascnn.training.train", train)
    ended = command("train", *[argument.format(photographs=photographs) for argument in arguments])
    refused(ended, chosen)
    if printed:
        names(ended.err, printed, "--model and --image-size")
    else:
        assert "chosen, because" not in ended.err


def test_a_search_is_for_the_chosen_network(photographs, command, monkeypatch):
    def make_search_config(recipe, *others, **more):
        raise InputError(f"{recipe.model} at {recipe.image_size}")

    monkeypatch.setattr("kerascnn.training.search.tuner.make_search_config", make_search_config)
    ended = command("tune", "--data", photographs)
    refused(ended, "resnet18 at 64")
    names(ended.err, "resnet18 is chosen, because", "--model and --image-size")
