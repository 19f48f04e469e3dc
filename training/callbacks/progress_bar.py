"""Progress of a training on the terminal, or as lines of JSON."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from typing import TextIO

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from kerascnn.console import SECONDS_BETWEEN_UPDATES, print_text, progress_bar
from kerascnn.terminal_encoding import print_error
from kerascnn.training.distillation.hints import HINTS
from kerascnn.training.fine_tuning.gradual_unfreezing import PlanRow, plan
from kerascnn.training.recipe.fields import FineTuning


class LiveProgress(keras.callbacks.Callback):
    """Shows one live line with the steps and the time left of the whole training, and prints one line per epoch.

    Where there is neither a terminal nor a notebook, it prints only the lines per epoch.
    """

    def __init__(self, epochs: int, steps_per_epoch: int, images_per_step: int, console: Console | None = None):
        super().__init__()
        self.epochs, self.steps_per_epoch, self.images_per_step = epochs, steps_per_epoch, images_per_step
        self.console = console or Console()

    def on_train_begin(self, logs=None):
        # A fine-tuning after a probe chooses its epochs and holds images out.
        self.epochs = (self.params or {}).get("epochs", self.epochs)
        self.steps_per_epoch = (self.params or {}).get("steps") or self.steps_per_epoch
        columns = TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn()
        columns += TextColumn("{task.fields[metrics]}"), TimeRemainingColumn(compact=True)
        self._progress = progress_bar(self.console, *columns, refresh_per_second=1 / SECONDS_BETWEEN_UPDATES)
        self._progress.start()
        self._task = self._progress.add_task("", total=self.epochs * self.steps_per_epoch, metrics="")

    def on_epoch_begin(self, epoch, logs=None):
        self._first_step = epoch * self.steps_per_epoch
        self._started = self._updated = time.perf_counter()
        self._steps = 0
        self._progress.update(self._task, description=f"epoch {epoch + 1}/{self.epochs}")

    def on_train_batch_end(self, batch, logs=None):
        self._steps += 1
        now = time.perf_counter()
        # Drawing is cheap, but reading the loss from the device is not.
        if now - self._updated < SECONDS_BETWEEN_UPDATES or self._progress.disable:
            return
        self._updated = now
        # In a resumed epoch, the steps before were not timed.
        speed = self._steps * self.images_per_step / (now - self._started)
        metrics = f"loss {float(logs['loss']):.4f}  {speed:.0f} images/s"
        self._progress.update(self._task, completed=self._first_step + batch + 1, metrics=metrics, refresh=True)

    def on_epoch_end(self, epoch, logs=None):
        head = "main_" if {"main_top1", "main_microf1"} & logs.keys() else ""
        before, after = "hints", ""
        if f"{head}top1" in logs:
            before, after = f"top-1 {logs[f'{head}top1']:.2%}", f"val top-1 {logs[f'val_{head}top1']:.2%}"
        elif f"{head}microf1" in logs:
            before, after = f"micro F1 {logs[f'{head}microf1']:.2%}", f"val mAP {logs[f'val_{head}map']:.2%}"
            after += f"  val micro F1 {logs[f'val_{head}microf1']:.2%}"
        self.console.print(
            f"epoch {epoch + 1:>3}/{self.epochs}  loss {logs['loss']:.4f}  {before}  "
            f"val loss {logs['val_loss']:.4f}  {after}{'  ' * bool(after)}"
            f"{logs['images_per_second']:.0f} images/s  {logs['seconds']:.1f} s",
            highlight=False,
            soft_wrap=True,
        )

    def stopping(self) -> None:
        self.say("stopping after this step; interrupt again to stop now")

    def say(self, text: str) -> None:
        """Prints a sentence above the live line."""
        print_text(self.console, text)

    def on_train_end(self, logs=None):
        self.close()

    def close(self) -> None:
        self._progress.stop()


class JsonLines(keras.callbacks.Callback):
    """Prints one line of JSON per epoch: its number from 1, the number of epochs, and all metrics.

    The event of an epoch of hints is "hints". Values that are not finite become null. The default file is standard
    output.

    Example:
        >>> model.fit(x, y, epochs=2, callbacks=[JsonLines(2)], verbose=0)
        {"event": "epoch", "epoch": 1, "epochs": 2, "loss": 2.31}
        {"event": "epoch", "epoch": 2, "epochs": 2, "loss": 1.87}
    """

    def __init__(self, epochs: int, file: TextIO | None = None):
        super().__init__()
        self.epochs, self.file = epochs, file

    def on_train_begin(self, logs=None):
        self.epochs = (self.params or {}).get("epochs", self.epochs)

    def say(self, text: str) -> None:
        """Prints a sentence on standard error."""
        print_error(text)

    def on_epoch_end(self, epoch, logs=None):
        metrics = {name: value if math.isfinite(value) else None for name, value in logs.items()}
        event = "hints" if getattr(self.model, "name", "") == HINTS else "epoch"
        line = {"event": event, "epoch": epoch + 1, "epochs": self.epochs, **metrics}
        print(json.dumps(line), file=self.file or sys.stdout, flush=True)


class PlanReporter(keras.callbacks.Callback):
    """Calls `report` with the plan of a fine-tuning, one row per stage of the network, when the training begins."""

    def __init__(self, tuning: FineTuning, report: Callable[[list[PlanRow]], None]):
        super().__init__()
        self.tuning, self.report = tuning, report

    def on_train_begin(self, logs=None):
        self.report(plan(self.model, self.tuning))
