"""The speed of a training, the time it waits for data, its memory, and a profile of its steps."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras


class DataWaitTimer:
    """Counts the `seconds` in which a training waits for its next batch."""

    def __init__(self):
        self.seconds = 0.0

    def on(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Yields the same batches and times each of them.

        Keras takes batches from TensorFlow's own iterators inside its compiled step, where no clock can be read; from
        any other iterator it takes them before the step.
        """
        while True:
            started = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            finally:
                self.seconds += time.perf_counter() - started
            yield batch


class ThroughputMonitor(keras.callbacks.Callback):
    """Adds the cost of training to each epoch's metrics.

    It adds learning rate, seconds, images per second, the share of the seconds spent waiting for data, the gigabytes
    in use and, with float16, the loss scale. Times exclude validation. It must be the first callback, so that all
    others see these values. Without the timer `waiting` the share of waits is left out.
    """

    def __init__(self, batch_size: int, waiting: DataWaitTimer | None = None):
        super().__init__()
        self.batch_size, self.waiting, self.training_seconds = batch_size, waiting, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.perf_counter()
        self._waited = self.waiting.seconds if self.waiting else 0.0
        self._steps = 0
        self._seconds = None

    def on_train_batch_end(self, batch, logs=None):
        self._steps += 1

    def on_test_begin(self, logs=None):
        self._stop_timer()

    def on_epoch_end(self, epoch, logs=None):
        self._stop_timer()
        # A probe has measured its own time.
        logs.setdefault("seconds", self._seconds)
        logs.setdefault("images_per_second", self._steps * self.batch_size / self._seconds)
        self.training_seconds += time.perf_counter() - self._started + (0 if self._steps else logs["seconds"])
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        if self.waiting:
            logs["waiting_share"] = self._waited / self._seconds
        logs["memory_gigabytes"] = memory_bytes() / 1e9
        scale = loss_scale(self.model)
        if scale is not None:
            logs["loss_scale"] = scale

    def _stop_timer(self) -> None:
        """Takes the times of the epoch's training, at the first call in an epoch."""
        if self._seconds is None:
            self._seconds = time.perf_counter() - self._started
            self._waited = self.waiting.seconds - self._waited if self.waiting else 0.0


class Profiler(keras.callbacks.Callback):
    """Records the time of every operation in some steps, for TensorBoard's Profile tab, in `folder`/plugins/profile.

    `steps` are the first and the last step to record, counted from 1 at the start of this process' training.
    """

    def __init__(self, folder: Path, steps: tuple[int, int]):
        super().__init__()
        self.folder = folder
        self.first, self.last = steps
        self._step, self._recording = 0, False

    def on_train_batch_begin(self, batch, logs=None):
        import tensorflow as tf

        self._step += 1
        if self._step == self.first:
            tf.profiler.experimental.start(str(self.folder))
            self._recording = True
        if self._recording:
            # TensorBoard's overview divides the time by these marks of steps.
            self._mark = tf.profiler.experimental.Trace("train", step_num=self._step, _r=1)
            self._mark.__enter__()

    def on_train_batch_end(self, batch, logs=None):
        if self._recording:
            self._mark.__exit__(None, None, None)
        if self._step == self.last:
            self.close()

    def on_train_end(self, logs=None):
        self.close()

    def close(self) -> None:
        import tensorflow as tf

        if self._recording:
            self._recording = False
            tf.profiler.experimental.stop()


def loss_scale(model: keras.Model) -> float | None:
    """The factor on the loss that keeps gradients in the range of float16; None without loss scaling."""
    scale = getattr(model.optimizer, "dynamic_scale", None)
    return None if scale is None else float(keras.ops.convert_to_numpy(scale))


def memory_bytes() -> int:
    """The peak of the GPUs' memory since the last call; without a GPU, the memory of the process.

    Outside Linux the latter is the peak since the process started.
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
