import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import ResNet20, create
from support.messages import mentioning
from support.networks import without_values


def parameters(depth, projections=()):
    """Trainable parameters counted by hand: convolutions without biases, two numbers per channel for BN."""
    n = (depth - 2) // 6
    convolutions = 3 * 16 * 9
    normalized = 16 * (1 + 2 * n) + 32 * 2 * n + 64 * 2 * n
    convolutions += 9 * (16 * 16 * 2 * n + 16 * 32 + 32 * 32 * (2 * n - 1) + 32 * 64 + 64 * 64 * (2 * n - 1))
    for before, after in projections:
        convolutions += before * after
        normalized += after
    return convolutions + 2 * normalized + 64 * 10 + 10


@pytest.mark.parametrize(
    ("depth", "published", "exact"),
    [(20, 0.27, 269_722), (32, 0.46, 464_154), (44, 0.66, 658_586), (56, 0.85, 853_018), (110, 1.7, 1_727_962)],
)
def test_parameters(depth, published, exact):
    model = without_values(create, f"resnet{depth}")
    count = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert count == parameters(depth) == exact
    assert round(count / 1e6, 1 if depth == 110 else 2) == published
    weighted = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)]
    assert len(weighted) == depth


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_plain_networks_have_the_same_layers_and_no_shortcuts(depth):
    plain, residual = without_values(create, f"plain{depth}"), without_values(create, f"resnet{depth}")
    assert [weight.shape for weight in plain.weights] == [weight.shape for weight in residual.weights]
    assert not any(isinstance(layer, keras.layers.Add) for layer in plain.layers)


def test_projections_of_options_b_and_c():
    count = {
        option: sum(
            int(np.prod(weight.shape)) for weight in without_values(ResNet20, shortcut=option).trainable_weights
        )
        for option in "ABC"
    }
    growing = [(16, 32), (32, 64)]
    assert count["B"] == parameters(20, growing)
    assert count["C"] == parameters(20, growing + [(16, 16)] * 3 + [(32, 32)] * 2 + [(64, 64)] * 2)


def test_shapes_of_the_table():
    model = without_values(ResNet20)
    shapes = {name: model.get_layer(name).output.shape[1:] for name in ("conv1_relu", "conv2_3_relu", "conv3_3_relu")}
    assert shapes == {"conv1_relu": (32, 32, 16), "conv2_3_relu": (32, 32, 16), "conv3_3_relu": (16, 16, 32)}
    assert model.get_layer("conv4_3_relu").output.shape[1:] == (8, 8, 64)
    assert model.output.shape == (None, 10)


def test_a_block_adds_its_shortcut_before_the_last_relu():
    model = ResNet20()
    inner = {
        name: model.get_layer(name).output
        for name in ("conv3_1_2_bn", "conv2_3_relu", "conv3_1_relu", "conv3_1_shortcut")
    }
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    values = {name: np.asarray(value) for name, value in keras.Model(model.input, inner)(images).items()}
    shortcut = np.concatenate([values["conv2_3_relu"][:, ::2, ::2], np.zeros((2, 16, 16, 16))], axis=-1)
    np.testing.assert_allclose(values["conv3_1_shortcut"], shortcut)
    np.testing.assert_allclose(values["conv3_1_relu"], np.maximum(values["conv3_1_2_bn"] + shortcut, 0), atol=1e-5)


def test_other_sizes_channels_and_outputs():
    features = ResNet20(include_top=False, input_shape=(None, None, 1))
    assert features(np.zeros((1, 40, 24, 1), "float32")).shape == (1, 10, 6, 64)
    assert ResNet20(include_top=False, pooling="max").output.shape == (None, 64)
    logits = ResNet20(classes=3, classifier_activation=None, name="mine")
    assert logits.output.shape == (None, 3)
    assert logits.name == "mine"
    start = keras.layers.Rescaling(1 / 255, name="scale")(keras.Input((32, 32, 3)))
    assert ResNet20(input_tensor=start).layers[1].name == "scale"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"shortcut": "D"}, ("shortcut", "'A'", "'B'", "'C'", "'D'")),
        ({"weights": "imagenet"}, ("ResNet20", "public weights", "VGG16", "train", "file")),
    ],
)
def test_rejected_arguments(arguments, parts):
    with mentioning(InputError, *parts):
        ResNet20(**arguments)
