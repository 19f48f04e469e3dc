"""The private names of Keras and TensorFlow still exist and do what the package expects."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.training.strategy import keras_internals
from kerascnn.training.strategy.keras_internals import TESTED_VERSIONS


@pytest.mark.parametrize("module", [keras, tf], ids=["keras", "tensorflow"])
def test_installed_versions_are_tested_ones(module):
    """After an upgrade, run this folder's tests and the tests of callbacks, and add the version."""
    assert module.__version__ in TESTED_VERSIONS[module.__name__]


@pytest.fixture
def model():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()])
    pixels = keras.Input((4,))
    model = keras.Model(pixels, keras.layers.Dense(2)(inner(pixels)))
    model.compile(keras.optimizers.SGD(0.1, use_ema=True, global_clipnorm=0.1), "mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    return model


def test_nested_layers_are_found(model):
    kinds = [type(layer).__name__ for layer in keras_internals.all_layers(model)]
    assert kinds.count("Dense") == 2 and kinds.count("BatchNormalization") == 1
    assert len(keras_internals.batch_normalizations(model)) == 1


def test_losses_and_metrics_are_built_without_a_batch(model):
    assert len(model.metrics_variables) < 4
    batch = keras.KerasTensor((1, 4)), keras.KerasTensor((1, 2))
    keras_internals.build_losses_and_metrics(model, batch)
    # Sums and counts of the loss and of the mean absolute error.
    assert len(model.metrics_variables) == 4


def test_weights_and_averages(model):
    weights, averages = keras_internals.weights_and_averages(model.optimizer)
    assert [weight.shape for weight in weights] == [average.shape for average in averages]
    assert [id(weight) for weight in weights] == [id(weight) for weight in model.trainable_variables]


def test_gradients_are_observed_before_they_are_clipped(model):
    observed = []
    keras_internals.observe_gradients(model.optimizer, observed.extend)
    gradients = [tf.ones(variable.shape) for variable in model.trainable_variables]
    model.optimizer.apply(gradients, model.trainable_variables)
    for one, gradient in zip(observed, gradients, strict=True):
        np.testing.assert_array_equal(one, gradient)
