"""Decides when checkpoints are written, and writes them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from kerascnn.training.callbacks.epoch_files import HistoryFile
from kerascnn.training.callbacks.event_files import event_sizes, sync_events
from kerascnn.training.callbacks.nan_guard import NaNGuard
from kerascnn.training.checkpoints.files import Checkpoint, Checkpoints, NotFiniteError, Position, Snapshot
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.run_config import RunConfig
from kerascnn.training.run_folder import RunFolder


class CheckpointManager:
    """Writes checkpoints when they are due, and never one with weights that are not finite.

    `recipe` is the run's. It calls the method `flush` of callbacks that have one, as TensorBoard's do, before it reads
    their files. `saved` is the position of the last checkpoint, at first of the one that the training resumes from.
    """

    def __init__(
        self,
        folder: RunFolder,
        model: keras.Model,
        history: HistoryFile,
        callbacks: Sequence[keras.callbacks.Callback],
        nan_guard: NaNGuard,
        run_config: RunConfig,
        checkpoint: Checkpoint | None,
        recipe: Recipe,
    ):
        self.recipe = recipe.to_dict()
        self.checkpoints, self.events = Checkpoints(folder.checkpoints), folder.path
        self.model, self.history, self.callbacks, self.nan_guard = model, history, callbacks, nan_guard
        self.seconds = 60 * run_config.checkpoint_minutes
        self.saved = checkpoint.position if checkpoint else Position()
        self._written = time.monotonic()

    @property
    def due(self) -> bool:
        return time.monotonic() - self._written >= self.seconds

    @property
    def newest(self) -> Path | None:
        return next(reversed(self.checkpoints.files()), None)

    def snapshot(self) -> Snapshot:
        for callback in self.callbacks:
            if hasattr(callback, "flush"):
                callback.flush()
        return Snapshot(_metric_values(self.model), event_sizes(self.events))

    def save(self, position: Position, snapshot: Snapshot | None = None) -> None:
        """Writes a checkpoint, if the position has none yet; `snapshot` is from the time when it was reached.

        Older ones remain if it raises OSError, or TrainingDivergedError because the loss or a weight is not finite.
        """
        self.nan_guard.check()
        if position == self.saved:
            return
        snapshot = snapshot or self.snapshot()
        sync_events(self.events)
        try:
            rows = self.history.rows[: position.epochs]
            self.checkpoints.write(position, self.model, rows, snapshot, self.recipe)
        except NotFiniteError:
            raise self.nan_guard.report(self.nan_guard.newest, None) from None
        self.saved, self._written = position, time.monotonic()


class WorkerCheckpointManager:
    """The counterpart of the chief's `CheckpointManager` on the other workers, which write no checkpoints."""

    due = False
    newest = None

    def __init__(self, model: keras.Model, nan_guard: NaNGuard, checkpoint: Checkpoint | None):
        self.model = model
        self.nan_guard = nan_guard
        self.saved = checkpoint.position if checkpoint else Position()

    def snapshot(self) -> Snapshot:
        # The chief needs every worker's part of each metric.
        return Snapshot(_metric_values(self.model), {})

    def save(self, position: Position, snapshot: Snapshot | None = None) -> None:
        """Takes part when the chief saves; raises TrainingDivergedError if the loss is not finite."""
        self.nan_guard.check()
        if position != self.saved and snapshot is None:
            self.snapshot()
        self.saved = position


def _metric_values(model: keras.Model) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.metrics_variables]
