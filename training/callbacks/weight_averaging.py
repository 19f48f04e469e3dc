"""Averaged weights of a training, with batch statistics that fit them."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import numpy as np

from kerascnn.keras_internals import all_layers, batch_normalizations, optimized_weights, weight_averages


class AveragedWeights(keras.callbacks.Callback):
    """Validates with the optimizer's moving averages of the weights, and leaves them in the model at the end.

    Moving statistics of batch normalization belong to the weights that produced them. For the averaged weights they
    are measured again, as the mean over training batches; afterwards the training continues with its own.

    Args:
        batches: an iterable of image batches (batch, height, width, 3), or of tuples that begin with one. It is used
            only if the model has batch normalization.

    Example:
        >>> model.fit(x, y, validation_data=(x_val, y_val), callbacks=[AveragedWeights([x[:64], x[64:128]])])
    """

    def __init__(self, batches: Iterable):
        super().__init__()
        self.batches = batches
        self._saved: list[np.ndarray] | None = None
        self._traced: tuple[bool, ...] | None = None

    def on_test_begin(self, logs=None):
        self._swap()
        self._saved = _values(self._states())
        self.measure()

    def on_test_end(self, logs=None):
        self.put_back()

    def put_back(self) -> None:
        """Restores the weights of the training, if the model has the averages."""
        if self._saved is None:
            return
        self._swap()
        _assign(self._states(), self._saved)
        self._saved = None

    def on_train_end(self, logs=None):
        # Keras has assigned the averages to the model already.
        self.measure()

    def _swap(self) -> None:
        # Keras' own SwapEMAWeights adds and subtracts, which rounds the weights at every validation.
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        weights, averages = optimized_weights(optimizer), weight_averages(optimizer)
        values = _values(weights)
        _assign(weights, _values(averages))
        _assign(averages, values)

    def _normalizations(self) -> list[keras.layers.BatchNormalization]:
        # Frozen layers do not use statistics of the batch.
        return [layer for layer in batch_normalizations(self.model) if layer.trainable]

    def _statistics(self) -> list[keras.Variable]:
        return [weight for layer in self._normalizations() for weight in (layer.moving_mean, layer.moving_variance)]

    def _states(self) -> list[keras.Variable]:
        """The variables that a forward pass in training changes: moving statistics and the seeds of dropout."""
        generators = (getattr(layer, "seed_generator", None) for layer in all_layers(self.model))
        return self._statistics() + [generator.state for generator in generators if generator is not None]

    def measure(self) -> None:
        """Replaces the moving statistics of layers that are not frozen by those of the batches."""
        statistics = self._statistics()
        if not statistics:
            return
        trainable = tuple(layer.trainable for layer in all_layers(self.model))
        if self._traced != trainable:
            # A trace is valid until layers are frozen or unfrozen.
            self._traced, self._forward = trainable, _training_pass(self.model)
        shares = [1 - layer.momentum for layer in self._normalizations() for _ in range(2)]
        zeros = [np.zeros(weight.shape, "float32") for weight in statistics]
        sums, count = [np.zeros(weight.shape) for weight in statistics], 0
        for batch in self.batches:
            _assign(statistics, zeros)
            self._forward(batch[0] if isinstance(batch, tuple | list) else batch)
            # From zero, a moving average has moved by its share of the batch's own statistics.
            for total, weight, share in zip(sums, statistics, shares, strict=True):
                total += keras.ops.convert_to_numpy(weight) / share
            count += 1
        _assign(statistics, [total / count for total in sums])


def _training_pass(model: keras.Model):
    """The model's forward pass in training, compiled if the backend is TensorFlow."""

    def forward(images):
        model(images, training=True)

    if keras.backend.backend() != "tensorflow":
        return forward
    import tensorflow as tf

    return tf.function(forward, reduce_retracing=True, autograph=False)


def _values(variables) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables, values) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
