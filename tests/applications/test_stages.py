"""Feature maps by stride and the stages between them, against the papers' tables."""

import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import create, features
from kerascnn.applications.stages import stages
from support.messages import mentioning
from support.networks import without_values

# The last layer of each grid of the papers' tables: ResNet and VGG table 1, GoogLeNet table 1, Inception v3 as released
# (35, 17 and 8 pixels), AlexNet figure 2.
MAPS = {
    "resnet50": {"C2": "conv2_3_relu", "C3": "conv3_4_relu", "C4": "conv4_6_relu", "C5": "conv5_3_relu"},
    "plain18": {"C2": "conv2_2_2_relu", "C3": "conv3_2_2_relu", "C4": "conv4_2_2_relu", "C5": "conv5_2_2_relu"},
    "vgg16": {"C0": "conv1_2_relu", "C2": "conv3_3_relu", "C3": "conv4_3_relu", "C4": "conv5_3_relu", "C5": "pool5"},
    "googlenet": {"C1": "conv1_relu", "C2": "norm2", "C3": "inception_3b", "C4": "inception_4e", "C5": "inception_5b"},
    "inceptionv3": {"C3": "mixed2", "C4": "mixed7", "C5": "mixed10"},
    "alexnet": {"C2": "conv1_relu", "C3": "conv2_relu", "C4": "conv5_relu", "C5": "pool3"},
    "resnet20": {"C0": "conv2_3_relu", "C1": "conv3_3_relu", "C2": "conv4_3_relu"},
}  # fmt: skip


@pytest.mark.parametrize("name", MAPS)
def test_the_last_map_of_every_resolution(name):
    more = {"aux_heads": True} if name in ("googlenet", "inceptionv3") else {}
    model = without_values(create, name, **more)
    pyramid = features(model, list(MAPS[name]))
    assert {level: tensor._keras_history.operation.name for level, tensor in pyramid.output.items()} == MAPS[name]


def test_a_stride_in_the_second_convolution_splits_no_block():
    model = without_values(create, "resnet50", stride_in="3x3", include_top=False, input_shape=(None, None, 3))
    pyramid = features(model)
    names = [tensor._keras_history.operation.name for tensor in pyramid.output.values()]
    assert names == ["conv2_3_relu", "conv3_4_relu", "conv4_6_relu", "conv5_3_relu"]


def test_maps_of_images():
    model = create("resnet20", include_top=False, input_shape=(None, None, 3))
    pyramid = features(model, ["C1", "C2"])
    images = np.random.default_rng(0).normal(size=(2, 48, 32, 3)).astype("float32")
    maps = pyramid(images)
    assert {level: tuple(one.shape) for level, one in maps.items()} == {"C1": (2, 24, 16, 32), "C2": (2, 12, 8, 64)}
    np.testing.assert_array_equal(maps["C2"], model(images))


def test_unknown_levels():
    with mentioning(InputError, "resnet20", "'C3'", "C0, C1, C2"):
        features(without_values(create, "resnet20"))


HEAD_LAYERS = ("conv", "fc1", "fc2")


@pytest.mark.parametrize(
    ("name", "named", "heads"),
    [
        ("resnet18", "C1 C2 C3 C4 C5 head", ["predictions"]),
        ("vgg11", "C0 C1 C2 C3 C4 dense head", ["predictions"]),
        ("alexnet", "C2 C3 C4 dense head", ["predictions"]),
        (
            "googlenet",
            "C1 C2 C3 C4 C5 head",
            ["predictions", *(f"aux_4{x}_{layer}" for x in "ad" for layer in HEAD_LAYERS)],
        ),
        ("resnet20", "C0 C1 C2 head", ["predictions"]),
    ],
)
def test_every_layer_belongs_to_one_stage(name, named, heads):
    model = without_values(create, name, **({"aux_heads": True} if name == "googlenet" else {}))
    found = stages(model)
    assert " ".join(found) == named
    layers = [layer.name for stage in found.values() for layer in stage]
    assert sorted(layers) == sorted(layer.name for layer in model.layers if layer.weights)
    assert sorted(layer.name for layer in found["head"]) == sorted(heads)
