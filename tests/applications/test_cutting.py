"""Cutting networks: where they can be cut, by which names, and what is left."""

from __future__ import annotations

import keras
import pytest

from kerascnn import InputError
from kerascnn.applications import create
from kerascnn.applications.cutting import cut, last_features, place_named, places
from support.messages import mentioning
from support.networks import small, without_values


@pytest.fixture(scope="module")
def inception():
    return without_values(small, "inceptionv3")


def test_a_place_is_where_a_block_ends(inception):
    """Inception v3's modules, and in the stem each convolution."""
    found = [(place.name, place.stage) for place in places(inception)]
    assert found[-11:] == [
        *[(f"mixed{number}", "C3") for number in range(3)],
        *[(f"mixed{number}", "C4") for number in range(3, 8)],
        *[(f"mixed{number}", "C5") for number in range(8, 11)],
    ]
    assert last_features(inception) is places(inception)[-1].tensor


def test_deep_networks_have_at_most_sixteen():
    deep = places(without_values(create, "resnet152", classes=3, input_shape=(64, 64, 3)))
    assert len(deep) == 16
    assert {place.stage for place in deep} >= {"C2", "C3", "C4", "C5"}
    assert deep[-1].tensor.shape[1:] == (2, 2, 2048)


def test_a_chain_can_be_cut_after_each_convolution():
    chain = without_values(small, "vgg11")
    assert [place.name for place in places(chain)] == [
        *("conv1_1_relu", "conv2_1_relu", "conv3_1_relu", "conv3_2_relu"),
        *("conv4_1_relu", "conv4_2_relu", "conv5_1_relu", "conv5_2_relu"),
    ]
    # Dense layers come before its classifier.
    assert last_features(chain).shape == (None, 4096)


def test_others_networks_have_places_too():
    theirs = keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=3)
    found = [place.name for place in places(theirs)]
    assert {"block_7_add", "block_12_add", "out_relu"} <= set(found)
    assert cut(theirs, "block_12_add").output_shape == (None, 3)


@pytest.mark.parametrize(
    ("name", "layer"),
    [("C4", "mixed7"), ("c3", "mixed2"), ("mixed5", "mixed5"), ("conv3", "conv3_relu"), ("C5", "mixed10")],
)
def test_names(inception, name, layer):
    assert place_named(inception, name).name == layer


def test_places_that_are_none(inception):
    with mentioning(InputError, "mixed12", "mixed10"):
        place_named(inception, "mixed12")
    with mentioning(InputError, "mixed5_1x1", "C4", "other maps"):
        place_named(inception, "mixed5_1x1")


def test_what_is_left(inception):
    """A cut network has the layers below, a classifier of the old one's name, and for each class its weights."""
    left = cut(inception, "mixed7")
    assert left.get_layer("predictions").kernel.shape == (2 * 768, 3)
    assert left.get_layer("mixed7") is inception.get_layer("mixed7")
    removed = [layer for layer in inception.layers if layer.name.startswith(("mixed8", "mixed9", "mixed10"))]
    classifiers = (2048 + 1) * 3 - (2 * 768 + 1) * 3
    assert inception.count_params() - left.count_params() == classifiers + sum(one.count_params() for one in removed)


def test_a_classifier_whose_activation_is_not_known_is_not_replaced():
    pixels = keras.Input((8, 8, 3))
    maps = keras.layers.Conv2D(3, 1)(keras.layers.Conv2D(4, 3, name="conv1")(pixels))
    mine = keras.Model(pixels, keras.ops.softmax(keras.layers.GlobalAveragePooling2D()(maps)), name="mine")
    with mentioning(InputError, "mine", "no activation"):
        cut(mine, "conv1")
