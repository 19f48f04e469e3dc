"""The figures of a training, a row an epoch."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import keras

from kerascnn.files.atomic import atomic_write


class HistoryFile(keras.callbacks.Callback):
    """Keeps the figures of every epoch and writes them as CSV, which is whole at every moment.

    Args:
        file: gets one line an epoch.
        rows: of the epochs before.
    """

    def __init__(self, file: Path, rows: list[dict[str, float]]):
        super().__init__()
        self.file = file
        self.rows = list(rows)

    def on_train_begin(self, logs=None):
        # Rows of epochs that are run again go.
        self._write()

    def on_epoch_end(self, epoch, logs=None):
        self.rows.append({"epoch": epoch, **logs})
        self._write()

    def _write(self) -> None:
        names = sorted({name for row in self.rows for name in row} - {"epoch"})
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ["epoch", *names])
        writer.writeheader()
        writer.writerows(self.rows)
        with atomic_write(self.file) as file:
            file.write(text.getvalue().encode())
