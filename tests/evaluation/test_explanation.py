"""Grad-CAM against closed forms, and the feature maps found in the graph of every network family."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError
from kerascnn.applications import create
from kerascnn.evaluation import KerasPredictor
from kerascnn.evaluation.explanation import (
    Activation,
    Explainer,
    channel_tiles,
    filter_tiles,
    overlay,
    tiles,
    unique_name,
)
from kerascnn.evaluation.feature_maps import feature_maps, last_map, last_of_every_size
from kerascnn.training import Recipe
from kerascnn.training.assembly import build
from support.messages import mentioning, refused
from support.networks import without_values

WEIGHTS = np.array([[1.0, -2.0], [0.5, 3.0], [-1.5, 0.25]], "float32")


def linear_head(end="layer", nested=False):
    """Global averages of a copy of the pixels, and a linear layer: Zhou et al.'s class activation maps (2016)."""
    pixels = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(3, 1, use_bias=False, name="copy")(pixels)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(2, activation="softmax" if end == "dense" else None, name="fc")(x)
    endings = {"layer": keras.layers.Activation("softmax"), "softmax": keras.layers.Softmax()}
    model = keras.Model(pixels, endings[end](x) if end in endings else x)
    model.get_layer("copy").set_weights([np.eye(3, dtype="float32")[None, None]])
    model.get_layer("fc").set_weights([WEIGHTS, np.zeros(2, "float32")])
    if nested:
        pixels = keras.Input((4, 4, 3))
        model = keras.Model(pixels, model(pixels))
    return model


@pytest.fixture
def view():
    return np.random.default_rng(0).uniform(0, 255, (4, 4, 3)).astype("float32")


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("end", ["layer", "dense", "softmax", "scores"])
def test_grad_cam_of_a_linear_head_is_the_class_activation_map(end, nested, view):
    explainer = Explainer(KerasPredictor(linear_head(end, nested)))
    assert explainer.layer == "copy"
    found = {one.label: one for one in explainer.grad_cam(view)}
    assert set(found) == {"class 0", "class 1"}
    for number in range(2):
        # The gradient of an average over 16 positions is 1/16 everywhere. The logits are in the hundreds, so that
        # gradients of the softmax's outputs would be zero.
        expected = np.maximum(view @ WEIGHTS[:, number], 0) / 16
        np.testing.assert_allclose(found[f"class {number}"].heat, expected, rtol=1e-5, atol=1e-5)


def test_the_most_probable_class_comes_first(view):
    [best] = Explainer(KerasPredictor(linear_head())).grad_cam(view, top=1)
    assert best.label == f"class {int((view.mean(axis=(0, 1)) @ WEIGHTS).argmax())}"


@pytest.mark.parametrize(
    ("name", "size", "layer"),
    [
        ("alexnet", 99, "conv5_relu"),
        ("zfnet", 99, "conv5_relu"),
        ("vgg11", 64, "conv5_2_relu"),
        ("googlenet", 65, "inception_5b"),
        pytest.param("bninception", 64, "inception_5b", marks=pytest.mark.slow),
        pytest.param("inceptionv2", 107, "mixed11", marks=pytest.mark.slow),
        pytest.param("inceptionv3", 107, "mixed10", marks=pytest.mark.slow),
        ("resnet18", 64, "conv5_2_relu"),
        ("resnet20", 32, "conv4_3_relu"),
        ("plain20", 32, "conv4_3_2_relu"),
    ],
)
def test_the_last_feature_map_of_every_family(name, size, layer):
    network = without_values(create, name, input_shape=(size, size, 3), classes=2)
    maps = feature_maps(network.inputs[0], network.outputs[0])
    assert last_map(maps).layer.name == layer
    sizes = [one.tensor.shape[1] for one in last_of_every_size(maps)]
    assert sizes == sorted(set(sizes), reverse=True)
    assert last_of_every_size(maps)[-1].layer.name == layer


def test_a_single_position_is_not_a_feature_map():
    # At 32 pixels the last modules of GoogLeNet have one position.
    network = without_values(create, "googlenet", input_shape=(32, 32, 3), classes=2)
    assert last_map(feature_maps(network.inputs[0], network.outputs[0])).layer.name == "inception_4e"


@pytest.mark.slow
def test_a_network_with_auxiliary_heads(photographs):
    recipe = Recipe.for_model("googlenet").with_values(image_size=72, precision="mixed_bfloat16")
    explainer = Explainer(KerasPredictor(build(recipe, ["lying", "standing"])))
    assert explainer.layer == "inception_5b"
    view = np.asarray(Image.open(photographs / "lying" / "1.jpg").resize((72, 72)), "float32")
    found = explainer.grad_cam(view)
    assert sorted(one.label for one in found) == ["lying", "standing"]
    assert all(one.heat.shape == (3, 3) and np.isfinite(one.heat).all() and one.heat.min() >= 0 for one in found)
    assert explainer.filters().shape == (7, 7, 3, 64)
    assert [one.maps.shape for one in explainer.activations(view, "inception_4*")][-1] == (5, 5, 832)


