"""When the state of a training is written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from .checkpoints import Checkpoints, NotFinite, Position, State
from .conduct import Conduct
from .events import event_sizes
from .history import HistoryFile
from .run_folder import RunFolder
from .soundness import LossWatch


class Keeper:
    """Writes the state of a training when it is due, and never one that is not sound.

    A callback that keeps something for later, as TensorBoard does, has a method `flush` that is called before.

    Args:
        folder: of the run.
        model: compiled.
        history: whose rows belong to the state.
        callbacks: all of the training.
        watch: of its losses.
        conduct: says how often.
        state: what the training goes on from; None for the start, which needs no keeping.

    Attributes:
        kept: the position whose state was kept last.
    """

    def __init__(
        self,
        folder: RunFolder,
        model: keras.Model,
        history: HistoryFile,
        callbacks: Sequence[keras.callbacks.Callback],
        watch: LossWatch,
        conduct: Conduct,
        state: State | None,
    ):
        self.checkpoints = Checkpoints(folder.checkpoints)
        self.events = folder.tensorboard
        self.model = model
        self.history = history
        self.callbacks = callbacks
        self.watch = watch
        self.seconds = 60 * conduct.checkpoint_minutes
        self.kept = state.position if state else Position()
        self._written = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether enough time has passed since the last state was written."""
        return time.monotonic() - self._written >= self.seconds

    @property
    def newest(self) -> Path | None:
        """The file of the newest state."""
        files = self.checkpoints.files()
        return files[-1] if files else None

    def keep(self, position: Position, metrics: Sequence[np.ndarray]) -> None:
        """Writes the state at a position, if it is not written yet.

        Raises:
            Diverged: it is not sound, and was not written.
            OSError: the disk refused; the states before are as they were.
        """
        self.watch.look()
        if position == self.kept:
            return
        for callback in self.callbacks:
            if hasattr(callback, "flush"):
                callback.flush()
        rows = self.history.rows[: position.epochs]
        try:
            self.checkpoints.write(position, self.model, metrics, rows, event_sizes(self.events))
        except NotFinite:
            raise self.watch.report(self.watch.newest, None) from None
        self.kept, self._written = position, time.monotonic()
