import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import BNInception
from kerascnn.layers import BatchNormalization
from support.messages import mentioning
from support.networks import without_values

# Figure 5: the output of each row at 224 pixels.
SHAPES = {
    "conv1": (112, 112, 64),
    "pool1": (56, 56, 64),
    "conv2": (56, 56, 192),
    "pool2": (28, 28, 192),
    "inception_3a": (28, 28, 256),
    "inception_3b": (28, 28, 320),
    "inception_3c": (14, 14, 576),
    "inception_4a": (14, 14, 576),
    "inception_4b": (14, 14, 576),
    "inception_4c": (14, 14, 576),
    "inception_4d": (14, 14, 576),
    "inception_4e": (7, 7, 1024),
    "inception_5a": (7, 7, 1024),
    "inception_5b": (7, 7, 1024),
}
# The convolutions before the modules: 9,408 + 4,096 + 110,592, and four values of batch normalization per filter.
STEM = 9_408 + 4_096 + 110_592 + 4 * (64 + 64 + 192)


@pytest.fixture(scope="module")
def model():
    return without_values(BNInception)


def convolutions(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


def parameters(model, module):
    return sum(layer.count_params() for layer in model.layers if layer.name.startswith(f"inception_{module}_"))


def test_parameters(model):
    assert model.count_params() == 11_214_888
    # 3a: kernels of 192·(64 + 64 + 64 + 32) + 9·(64·64 + 64·96 + 96·96), four values for each of 480 filters.
    assert parameters(model, "3a") == 192 * 224 + 9 * (64 * 64 + 64 * 96 + 96 * 96) + 4 * 480
    # 3c: no 1 x 1 branch, and a pool that passes its 320 channels through.
    assert parameters(model, "3c") == 320 * (128 + 64) + 9 * (128 * 160 + 64 * 96 + 96 * 96) + 4 * 544
    modules = sum(parameters(model, name.removeprefix("inception_")) for name in SHAPES if "inception" in name)
    assert modules + STEM + 1024 * 1000 + 1000 == 11_214_888


def test_shapes_of_the_table(model):
    for name, shape in SHAPES.items():
        assert model.get_layer(name).output.shape[1:] == shape, name


def test_every_convolution_is_normalized_before_its_relu(model):
    for layer in convolutions(model):
        assert not layer.use_bias
        (node,) = layer._outbound_nodes
        assert isinstance(node.operation, BatchNormalization)
        (node,) = node.operation._outbound_nodes
        assert node.operation.activation is keras.activations.relu
    # Three in the stem; seven in each module that keeps its size and five in the two that halve it.
    assert len(convolutions(model)) == 3 + 8 * 7 + 2 * 5
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in model.layers)


def test_pools_of_the_table(model):
    maxima = {
        layer.name.removesuffix("_pool").removeprefix("inception_")
        for layer in model.layers
        if isinstance(layer, keras.layers.MaxPooling2D) and layer.name.startswith("inception")
    }
    assert maxima == {"3c", "4e", "5b"}
    for module in ("3c", "4e"):
        passed = model.get_layer(f"inception_{module}").input[-1]
        assert passed is model.get_layer(f"inception_{module}_pool").output


def test_other_sizes():
    features = BNInception(include_top=False, input_shape=(None, None, 1))
    assert features(np.zeros((1, 64, 96, 1), "float32")).shape == (1, 2, 3, 1024)
    assert BNInception(input_shape=(32, 32, 3), classes=2).output.shape == (None, 2)


def test_rejected_arguments():
    with mentioning(InputError, "32 x 32", "31 x 40"):
        BNInception(input_shape=(31, 40, 3))
