"""The live line that shows a training."""

from __future__ import annotations

import time

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# Refreshing is cheap, fetching the figures from the graph is not: not at every step.
SECONDS_BETWEEN_UPDATES = 0.5


class LiveProgress(keras.callbacks.Callback):
    """A bar for the steps of the epoch and, above it, a line for each epoch that ended.

    Where the console is not a terminal there is no bar, only the lines.
    """

    def __init__(self, epochs: int, steps_per_epoch: int, images_per_step: int, console: Console | None = None):
        super().__init__()
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.images_per_step = images_per_step
        self.console = console or Console()

    def on_train_begin(self, logs=None):
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(compact=True),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._progress.start()
        self._task = self._progress.add_task("", total=self.steps_per_epoch, figures="")

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_started = self._updated = time.perf_counter()
        self._progress.reset(self._task, description=f"epoch {epoch + 1}/{self.epochs}", figures="")

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        if now - self._updated < SECONDS_BETWEEN_UPDATES:
            return
        self._updated = now
        rate = (batch + 1) * self.images_per_step / (now - self._epoch_started)
        figures = f"loss {float(logs['loss']):.4f}  {rate:.0f} images/s"
        self._progress.update(self._task, completed=batch + 1, figures=figures)

    def on_epoch_end(self, epoch, logs=None):
        head = "main_" if "main_top1" in logs else ""
        figures = [
            f"epoch {epoch + 1:>3}/{self.epochs}",
            f"loss {logs['loss']:.4f}",
            f"top-1 {logs[f'{head}top1']:.2%}",
            f"val loss {logs['val_loss']:.4f}",
            f"val top-1 {logs[f'val_{head}top1']:.2%}",
            f"{logs['images_per_second']:.0f} images/s",
        ]
        self.console.print("  ".join(figures), highlight=False, soft_wrap=True)

    def stopping(self) -> None:
        """Says that the training stops when its step is done."""
        self.console.print("stopping after this step; once more to stop at once", highlight=False, soft_wrap=True)

    def on_train_end(self, logs=None):
        self.close()

    def close(self) -> None:
        """Takes the bar off the terminal."""
        self._progress.stop()
