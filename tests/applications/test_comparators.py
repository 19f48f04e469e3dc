"""NIN, DSN, maxout, FitNets, highway networks and PReLU-nets: counts, derived by hand, and shapes."""

import itertools

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import DSN, NIN, FitNet4, Highway19, Highway32, Maxout, PReLUNetA, registry
from kerascnn.applications.cutting import cut, last_features, place_named, places
from kerascnn.applications.stages import stages
from kerascnn.applications.weights import load as weights
from support.messages import mentioning
from support.networks import slim, small, without_values


def conv(size, before, after):
    return size * size * before * after + after


def dense(before, after):
    return before * after + after


# From one 3 x 3 convolution to the next, by the filters.
def chain(*filters, pieces=1):
    return sum(pieces * conv(3, before, after) for before, after in itertools.pairwise(filters))


def highway_layers(filters, *sizes):
    """A convolution and a gate each."""
    return sum(2 * conv(size, filters, filters) for size in sizes)


# The parts of NIN: blocks of a convolution and two of 1 x 1.
NIN_PARTS = (
    *(conv(5, 3, 192), conv(1, 192, 160), conv(1, 160, 96)),
    *(conv(5, 96, 192), conv(1, 192, 192), conv(1, 192, 192)),
    *(conv(3, 192, 192), conv(1, 192, 192), conv(1, 192, 10)),
)
FITNET_FILTERS = {
    "fitnet1": (3, 16, 16, 16, 32, 32, 32, 48, 48, 64),
    "fitnet2": (3, 16, 32, 32, 48, 64, 80, 96, 96, 128),
    "fitnet3": (3, 32, 48, 64, 64, 80, 80, 80, 80, 128, 128, 128),
    "fitnet4": (3, 32, 32, 32, 48, 48, *[80] * 6, *[128] * 6),
}


def prelu_net(first, second, third, count):
    """Convolutions and their slopes, one per filter; 63 bins of the last maps, two dense layers and their slopes."""
    stage = [96, *[first] * count, *[second] * count, *[third] * count]
    convolutions = conv(7, 3, 96) + chain(*stage) + sum(stage)
    return convolutions + dense(63 * third, 4096) + dense(4096, 4096) + 2 * 4096 + dense(4096, 1000)


PARAMETERS = {
    "nin": sum(NIN_PARTS),
    "dsn": sum(NIN_PARTS),
    # 8 x 8, 8 x 8, 5 x 5 of two pieces; 5 x 5 positions of 192 channels; five pieces.
    "maxout": 2 * (conv(8, 3, 96) + conv(8, 96, 192) + conv(5, 192, 192)) + 5 * dense(4800, 500) + dense(500, 10),
    **{
        name: chain(*filters, pieces=2) + 5 * dense(filters[-1], 500) + dense(500, 10)
        for name, filters in FITNET_FILTERS.items()
    },
    "highway19": conv(3, 3, 32)
    + conv(3, 32, 80)
    + conv(3, 80, 128)
    + highway_layers(32, *[3] * 4)
    + highway_layers(80, *[3] * 5)
    + highway_layers(128, *[3] * 5)
    + conv(1, 128, 100)
    + dense(100, 10),
    "highway32": chain(3, 32, 64, 96)
    + sum(highway_layers(filters, *[1, 3] * 4, 1) for filters in (32, 64, 96))
    + conv(1, 96, 100)
    + dense(100, 10),
    "preluneta": prelu_net(256, 512, 512, 5),
    "prelunetb": prelu_net(256, 512, 512, 6),
    "prelunetc": prelu_net(384, 768, 896, 6),
}
# Layers with weights in a row, as the papers count: a gate or a piece is no layer of its own.
DEPTHS = {
    **{"nin": 9, "dsn": 9, "maxout": 5, "fitnet1": 11, "fitnet2": 11, "fitnet3": 13, "fitnet4": 19},
    **{"highway19": 19, "highway32": 32, "preluneta": 19, "prelunetb": 22, "prelunetc": 22},
}


