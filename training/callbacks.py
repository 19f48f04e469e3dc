"""The figures that a training adds to those of its metrics."""

from __future__ import annotations

import time

import keras


class Pace(keras.callbacks.Callback):
    """Adds the learning rate, the seconds and the images per second of training to each epoch's figures.

    It comes first among the callbacks, so that all others see what it adds.
    """

    def __init__(self, images_per_step: int):
        super().__init__()
        self.images_per_step = images_per_step
        self.training_seconds = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.perf_counter()
        self._stopped = None
        self._steps = 0

    def on_train_batch_end(self, batch, logs=None):
        # Of an epoch that was stopped, only the rest is timed.
        self._steps += 1

    def on_test_begin(self, logs=None):
        self._stopped = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        seconds = (self._stopped or time.perf_counter()) - self._started
        self.training_seconds += time.perf_counter() - self._started
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        logs["seconds"] = seconds
        logs["images_per_second"] = self._steps * self.images_per_step / seconds
