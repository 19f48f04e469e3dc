"""Small networks of the registry, and one made by hand, whose output follows from its weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kerascnn.data.dataset import ArrayExamples, DataSet
from kerascnn.export import deployable
from kerascnn.export.metadata import ModelDescription
from kerascnn.export.tflite import QUANTIZATIONS, Graphs, write_tflite
from kerascnn.layers import ClassLabels, Preprocessing
from support.networks import size_of


@pytest.fixture
def brightness():
    """Gives an image of mean brightness b, 0 to 1, the probability 1 / (1 + exp(4 - 8 b)) of being light."""
    pixels = keras.Input((8, 8, 3), name="pixels")
    x = Preprocessing(std=255.0, name="preprocessing")(pixels)
    gray = keras.layers.Conv2D(1, 1, use_bias=False, activation="relu", name="gray")
    mean = keras.layers.GlobalAveragePooling2D(name="mean")(gray(x))
    fc = keras.layers.Dense(2, name="fc")
    probabilities = keras.layers.Softmax(name="softmax")(fc(mean))
    gray.kernel.assign(np.full((1, 1, 3, 1), 1 / 3))
    fc.set_weights([np.array([[-4.0, 4.0]]), np.array([2.0, -2.0])])
    return keras.Model(pixels, ClassLabels(["dark", "light"], name="labels")(probabilities), name="brightness")


@pytest.fixture
def grays():
    """Checkered images of mean 64, "dark", and 192, "light", in turn: 20 for training, 10 for validation."""
    checkers = 32 * (-1) ** np.indices((8, 8, 1)).sum(axis=0)
    pair = np.stack([np.broadcast_to(mean + checkers, (8, 8, 3)) for mean in (64, 192)]).astype("uint8")
    training, validation = (ArrayExamples(np.tile(pair, (count, 1, 1, 1)), np.tile([0, 1], count)) for count in (10, 5))
    return DataSet("grays", "grays", ("dark", "light"), training, validation)


ABOUT = ModelDescription("digits", "Ten digits, größer als sie waren.", author="A. Nonymous", license="MIT")


@pytest.fixture(scope="session")
def digits_files(tiny_digits_run, few_digits, tmp_path_factory):
    """A folder with one `.tflite` file per quantization."""
    folder = tmp_path_factory.mktemp("quantizations")
    shown = [few_digits.training.images[:16].astype("float32")]
    with Graphs(deployable(tiny_digits_run.model)) as graphs:
        for quantization in QUANTIZATIONS:
            write_tflite(graphs, folder / f"{quantization}.tflite", quantization, calibration=shown, description=ABOUT)
    return folder


@pytest.fixture
def size(name) -> int:
    """Height and width of a network's images."""
    return size_of(name)


@pytest.fixture(scope="session")
def randomize():
    """Gives every batch normalization and bias random values, so that mistakes change the output."""

    def values(model):
        generator = np.random.default_rng(0)
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                shape = layer.moving_mean.shape
                scale = [generator.uniform(0.6, 1.2, shape)] if layer.scale else []
                offset = [generator.normal(0, 0.2, shape)] if layer.center else []
                statistics = [generator.normal(0, 0.2, shape), generator.uniform(0.5, 1.5, shape)]
                layer.set_weights([*scale, *offset, *statistics])
            elif getattr(layer, "use_bias", False):
                layer.bias.assign(generator.normal(0, 0.1, layer.bias.shape))

    return values