def test_the_sums_by_hand():
    assert PARAMETERS["nin"] == 966_986  # as published programs count
    assert PARAMETERS["maxout"] == 16_247_830
    assert [PARAMETERS[name] for name in FITNET_FILTERS] == [348_694, 1_057_622, 1_699_638, 2_742_102]
    assert (PARAMETERS["highway19"], PARAMETERS["highway32"]) == (2_256_838, 1_264_502)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_and_depth(name):
    model = without_values(registry.create, name)
    assert model.count_params() == PARAMETERS[name]
    layers = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)]
    pieces = 5 if name == "maxout" or "fitnet" in name else 0
    one_each = {layer.rsplit("_", 1)[0] if pieces or "gate" in layer else layer for layer in layers}
    assert len(one_each) == DEPTHS[name]


def shapes(model, *names):
    return [model.get_layer(name).output.shape[1:] for name in names]


def test_shapes_of_nin():
    model = without_values(NIN)
    assert shapes(model, "cccp2", "pool1", "pool2", "cccp6") == [(32, 32, 96), (16, 16, 96), (8, 8, 192), (8, 8, 10)]
    assert model.get_layer("avg_pool").input is model.get_layer("cccp6_relu").output


def test_shapes_of_maxout():
    model = without_values(Maxout)
    expected = [(33, 33, 96), (16, 16, 96), (15, 15, 192), (7, 7, 192), (9, 9, 192), (5, 5, 192)]
    assert shapes(model, "conv1", "pool1", "conv2", "pool2", "conv3", "pool3") == expected


def test_shapes_of_fitnet_and_highway():
    # The hint of the authors' configuration: their "h10" is the eleventh convolution.
    assert shapes(without_values(FitNet4), "conv5", "conv11", "conv17") == [(32, 32, 48), (16, 16, 80), (8, 8, 128)]
    layers = ("conv5_highway", "conv11_highway", "conv17_highway", "conv18")
    assert shapes(without_values(Highway19), *layers) == [(32, 32, 32), (16, 16, 80), (8, 8, 128), (8, 8, 100)]
    sizes = [without_values(Highway32).get_layer(f"conv{number}_gate").kernel_size for number in (2, 3, 19, 30)]
    assert sizes == [(1, 1), (3, 3), (3, 3), (1, 1)]


def test_shapes_of_prelu_nets():
    model = without_values(PReLUNetA)
    layers = ("conv1", "conv2_5", "conv3_5", "conv4_5", "spp")
    assert shapes(model, *layers) == [(112, 112, 96), (56, 56, 256), (28, 28, 512), (14, 14, 512), (32256,)]
    assert model.get_layer("conv2_1_prelu").alpha.shape == (1, 1, 256)
    # The dense layers fit images of other sizes.
    larger = without_values(PReLUNetA, input_shape=(160, 256, 3))
    assert larger.count_params() == model.count_params()


def test_pools_of_maxout_begin_at_the_first_pixel_and_cover_the_last():
    size = 8
    model = without_values(Maxout, input_shape=(size, size, 3), include_top=False)
    maps = model.get_layer("pool1_halves").input
    assert maps.shape[1:3] == (9, 9)
    values = np.random.default_rng(0).normal(size=(1, 9, 9, 96)).astype("float32")
    found = keras.Model(maps, model.get_layer("pool1").output).predict(values, verbose=0)
    # Windows of 4 from pixels 0, 2, 4 and, over the border, 6.
    expected = [[values[0, y : y + 4, x : x + 4].max(axis=(0, 1)) for x in (0, 2, 4, 6)] for y in (0, 2, 4, 6)]
    np.testing.assert_array_equal(found[0], expected)