def test_a_convolution_may_be_in_a_wrapper():
    inside = keras.layers.SpectralNormalization(keras.layers.Conv2D(2, 3), name="normalized")
    network = keras.Sequential([keras.Input((8, 8, 3)), inside, keras.layers.GlobalMaxPooling2D()])
    assert [one.layer.name for one in feature_maps(network.inputs[0], network.outputs[0])] == ["normalized"]


def test_a_network_without_convolution():
    pixels = keras.Input((4, 4, 3))
    model = keras.Model(pixels, keras.layers.Dense(2)(keras.layers.Flatten()(pixels)))
    with mentioning(InputError, "no convolution"):
        Explainer(KerasPredictor(model))


def test_overlay():
    image = np.full((4, 4, 3), 100.0)
    np.testing.assert_array_equal(overlay(image, np.zeros((2, 2))), image)
    # The color map inferno ends in a light yellow.
    expected = 40 + 0.6 * 255 * np.array([0.988362, 0.998364, 0.644924])
    np.testing.assert_allclose(overlay(image, np.array([[7.0]]))[0, 0], expected, atol=0.501)


def test_filters_are_scaled_one_by_one():
    kernels = np.zeros((1, 2, 3, 2), "float32")
    kernels[0, :, 0, 0], kernels[0, :, 0, 1] = (2.0, -2.0), (0.5, 0.25)
    first, second = filter_tiles(kernels)
    assert first[0, :, 0].tolist() == [255, 0] and second[0, :, 0].tolist() == [255, 191]
    assert (first[..., 1:] == 128).all()


def test_the_strongest_channels_come_first():
    maps = np.stack([np.zeros((2, 2)), np.full((2, 2), 3.0), np.array([[4.0, 4.0], [4.0, 2.0]])], axis=-1)
    shown = channel_tiles(Activation("conv1", maps.astype("float32")))
    # The ends of the color map viridis.
    least, greatest = [68, 1, 84], [253, 231, 37]
    assert shown.tolist() == [[[greatest] * 2, [greatest, least]], [[least] * 2] * 2, [[least] * 2] * 2]


def test_tiles_form_a_square():
    images = np.arange(3, dtype="uint8")[:, None, None, None] * np.ones((1, 24, 24, 3), "uint8")
    sheet = tiles(images)
    assert sheet.shape == (102, 102, 3)
    assert [sheet[position][0] for position in ((2, 2), (2, 99), (99, 2), (99, 99), (0, 50))] == [0, 1, 2, 255, 255]


def test_names_are_unique(tmp_path):
    used = {"filters"}
    names = ("cat.jpg", "cat.png", "cat-2.png", "filters.jpg")
    assert [unique_name(tmp_path / name, used) for name in names] == ["cat", "cat-2", "cat-2-2", "filters-2"]


@pytest.mark.slow
def test_the_command_reports_its_files(digits_run, photographs, command, tmp_path):
    images = [photographs / "lying" / "1.jpg", photographs / "standing" / "1.jpg"]
    outcome = command("explain", digits_run.folder.path, *images, "--to", tmp_path / "seen", "--json")
    assert outcome.status == 0, outcome.err
    result = json.loads(outcome.out)
    assert result["layer"] == "conv4_3_relu"
    assert [one["image"] for one in result["images"]] == list(map(str, images))
    first, second = result["images"]
    assert len(first["top"]) == 3 and list(first["activations"]) == ["conv2_3_relu", "conv3_3_relu", "conv4_3_relu"]
    files = [result["filters"], first["grad_cam"], second["grad_cam"], *first["activations"].values()]
    assert len(set(files)) == 6
    for file in files:
        with Image.open(file) as image:
            assert image.width > 100


def test_unreadable_files_are_reported_and_skipped(tiny_digits_run, photographs, command, tmp_path):
    lying = photographs / "lying"
    outcome = command("explain", tiny_digits_run.folder.path, lying / "notes.txt", lying / "2.jpg", "--to", tmp_path)
    assert outcome.status == 1
    assert "notes.txt" in outcome.err and f"Grad-CAM: {tmp_path / '2.png'}" in outcome.out


@pytest.mark.slow
def test_user_errors_are_one_sentence(tiny_digits_run, photographs, command, tmp_path):
    from kerascnn.export import deployable
    from kerascnn.export.tflite import write_tflite

    image, run = photographs / "lying" / "1.jpg", tiny_digits_run.folder.path
    write_tflite(deployable(tiny_digits_run.model), tmp_path / "model.tflite")
    (tmp_path / "file").touch()
    for arguments, parts in (
        ((tmp_path / "model.tflite", image), ["model.tflite", "TFLite", "gradients", "run"]),
        ((run, photographs / "lying" / "notes.txt"), ["notes.txt"]),
        ((run, image, "--layers", "conv9*"), ["'conv9*'"]),
        ((run, image, "--to", tmp_path / "file" / "x"), [tmp_path / "file" / "x", "cannot be written"]),
    ):
        refused(command("explain", *arguments), *parts)
