"""The models of the best epochs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras

from kerascnn.files.atomic import atomic_path
from kerascnn.training.fine_tuning.gradual_unfreezing import all_trainable
from kerascnn.training.schedules import MAIN_ACCURACY


class BestModels(keras.callbacks.Callback):
    """Keeps the models of the epochs with the highest validation accuracies: `best-epoch-0007.keras`.

    Each is as it was validated, so it stands before `AveragedWeights` among the callbacks. Of equal epochs the earlier
    counts as better.

    Args:
        folder: gets the files.
        count: how many.
        accuracies: the main classifier's on the validation images after each epoch so far.
    """

    def __init__(self, folder: Path, count: int, accuracies: Sequence[float]):
        super().__init__()
        self.folder = folder
        self.count = count
        self.accuracies = list(accuracies)

    def on_test_end(self, logs=None):
        name = next((name for name in MAIN_ACCURACY if name.removeprefix("val_") in (logs or {})), None)
        if name is None:
            return
        self.accuracies.append(logs[name.removeprefix("val_")])
        best = sorted(range(len(self.accuracies)), key=lambda epoch: -self.accuracies[epoch])[: self.count]
        newest = len(self.accuracies) - 1
        if newest not in best:
            return
        self.folder.mkdir(exist_ok=True)
        with atomic_path(self._file(newest)) as partial, all_trainable(self.model):
            self.model.save(partial)
        kept = {self._file(epoch) for epoch in best}
        for file in self.folder.glob("best-epoch-*.keras"):
            if file not in kept:
                file.unlink()

    def _file(self, epoch: int) -> Path:
        return self.folder / f"best-epoch-{epoch + 1:04d}.keras"
