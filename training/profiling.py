"""TensorFlow's profiler over a few steps of a training."""

from __future__ import annotations

import re
from pathlib import Path

import keras

from kerascnn.errors import InputError


class Profiler(keras.callbacks.Callback):
    """Records what each operation of some steps took, for TensorBoard's Profile tab.

    Args:
        folder: TensorBoard's; gets the subfolder `plugins/profile`.
        steps: the first and the last step that are recorded, counted from 1 where the training starts or goes on.

    Example:
        >>> model.fit(batches, callbacks=[Profiler(Path("logs"), (10, 20))])
    """

    def __init__(self, folder: Path, steps: tuple[int, int]):
        super().__init__()
        self.folder = folder
        self.first, self.last = steps
        self._step = 0
        self._recording = False

    def on_train_batch_begin(self, batch, logs=None):
        import tensorflow as tf

        self._step += 1
        if self._step == self.first:
            tf.profiler.experimental.start(str(self.folder))
            self._recording = True

    def on_train_batch_end(self, batch, logs=None):
        if self._step == self.last:
            self.close()

    def on_train_end(self, logs=None):
        self.close()

    def close(self) -> None:
        """Writes what was recorded so far."""
        import tensorflow as tf

        if self._recording:
            self._recording = False
            tf.profiler.experimental.stop()


def profiled_steps(text: str) -> tuple[int, int]:
    """The first and the last step that a text such as "10:20" names.

    Raises:
        InputError: it names none.
    """
    found = re.fullmatch(r"(\d+):(\d+)", text)
    first, last = map(int, found.groups()) if found else (0, 0)
    if not 1 <= first <= last:
        raise InputError(f"--profile takes the first and the last step, as 10:20, not '{text}'.")
    return first, last
