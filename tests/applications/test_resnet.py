import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import Plain18, Plain34, ResNet18, ResNet34, ResNet50, create
from support.messages import mentioning
from support.networks import without_values

# The size of each stage's maps, and the filters of its 3 x 3 convolutions.
STAGES = {"conv2": (56, 64), "conv3": (28, 128), "conv4": (14, 256), "conv5": (7, 512)}


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize(
    ("depth", "exact"), [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160), (152, 60_192_808)]
)
def test_parameters_and_shapes_of_the_table(depth, exact):
    model = without_values(create, f"resnet{depth}")
    assert trainable(model) == exact
    weighted = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense) and "shortcut" not in layer.name
    ]
    assert len(weighted) == depth
    last = {stage: [layer for layer in model.layers if layer.name.startswith(stage)][-1] for stage in STAGES}
    expansion = 1 if depth < 50 else 4
    for stage, (size, filters) in STAGES.items():
        assert tuple(last[stage].output.shape[1:]) == (size, size, expansion * filters)
    assert model.get_layer("conv1").output.shape[1:] == (112, 112, 64)


def test_shortcuts():
    a, b, c = (trainable(without_values(ResNet34, shortcut=option)) for option in "ABC")
    growing = [(64, 128), (128, 256), (256, 512)]
    assert b - a == sum(before * after + 2 * after for before, after in growing)
    same = [64] * 3 + [128] * 3 + [256] * 5 + [512] * 2
    assert c - b == sum(filters**2 + 2 * filters for filters in same)


@pytest.mark.parametrize(("plain", "residual"), [(Plain18, ResNet18), (Plain34, ResNet34)])
def test_plain_networks(plain, residual):
    network = without_values(plain)
    assert [weight.shape for weight in network.weights] == [
        weight.shape for weight in without_values(residual, shortcut="A").weights
    ]
    assert not any(isinstance(layer, keras.layers.Add) for layer in network.layers)


def test_where_a_bottleneck_has_its_stride():
    def stride(model):
        return [model.get_layer(f"conv3_1_{number}").strides for number in (1, 2)]

    assert stride(without_values(ResNet50, include_top=False)) == [(2, 2), (1, 1)]
    assert stride(without_values(ResNet50, include_top=False, stride_in="3x3")) == [(1, 1), (2, 2)]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"shortcut": "D"}, ("shortcut", "'A'", "'B'", "'C'", "'D'")),
        ({"stride_in": "7x7"}, ("stride", "'1x1'", "'3x3'", "'7x7'")),
        ({"input_shape": (31, 40, 3)}, ("32 x 32", "31 x 40")),
    ],
)
def test_rejected_arguments(arguments, parts):
    with mentioning(InputError, *parts):
        ResNet50(**arguments)
