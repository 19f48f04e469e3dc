"""TensorFlow's profiler over some steps of a training."""

from __future__ import annotations

from pathlib import Path

import keras


class Profiler(keras.callbacks.Callback):
    """Records the time of every operation in some steps, for TensorBoard's Profile tab.

    Args:
        folder: TensorBoard's folder; gets the subfolder `plugins/profile`.
        steps: the first and the last step to record, counted from 1 at the start of this process' training.

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
        """Writes the recorded steps."""
        import tensorflow as tf

        if self._recording:
            self._recording = False
            tf.profiler.experimental.stop()
