"""The averaged weights of a training, and the batch statistics that belong to them."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import numpy as np


class AveragedWeights(keras.callbacks.Callback):
    """Validates with the optimizer's averages of the weights, and leaves them in the model at the end.

    The statistics of batch normalization belong to the weights that made them. For the averaged weights they are
    measured anew on training batches, as their mean over those; between validations the training keeps its own.

    Args:
        batches: what to measure them on: an iterable of image batches, (batch, height, width, 3), or of tuples that
            begin with one. Only iterated over where the model normalizes.

    Example:
        >>> model.fit(x, y, validation_data=(x_val, y_val), callbacks=[AveragedWeights([x[:64], x[64:128]])])
    """

    def __init__(self, batches: Iterable):
        super().__init__()
        self.batches = batches
        self._kept: list[np.ndarray] | None = None

    def on_test_begin(self, logs=None):
        self._swap()
        self._kept = _values(self._states())
        self._measure()

    def on_test_end(self, logs=None):
        self.put_back()

    def put_back(self) -> None:
        """Gives the model the weights that it is trained with again, where it has the averages."""
        if self._kept is None:
            return
        self._swap()
        _assign(self._states(), self._kept)
        self._kept = None

    def on_train_end(self, logs=None):
        # Keras has put the averages into the model by now.
        self._measure()

    def _swap(self) -> None:
        # Keras' own SwapEMAWeights adds and subtracts, which rounds the weights at every validation.
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        weights, averages = optimizer._trainable_variables, optimizer._model_variables_moving_average
        values = _values(weights)
        _assign(weights, _values(averages))
        _assign(averages, values)

    def _normalizations(self) -> list[keras.layers.BatchNormalization]:
        """Those that measure batches; frozen ones do not, and keep their statistics."""
        layers = self.model._flatten_layers()
        return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]

    def _statistics(self) -> list[keras.Variable]:
        return [weight for layer in self._normalizations() for weight in (layer.moving_mean, layer.moving_variance)]

    def _states(self) -> list[keras.Variable]:
        """What a forward pass in training changes: the statistics, and the seeds of dropout."""
        generators = (getattr(layer, "seed_generator", None) for layer in self.model._flatten_layers())
        return self._statistics() + [generator.state for generator in generators if generator is not None]

    def _measure(self) -> None:
        statistics = self._statistics()
        if not statistics:
            return
        shares = [1 - layer.momentum for layer in self._normalizations() for _ in range(2)]
        zeros = [np.zeros(weight.shape, "float32") for weight in statistics]
        sums, count = [np.zeros(weight.shape) for weight in statistics], 0
        forward = _training_pass(self.model)
        for batch in self.batches:
            _assign(statistics, zeros)
            forward(batch[0] if isinstance(batch, tuple | list) else batch)
            # From zero, a moving average has moved by its share of the batch's own statistics.
            for total, weight, share in zip(sums, statistics, shares, strict=True):
                total += keras.ops.convert_to_numpy(weight) / share
            count += 1
        _assign(statistics, [total / count for total in sums])


def _training_pass(model: keras.Model):
    """The model's forward pass in training, compiled where the backend is TensorFlow."""

    def forward(images):
        model(images, training=True)

    if keras.backend.backend() != "tensorflow":
        return forward
    import tensorflow as tf

    return tf.function(forward, reduce_retracing=True)


def _values(variables) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables, values) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
