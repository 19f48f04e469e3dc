"""How fast a training goes, what it waits for, and the memory that it takes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras


class DataWaitTimer:
    """Counts the seconds in which a training stood still because its next batch was not ready.

    Example:
        >>> waiting = DataWaitTimer()
        >>> iterator = waiting.on(iter(batches))
        >>> model.train_function(iterator)
        >>> waiting.seconds
    """

    def __init__(self):
        self.seconds = 0.0

    def on(self, batches: Iterator[Any]) -> Iterator[Any]:
        """The same batches, each of them waited for with a watch in hand.

        Keras takes batches from TensorFlow's own iterators within its compiled step, where no watch can be read; from
        any other iterator it takes them before.
        """
        while True:
            asked = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            finally:
                self.seconds += time.perf_counter() - asked
            yield batch


class ThroughputMonitor(keras.callbacks.Callback):
    """Adds to each epoch's figures what training it took.

    These are the learning rate, the seconds, the images per second, the share of the seconds that was waited for data,
    the gigabytes in use and, in float16, the scale of the loss. Validation is left out of the times. It comes
    first among the callbacks, so that all others see what it adds.

    Args:
        batch_size: images a step.
        waiting: what counts the time without data; None leaves the figure out.
    """

    def __init__(self, batch_size: int, waiting: DataWaitTimer | None = None):
        super().__init__()
        self.batch_size = batch_size
        self.waiting = waiting
        self.training_seconds = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.perf_counter()
        self._waited = self.waiting.seconds if self.waiting else 0.0
        self._steps = 0
        self._seconds = None

    def on_train_batch_end(self, batch, logs=None):
        self._steps += 1

    def on_test_begin(self, logs=None):
        self._stop_the_watch()

    def on_epoch_end(self, epoch, logs=None):
        self._stop_the_watch()
        self.training_seconds += time.perf_counter() - self._started
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        logs["seconds"] = self._seconds
        logs["images_per_second"] = self._steps * self.batch_size / self._seconds
        if self.waiting:
            logs["waiting_share"] = self._waited / self._seconds
        logs["memory_gigabytes"] = memory_bytes() / 1e9
        scale = loss_scale(self.model)
        if scale is not None:
            logs["loss_scale"] = scale

    def _stop_the_watch(self) -> None:
        """Takes the times of the epoch's training, at the first call of an epoch."""
        if self._seconds is None:
            self._seconds = time.perf_counter() - self._started
            self._waited = self.waiting.seconds - self._waited if self.waiting else 0.0


def loss_scale(model: keras.Model) -> float | None:
    """What the loss is multiplied with so that gradients fit float16; None where there is no need."""
    scale = getattr(model.optimizer, "dynamic_scale", None)
    return None if scale is None else float(keras.ops.convert_to_numpy(scale))


def memory_bytes() -> int:
    """The most memory in use on the GPUs since the last call; without a GPU, what the process has now.

    Where the system does not tell the latter, it is the most that the process ever had.
    """
    import tensorflow as tf

    devices = [device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices("GPU")]
    if devices:
        peak = sum(tf.config.experimental.get_memory_info(device)["peak"] for device in devices)
        for device in devices:
            tf.config.experimental.reset_memory_stats(device)
        return peak
    pages = Path("/proc/self/statm")
    if pages.exists():
        return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
