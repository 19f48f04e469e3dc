"""Weight files as keras.applications reads them."""

import keras
import numpy as np
import pytest

import kerascnn.applications
from kerascnn import InputError
from kerascnn.applications import VGG16, InceptionV3, ResNet18, ResNet50
from kerascnn.applications.weights import load as weight_files
from kerascnn.applications.weights.keras_layouts import to_keras, write_keras
from support.messages import mentioning
from support.networks import slim, without_values

TOLERANCE = 1e-4
CLASSES = 3


def randomized(model):
    """Random weights other than 0 and 1, of a size that keeps activations in bounds."""
    generator = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            *learnt, mean, variance = layer.get_weights()
            learnt = [generator.uniform(0.3, 0.6, array.shape) for array in learnt]
            statistics = [generator.normal(0, 0.1, mean.shape), generator.uniform(0.5, 1.5, variance.shape)]
            layer.set_weights([*learnt, *statistics])
        elif len(layer.weights) == 2:
            kernel, bias = layer.get_weights()
            # Without batch normalization, ReLU and padding would make activations vanish.
            layer.set_weights([1.8 * kernel, generator.normal(0, 0.1, bias.shape)])
    return model


def images(size):
    return np.random.default_rng(1).normal(size=(2, size, size, 3)).astype("float32")


def check_written(name, model, path, read):
    """Checks that keras.applications and this package read a written file.

    Args:
        read: loads the file into keras.applications' network.
    """
    write_keras(path, to_keras(name, model.layers))
    pixels = images(model.input_shape[1])
    expected = np.asarray(model(pixels))
    assert np.abs(expected[0] - expected[1]).max() > 1e-2
    np.testing.assert_allclose(read(path)(pixels), expected, rtol=0, atol=TOLERANCE)

    written = model.get_weights()
    weight_files.load(name, model.layers, path)
    for ours, before in zip(model.weights, written, strict=True):
        # The difference in epsilon is subtracted from variances and added again.
        np.testing.assert_allclose(ours, before, rtol=1e-6)


def arguments(size):
    return {"input_shape": (size, size, 3), "classes": CLASSES, "classifier_activation": None}


@pytest.mark.parametrize(
    ("name", "size"), [("VGG16", 32), ("ResNet50", 64), pytest.param("InceptionV3", 107, marks=pytest.mark.slow)]
)
def test_keras_applications_reads_what_is_written(name, size, tmp_path):
    model = randomized(slim(without_values(getattr(kerascnn.applications, name), **arguments(size))))

    def read(path):
        peer = slim(without_values(getattr(keras.applications, name), weights=None, **arguments(size)))
        peer.load_weights(path)
        return peer

    check_written(name, model, tmp_path / "weights.h5", read)


@pytest.mark.slow
def test_keras_applications_takes_it_as_weights(tmp_path):
    """The network with all its filters."""

    def read(path):
        return keras.applications.VGG16(weights=str(path), **arguments(32))

    check_written("VGG16", randomized(VGG16(**arguments(32))), tmp_path / "weights.h5", read)


def test_the_published_order_of_layers():
    """Projection, last convolution, their normalizations."""
    model = slim(without_values(ResNet50, include_top=False, input_shape=(32, 32, 3)))
    layers = [name for name in to_keras("ResNet50", model.layers) if name.startswith("conv3_block1")]
    assert layers == [
        *("conv3_block1_1_conv", "conv3_block1_1_bn", "conv3_block1_2_conv", "conv3_block1_2_bn"),
        *("conv3_block1_0_conv", "conv3_block1_3_conv", "conv3_block1_0_bn", "conv3_block1_3_bn"),
    ]


@pytest.mark.parametrize(
    ("builder", "arguments", "parts"),
    [
        (ResNet50, {"stride_in": "3x3"}, ("ResNet50", "shortcut='B'", "stride_in='1x1'")),
        (ResNet50, {"shortcut": "A"}, ("ResNet50", "shortcut='B'", "stride_in='1x1'")),
        (InceptionV3, {"variant": "torchvision"}, ("variant='released'", "stem='released'")),
        (VGG16, {"batch_norm": True}, ("VGG16", "'conv1_1_bn'")),
        (ResNet18, {}, ("ResNet18", "VGG16, VGG19, ResNet50")),
    ],
)
def test_other_variants_are_rejected(builder, arguments, parts):
    layers = without_values(builder, include_top=False, **arguments).layers
    with mentioning(InputError, "keras.applications", *parts):
        to_keras(builder.__name__, layers)
