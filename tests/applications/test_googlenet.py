import math

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import GoogLeNet, GoogLeNetTorchvision
from kerascnn.applications.weights import load as weight_files
from kerascnn.applications.weights.tensor_files import write_safetensors
from kerascnn.applications.weights.torch_layouts import to_torch
from kerascnn.layers import BatchNormalization, LocalResponseNormalization
from support.messages import mentioning
from support.networks import without_values

# The paper's table 1: output of each module, and the parameters that its row gives, with biases.
MODULES = {
    "3a": ((28, 28, 256), 163_696),
    "3b": ((28, 28, 480), 388_736),
    "4a": ((14, 14, 512), 376_176),
    "4b": ((14, 14, 512), 449_160),
    "4c": ((14, 14, 512), 510_104),
    "4d": ((14, 14, 528), 605_376),
    "4e": ((14, 14, 832), 868_352),
    "5a": ((7, 7, 832), 1_043_456),
    "5b": ((7, 7, 1024), 1_444_080),
}


@pytest.fixture(scope="module")
def model():
    return without_values(GoogLeNet, aux_heads=True)


def test_parameters(model):
    assert without_values(GoogLeNet).count_params() == 6_998_552
    assert model.count_params() == 13_378_280


def test_shapes_and_parameters_of_the_table(model):
    for module, (shape, parameters) in MODULES.items():
        assert model.get_layer(f"inception_{module}").output.shape[1:] == shape
        layers = [layer for layer in model.layers if layer.name.startswith(f"inception_{module}_")]
        assert sum(layer.count_params() for layer in layers) == parameters
    stem = {"conv1": (112, 112, 64), "pool1": (56, 56, 64), "conv2": (56, 56, 192), "pool2": (28, 28, 192)}
    for name, shape in stem.items():
        assert model.get_layer(name).output.shape[1:] == shape
    assert model.get_layer("aux_4a_pool").output.shape[1:] == (4, 4, 512)
    assert model.get_layer("aux_4d_pool").output.shape[1:] == (4, 4, 528)


