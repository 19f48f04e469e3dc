"""What a trial tells the search while it trains."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import keras

FIGURES, BEAT, STOP = "figures.jsonl", "beat", "stop"

SECONDS_BETWEEN_BEATS = 1.0


class Reporter(keras.callbacks.Callback):
    """Writes every epoch's figures, shows that steps are made, and ends the training when it is to.

    Args:
        folder: the trial's.
        epochs: after how many the training ends, though its recipe goes on; None for the recipe's.
        batch_size: images a step.
    """

    def __init__(self, folder: Path, epochs: int | None, batch_size: int):
        super().__init__()
        self.folder = folder
        self.epochs = epochs
        self.batch_size = batch_size
        self.parent = os.getppid()
        self.images = 0
        self._written = 0.0

    def on_train_batch_end(self, batch, logs=None):
        self.images += self.batch_size
        self._beat()

    def on_test_batch_end(self, batch, logs=None):
        self._beat()

    def on_epoch_end(self, epoch, logs=None):
        with (self.folder / FIGURES).open("a") as file:
            file.write(json.dumps({"epoch": epoch + 1, **{name: float(value) for name, value in logs.items()}}) + "\n")
        self.model.stop_training |= is_over(self.folder, epoch + 1, self.epochs)

    def on_train_end(self, logs=None):
        self._beat(now=True)

    def _beat(self, now: bool = False) -> None:
        """Writes how many images were trained on, and stops where the search is gone."""
        if os.getppid() != self.parent:
            raise KeyboardInterrupt
        if now or time.monotonic() - self._written > SECONDS_BETWEEN_BEATS:
            self._written = time.monotonic()
            (self.folder / BEAT).write_text(str(self.images))


def is_over(folder: Path, done: int, epochs: int | None) -> bool:
    """Whether a trial ends after `done` epochs: it has its `epochs`, or the search gave it up."""
    return done > 0 and (done == epochs or (folder / STOP).exists())


def read_curve(folder: Path) -> list[dict[str, float]]:
    """The figures of every epoch so far; of an epoch that was trained again, the newer."""
    epochs: dict[int, dict[str, float]] = {}
    file = folder / FIGURES
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            figures = json.loads(line)
        except ValueError:
            # Cut off when the process was killed.
            continue
        epochs[int(figures["epoch"])] = figures
    return [epochs[number] for number in sorted(epochs)]


def read_images(folder: Path) -> int:
    """The images that a trial's process has trained on."""
    try:
        return int((folder / BEAT).read_text())
    except (OSError, ValueError):
        return 0
