"""The fields `image_size` and `channels`: as text, in the model, and with pretrained weights of other images."""

import json

import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import ResNet20
from kerascnn.training import Recipe, resolved
from kerascnn.training.assembly import assemble
from kerascnn.training.fine_tuning.pretrained import with_weights
from kerascnn.training.search.space import Space
from kerascnn.training.search.validation import dry_build
from support.messages import mentioning, names

OBLONG = Recipe.for_model("resnet20").with_values(image_size=(24, 40), channels=1, precision="float32")


def test_size_and_channels_survive_a_file(tmp_path):
    (tmp_path / "mine.yaml").write_text(OBLONG.to_yaml())
    assert "image_size:\n- 24\n- 40\nchannels: 1\n" in OBLONG.to_yaml()
    assert Recipe.load(tmp_path / "mine.yaml") == OBLONG
    assert Recipe.from_dict(json.loads(json.dumps(OBLONG.to_dict())), "JSON") == OBLONG
    settings = Recipe.for_model("resnet20").with_settings(["image_size=[24, 40]", "channels=1", "precision=float32"])
    assert settings == OBLONG and settings.image_shape == (24, 40, 1)
    assert OBLONG.with_values(image_size=32, channels=3).image_shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("image_size=0", ("image_size", "at least 1", "list of 2", "not 0")),
        ("image_size=[24]", ("image_size", "list of 2", "[24]")),
        ("image_size=[24, 40, 1]", ("image_size", "list of 2", "[24, 40, 1]")),
        ("image_size=[24, 0]", ("image_size", "at least 1", "[24, 0]")),
        ("image_size=24x40", ("image_size", "list of 2", "'24x40'")),
        ("channels=2", ("channels", "1 or 3", "not 2")),
        ("pixels.mean=[1, 2]", ("pixels.mean", "a number", "list of 3", "[1, 2]")),
    ],
)
def test_mistakes_are_named(setting, parts):
    with mentioning(InputError, *parts):
        Recipe().with_settings([setting])


def test_the_command_line_takes_height_x_width(command):
    options = ("--image-size", "24x40", "--channels", "1", "--limit", "100", "--print-recipe", "--json")
    values = json.loads(command("train", "--model", "resnet20", *options).out)
    assert (values["image_size"], values["channels"]) == ([24, 40], 1)
    values = json.loads(command("train", "--model", "resnet20", "--image-size", "24X24", *options[4:]).out)
    assert (values["image_size"], values["channels"]) == (24, 3)


@pytest.mark.parametrize(
    ("option", "value", "parts"),
    [
        *(
            ("--image-size", text, ("240x320", "height", f"'{text}'"))
            for text in ("24x", "24x0", "24,40", "-3", "24x4x1")
        ),
        ("--channels", "2", ("--channels", "1 (gray)", "'2'")),
        ("--channels", "gray", ("--channels", "1 (gray)", "'gray'")),
    ],
)
def test_other_texts_are_refused(option, value, parts, command):
    outcome = command("train", f"{option}={value}")
    assert outcome.status == 2
    names(outcome.err.lower(), *parts)


def test_the_cost_of_gray_images_that_are_not_square(command):
    found = json.loads(command("describe", "resnet20", "--image-size", "24x40", "--channels", "1", "--json").out)[
        "totals"
    ]
    square = json.loads(command("describe", "resnet20", "--image-size", "32", "--json").out)["totals"]
    # conv1 has 3 x 3 x 1 weights for each of 16 filters instead of 3 x 3 x 3.
    assert square["parameters"] - found["parameters"] == 2 * 9 * 16
    # The convolutions see 960 pixels instead of 1,024; the classifier sees 64 means either way.
    convolutions = square["macs"] - 64 * 10
    conv1 = 9 * 16 * 1024
    assert found["macs"] == (convolutions - 2 * conv1) * 960 / 1024 + 64 * 10


def test_networks_say_which_sizes_they_take():
    recipe = Recipe.for_model("googlenet")
    assert dry_build(recipe.with_values(image_size=(72, 96), channels=1), 5).outputs == ("main", "aux_4a", "aux_4d")
    with mentioning(InputError, "GoogLeNet", "65 x 65", "240 x 60"):
        dry_build(recipe.with_values(image_size=(240, 60)), 5)


def test_searches_of_sizes():
    space = Space.from_dict({"image_size": {"values": [[24, 40], 32]}}, OBLONG)
    values = space.values(OBLONG)
    assert space.recipe(OBLONG.with_values(image_size=32), values) == OBLONG
    assert space.values(OBLONG.with_values(image_size=(40, 24))) is None


@pytest.fixture(scope="module")
def weights(few_digits, tmp_path_factory):
    """Files of two ResNet-20s, as a training begins: of 16 x 16 in color, of 24 x 40 in gray."""
    folder, files = tmp_path_factory.mktemp("weights"), {}
    for name, recipe in {"RGB": OBLONG.with_values(image_size=16, channels=3), "gray": OBLONG}.items():
        recipe = recipe.with_settings(["pixels.mean=pixel"])
        model = assemble(resolved(recipe, few_digits), few_digits)
        model.save(folder / f"{name}.keras")
        files[name] = folder / f"{name}.keras", model
    return files


def tuned(weights, few_digits, **values):
    recipe = with_weights(Recipe.load("finetune").with_values(precision="float32", **values), str(weights), "resnet20")
    recipe = resolved(recipe, few_digits)
    return recipe, assemble(recipe, few_digits)


@pytest.mark.slow
def test_weights_of_color_images_are_adapted_to_gray_ones(weights, few_digits):
    file, theirs = weights["RGB"]
    recipe, ours = tuned(file, few_digits, image_size=(24, 40), channels=1)
    kernels = [np.asarray(model.get_layer("conv1").kernel) for model in (ours, theirs)]
    np.testing.assert_allclose(kernels[0], kernels[1].sum(axis=2, keepdims=True), rtol=1e-5)
    # The mean image of the digits, of equal channels, counts as its mean.
    mean = np.asarray(theirs.get_layer("preprocessing").mean).mean()
    assert recipe.pixels.mean == pytest.approx(mean) and recipe.pixels.std == 64.0
    np.testing.assert_allclose(ours.get_layer("preprocessing").mean, mean, rtol=1e-5)


@pytest.mark.slow
def test_weights_imply_the_size_and_the_channels(weights, few_digits):
    file, theirs = weights["gray"]
    recipe, ours = tuned(file, few_digits)
    assert (recipe.image_size, recipe.channels, recipe.pixels.mean) == ((24, 40), 1, "weights")
    means = [np.asarray(model.get_layer("preprocessing").mean) for model in (ours, theirs)]
    np.testing.assert_array_equal(*means)
    with mentioning(InputError, "gray.keras", "gray images", "must be 1"):
        tuned(file, few_digits, channels=3)


def test_published_means_become_their_luma(few_digits):
    recipe = OBLONG.with_settings(["pixels.mean=[100, 50, 10]", "pixels.std=[1, 2, 6]"])
    recipe = resolved(recipe, few_digits)
    assert recipe.pixels.mean == pytest.approx(29.9 + 29.35 + 1.14, abs=1e-3) and recipe.pixels.std == 3.0


def test_an_own_network_brings_its_shape(few_digits):
    network = ResNet20(input_shape=(16, 24, 1), classes=10)
    recipe = resolved(Recipe(), few_digits, network)
    assert (recipe.image_size, recipe.channels) == ((16, 24), 1)
