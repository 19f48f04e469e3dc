"""Files that are written after every epoch: the history of the metrics, and the best models."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import keras

from kerascnn.files.atomic import atomic_path, atomic_write
from kerascnn.metric_names import main_accuracy
from kerascnn.training.fine_tuning.gradual_unfreezing import all_trainable


class HistoryFile(keras.callbacks.Callback):
    """Writes the metrics of all epochs to a CSV file that is complete at any time; `rows` are the epochs before."""

    def __init__(self, file: Path, rows: list[dict[str, float]]):
        super().__init__()
        self.file, self.rows = file, list(rows)

    def on_train_begin(self, logs=None):
        # Removes rows of epochs that are trained again.
        self.write()

    def on_epoch_end(self, epoch, logs=None):
        self.rows.append({"epoch": epoch, **logs})
        self.write()

    def write(self) -> None:
        """Writes all rows."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ["epoch", *sorted({name for row in self.rows for name in row} - {"epoch"})])
        writer.writeheader()
        writer.writerows(self.rows)
        with atomic_write(self.file) as file:
            file.write(text.getvalue().encode())


class BestModels(keras.callbacks.Callback):
    """Saves the models of the epochs with the highest validation accuracies (mAPs): `best-epoch-0007.keras`.

    Models are saved as they were validated, so this callback must come before `AveragedWeights`. Of equal epochs the
    earlier counts as better.

    `accuracies` are the main classifier's on the validation images, after each earlier epoch.
    """

    def __init__(self, folder: Path, count: int, accuracies: Sequence[float]):
        super().__init__()
        self.folder, self.count, self.accuracies = folder, count, list(accuracies)

    def on_test_end(self, logs=None):
        name = main_accuracy([f"val_{name}" for name in logs or {}])
        if name is None:
            return
        self.accuracies.append(logs[name.removeprefix("val_")])
        best = sorted(range(len(self.accuracies)), key=lambda epoch: -self.accuracies[epoch])[: self.count]
        files = {epoch: self.folder / f"best-epoch-{epoch + 1:04d}.keras" for epoch in best}
        newest = files.get(len(self.accuracies) - 1)
        if newest is None:
            return
        self.folder.mkdir(exist_ok=True)
        with atomic_path(newest) as partial, all_trainable(self.model):
            self.model.save(partial)
        for file in set(self.folder.glob("best-epoch-*.keras")) - set(files.values()):
            file.unlink()
