"""The metrics of a training as CSV, one row per epoch."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import keras

from kerascnn.files.atomic import atomic_write


class HistoryFile(keras.callbacks.Callback):
    """Writes the metrics of all epochs to a CSV file, which is complete at any time.

    Args:
        file: gets one line per epoch.
        rows: the epochs before.
    """

    def __init__(self, file: Path, rows: list[dict[str, float]]):
        super().__init__()
        self.file = file
        self.rows = list(rows)

    def on_train_begin(self, logs=None):
        # Removes rows of epochs that are trained again.
        self._write()

    def on_epoch_end(self, epoch, logs=None):
        self.rows.append({"epoch": epoch, **logs})
        self._write()

    def _write(self) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ["epoch", *sorted({name for row in self.rows for name in row} - {"epoch"})])
        writer.writeheader()
        writer.writerows(self.rows)
        with atomic_write(self.file) as file:
            file.write(text.getvalue().encode())