def test_dsn_is_nin_without_the_last_relu_and_with_companions():
    model = without_values(DSN, aux_heads=True)
    assert list(model.output) == ["main", "aux_conv1", "aux_conv2", "aux_conv3"]
    companions = sum(dense(side * side * 192, 10) for side in (32, 16, 8))
    assert model.count_params() == PARAMETERS["dsn"] + companions == 966_986 + 2_580_510
    flat = model.get_layer("aux_conv1_flatten")
    assert flat.input is model.get_layer("conv1").output
    assert model.get_layer("avg_pool").input is model.get_layer("cccp6").output


def test_the_classifier_of_nin_is_its_head():
    found = stages(without_values(small, "dsn", aux_heads=True))
    assert [layer.name for layer in found["head"]] == ["cccp6", "aux_conv1_fc", "aux_conv2_fc", "aux_conv3_fc"]
    features = stages(without_values(small, "nin", include_top=False, pooling="avg"))
    assert "head" not in features and features["C2"][-1].name == "cccp5"


@pytest.mark.parametrize("name", ["nin", "dsn"])
def test_networks_without_a_dense_layer_are_cut_below_their_classifier(name):
    """The new classifier has the old one's classes, activation and initial values, and its classes no place."""
    network = without_values(small, name, classifier_activation="sigmoid")
    assert [place.name for place in places(network)][-2:] == ["conv3_relu", "cccp5_relu"]
    assert last_features(network) is None
    with mentioning(InputError, "cccp6", "cccp5_relu"):
        place_named(network, "cccp6")
    left = cut(network, "C1")
    assert left.get_layer("cut_pool").input[0].shape[-1] == 192
    classifier = left.get_layer("predictions")
    assert classifier.kernel.shape == (2 * 192, 3) and classifier.activation is keras.activations.sigmoid
    assert classifier.kernel_initializer.stddev == 0.05


def test_nin_for_any_number_of_classes_has_no_last_relu():
    """Behind it, a sigmoid would be one half or more."""
    model = without_values(small, "nin", classifier_activation="sigmoid")
    assert model.get_layer("avg_pool").input is model.get_layer("cccp6").output
    with mentioning(InputError, "NIN", "classifier_activation='softmx'"):
        NIN(classifier_activation="softmx")


def test_weights_of_nin_without_and_with_another_classifier(tmp_path):
    file = tmp_path / "nin.weights.h5"
    model = NIN(classes=4)
    model.save_weights(file)
    features = NIN(include_top=False, weights=file)
    np.testing.assert_array_equal(features.get_layer("cccp5").kernel, model.get_layer("cccp5").kernel)
    with mentioning(InputError, "'cccp6'", "4 classes", "classes=3"):
        NIN(classes=3, weights=file)


@pytest.mark.parametrize("name", ["dsn", "maxout", "fitnet1", "highway19", "preluneta"])
def test_weights_of_a_whole_network_without_its_top(name, tmp_path):
    file = tmp_path / "whole.weights.h5"
    whole, features = (slim(without_values(small, name, include_top=top)) for top in (True, False))
    whole.save_weights(file)
    weights.load(registry.info(name).builder, features.layers, file)
    for layer in filter(lambda layer: layer.weights, features.layers):
        np.testing.assert_array_equal(layer.get_weights()[0], whole.get_layer(layer.name).get_weights()[0])


def test_highway_layers_begin_by_passing_their_input_on():
    model = small("highway19")
    gate = model.get_layer("conv2_gate")
    np.testing.assert_array_equal(gate.bias, -2.0)
    assert not np.any(model.get_layer("conv2").bias)


@pytest.mark.parametrize(
    ("build", "arguments", "parts"),
    [
        (Maxout, {"input_shape": (7, 7, 3)}, ("8 x 8", "7 x 7")),
        (PReLUNetA, {"input_shape": (96, 96, 3)}, ("112 x 112", "96 x 96")),
        (PReLUNetA, {"input_shape": (None, None, 3)}, ("height and width",)),
        (DSN, {"input_shape": (None, None, 3), "aux_heads": True}, ("height and width",)),
    ],
)
def test_rejected_arguments(build, arguments, parts):
    with mentioning(InputError, *parts):
        build(**arguments)
