"""What happens beside the optimization: figures, checkpoints, the history file."""

from __future__ import annotations

import os
import time

import keras

from .run_folder import RunFolder


class Pace(keras.callbacks.Callback):
    """Adds the learning rate, the seconds and the images per second of training to each epoch's figures.

    It comes first among the callbacks, so that all others see what it adds.
    """

    def __init__(self, images_per_epoch: int):
        super().__init__()
        self.images_per_epoch = images_per_epoch
        self.training_seconds = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.perf_counter()
        self._stopped = None

    def on_test_begin(self, logs=None):
        self._stopped = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        seconds = (self._stopped or time.perf_counter()) - self._started
        self.training_seconds += time.perf_counter() - self._started
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        logs["seconds"] = seconds
        logs["images_per_second"] = self.images_per_epoch / seconds


class Checkpoints(keras.callbacks.Callback):
    """Keeps the state after the last epoch: weights, optimizer and the number of the epoch, in one file.

    The file is complete before the one of the epoch before is removed.
    """

    def __init__(self, folder: RunFolder):
        super().__init__()
        self.folder = folder

    def on_epoch_end(self, epoch, logs=None):
        self.keep(epoch + 1)

    def keep(self, epochs_done: int) -> None:
        """Writes the state after `epochs_done` epochs."""
        self.folder.checkpoints.mkdir(exist_ok=True)
        earlier = list(self.folder.checkpoints.glob("epoch-*.keras"))
        target = self.folder.checkpoint_file(epochs_done)
        partial = target.with_name(f"partial-{target.name}")
        self.model.save(partial)
        os.replace(partial, target)
        for file in earlier:
            if file != target:
                file.unlink()

    def clear_partial(self) -> None:
        """Removes what a stop in the middle of writing left."""
        for partial in self.folder.checkpoints.glob("partial-*"):
            partial.unlink()