def test_depth_and_order(model):
    main = without_values(GoogLeNet)
    weighted = [layer.name for layer in main.layers if layer.weights]
    # Two deep in each of nine modules, three convolutions in the stem, one dense layer: 22.
    assert len(weighted) == 3 + 9 * 6 + 1
    order = [layer.name for layer in main.layers]
    assert order.index("pool1") < order.index("norm1") < order.index("conv2_reduce")
    assert order.index("conv2_relu") < order.index("norm2") < order.index("pool2")
    assert isinstance(main.get_layer("norm1"), LocalResponseNormalization)
    rates = {layer.name: layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
    assert rates == {"dropout": 0.4, "aux_4a_dropout": 0.7, "aux_4d_dropout": 0.7}


def test_outputs_are_a_dict_of_three(model):
    assert set(model.output) == {"main", "aux_4a", "aux_4d"}
    assert all(output.shape == (None, 1000) for output in model.output.values())


def test_concatenation_follows_the_table(model):
    inputs = [tensor._keras_history.operation.name for tensor in model.get_layer("inception_3a").input]
    branches = ("1x1", "3x3", "5x5", "pool_proj")
    assert inputs == [f"inception_3a_{branch}_relu" for branch in branches]


def test_batch_normalization_takes_the_place_of_local_response_normalization():
    model = without_values(GoogLeNet, batch_norm=True, aux_heads=True)
    # 57 convolutions with 7,280 filters: four values of batch normalization for each instead of a bias.
    assert without_values(GoogLeNet, batch_norm=True).count_params() == 6_998_552 + 3 * 7_280 == 7_020_392
    # And in each head 128 filters and 1024 units.
    assert model.count_params() == 13_378_280 + 3 * 7_280 + 2 * 3 * (128 + 1024) == 13_407_032
    assert not any(isinstance(layer, LocalResponseNormalization) for layer in model.layers)
    activated = [layer for layer in model.layers if layer.name.endswith("_relu")]
    assert len(activated) == 57 + 2 * 2
    for layer in activated:
        assert isinstance(layer.input._keras_history.operation, BatchNormalization)


def test_naive_modules():
    model = without_values(GoogLeNet, module="naive")
    assert model.count_params() == 97_526_008
    # 3a: 64 + 128 + 32 filters and the 192 channels that its pool passes through.
    assert model.get_layer("inception_3a").output.shape[1:] == (28, 28, 416)
    # 3b, on 416 channels, of which it passes all: 128 + 192 + 96 filters.
    assert model.get_layer("inception_3b").output.shape[1:] == (28, 28, 832)
    layers = [layer for layer in model.layers if layer.name.startswith("inception_3b_")]
    assert sum(layer.count_params() for layer in layers) == 416 * (128 + 9 * 192 + 25 * 96) + 416
    assert not any("reduce" in layer.name or "proj" in layer.name for layer in layers)


def trainable(layers):
    return sum(math.prod(weight.shape) for layer in layers for weight in layer.trainable_weights)


def test_torchvisions_network():
    # As torchvision publishes them; its heads have 3,188,968 and 3,191,016.
    assert trainable(without_values(GoogLeNetTorchvision).layers) == 6_624_904
    layers = without_values(GoogLeNetTorchvision, aux_heads=True).layers
    heads = sum(before * 128 + 2 * 128 + 2049 * 1024 + 1025 * 1000 for before in (512, 528))
    assert trainable(layers) == 6_624_904 + heads == 13_004_888
    by_name = {layer.name: layer for layer in layers}
    for module, (shape, _) in MODULES.items():
        assert by_name[f"inception_{module}"].output.shape[1:] == shape
        assert by_name[f"inception_{module}_5x5"].kernel_size == (3, 3)
    # Four of the fourteen rows of pixels each, which overlap.
    assert by_name["aux_4a_pool"].output.shape[1:] == (4, 4, 512)
    normalizations = [layer for layer in layers if isinstance(layer, BatchNormalization)]
    assert len(normalizations) == 57 + 2
    assert {layer.epsilon for layer in normalizations} == {1e-3}
    assert by_name["dropout"].rate == 0.2


def test_torchvisions_pools_begin_at_the_first_pixel():
    sizes = [48, 24, 12, 6, 3]  # pixels, conv1, pool1, pool2, pool3; 3 are left to two windows of 2
    layers = without_values(GoogLeNetTorchvision, include_top=False, input_shape=(48, 48, 3)).layers
    by_name = {layer.name: layer for layer in layers}
    found = [by_name[name].output.shape[1] for name in ("pixels", "conv1", "pool1", "pool2", "pool3", "pool4")]
    assert found == [*sizes, 2]
    # Of 25 pixels, a window at the first and eleven more; none that begins before.
    odd = without_values(GoogLeNetTorchvision, include_top=False, input_shape=(49, 49, 3)).layers
    assert {layer.name: layer.output.shape[1] for layer in odd}["pool1"] == 12


def test_other_sizes():
    features = GoogLeNet(include_top=False, input_shape=(None, None, 3))
    assert features(np.zeros((1, 64, 96, 3), "float32")).shape == (1, 2, 3, 1024)
    heads = GoogLeNet(aux_heads=True, input_shape=(65, 65, 3), classes=2)
    assert heads.get_layer("aux_4d_pool").output.shape[1:] == (1, 1, 528)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"input_shape": (31, 31, 3)}, ("32 x 32", "31 x 31")),
        ({"input_shape": (64, 64, 3), "aux_heads": True}, ("65 x 65", "64 x 64")),
        ({"input_shape": (None, None, 3), "aux_heads": True}, ("height and width",)),
        ({"module": "residual"}, ("module", "'inception'", "'naive'", "'residual'")),
    ],
)
def test_rejected_arguments(arguments, parts):
    with mentioning(InputError, *parts):
        GoogLeNet(**arguments)


@pytest.mark.parametrize("arguments", [{}, {"batch_norm": True}, {"module": "inception"}])
def test_public_weights_are_of_torchvisions_network(arguments, monkeypatch):
    monkeypatch.setattr(weight_files, "check", lambda *arguments: None)
    monkeypatch.setattr(weight_files, "load", lambda *arguments: None)
    model = without_values(GoogLeNet, weights="torchvision", include_top=False, **arguments)
    expected = without_values(GoogLeNetTorchvision, include_top=False, name="googlenet")
    assert model.get_config() == expected.get_config()
    assert model.preprocessing_mode == expected.preprocessing_mode == "symmetric"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"batch_norm": False}, ("batch_norm=False", "batch_norm=True")),
        ({"module": "naive"}, ("module='naive'", "module='inception'")),
    ],
)
def test_options_that_conflict_with_public_weights(arguments, parts):
    with mentioning(InputError, "GoogLeNet", "'torchvision'", *parts):
        GoogLeNet(weights="torchvision", **arguments)


def test_weight_files_of_torchvisions_network(tmp_path):
    """A file in torchvision's layout sets the network; a conflicting option is an error that names it."""
    size = {"input_shape": (65, 65, 3), "classes": 2}
    expected = GoogLeNetTorchvision(**size)
    write_safetensors(tmp_path / "mine.safetensors", to_torch("GoogLeNetTorchvision", expected.layers))
    model = GoogLeNet(weights=tmp_path / "mine.safetensors", **size)
    for one, other in zip(model.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    with mentioning(InputError, "mine.safetensors", "GoogLeNetTorchvision"):
        GoogLeNet(weights=tmp_path / "mine.safetensors", batch_norm=False, **size)
