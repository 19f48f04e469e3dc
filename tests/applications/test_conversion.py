"""`kerascnn convert`, and what it is made of: weights to other programs' layouts and back."""

import json

import h5py
import keras
import numpy as np
import pytest

import kerascnn.applications
from kerascnn.applications import ResNet18, ResNet20, ResNet50, VGG16, InceptionV3, GoogLeNet
from kerascnn.applications.keras_files import write_keras
from kerascnn.applications.keras_layouts import LAYOUTS, to_keras
from kerascnn.applications.tensor_files import read_tensors, write_safetensors
from kerascnn.layers import ClassLabels, Preprocessing
from kerascnn import InputError

TOLERANCE = 1e-4
CLASSES = 3


def randomized(model):
    """Weights none of which is 0 or 1, of a size that keeps activations in bounds."""
    generator = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            *learnt, mean, variance = layer.get_weights()
            learnt = [generator.uniform(0.3, 0.6, array.shape) for array in learnt]
            statistics = [generator.normal(0, 0.1, mean.shape), generator.uniform(0.5, 1.5, variance.shape)]
            layer.set_weights([*learnt, *statistics])
        elif len(layer.weights) == 2:
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, generator.normal(0, 0.1, bias.shape)])
    return model


def images(size):
    return np.random.default_rng(1).normal(size=(2, size, size, 3)).astype("float32")


@pytest.mark.parametrize(
    ("name", "size"),
    [("VGG16", 32), *(pytest.param(name, size, marks=pytest.mark.slow) for name, size in [("ResNet50", 64), ("InceptionV3", 107)])],
)
def test_keras_applications_reads_what_is_written(name, size, tmp_path):
    arguments = {"input_shape": (size, size, 3), "classes": CLASSES, "classifier_activation": None}
    builder = getattr(kerascnn.applications, name)
    model = randomized(builder(**arguments))
    path = tmp_path / "weights.h5"
    write_keras(path, to_keras(name, model.layers))
    peer = getattr(keras.applications, name)(weights=str(path), **arguments)
    pixels = images(size)
    expected = np.asarray(model(pixels))
    assert np.abs(expected[0] - expected[1]).max() > 1e-2
    np.testing.assert_allclose(peer(pixels), expected, rtol=0, atol=TOLERANCE)

    again = builder(weights=path, **arguments)
    for ours, before in zip(again.weights, model.weights, strict=True):
        # The epsilons' difference goes out of variances and into them again.
        np.testing.assert_allclose(ours, before, rtol=1e-6)
