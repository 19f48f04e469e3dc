"""When the state of a training is written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from kerascnn.training.callbacks.csv_history import HistoryFile
from kerascnn.training.callbacks.events import event_sizes, sync_events
from kerascnn.training.callbacks.nan_guard import NaNGuard
from kerascnn.training.checkpoints.files import Checkpoints, NotFiniteError, Position, State
from kerascnn.training.run_config import RunConfig
from kerascnn.training.run_folder import RunFolder


class Snapshot(NamedTuple):
    """What a training had gathered at a moment, beside the values of its variables.

    Attributes:
        metrics: the values of the model's metrics.
        events: see `State`.
    """

    metrics: list[np.ndarray]
    events: dict[str, int]


class CheckpointManager:
    """Writes the state of a training when it is due, and never one that is not sound.

    A callback that keeps something for later, as TensorBoard does, has a method `flush` that is called before.

    Args:
        folder: of the run.
        model: compiled.
        history: whose rows belong to the state.
        callbacks: all of the training.
        watch: of its losses.
        run_config: says how often.
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
        watch: NaNGuard,
        run_config: RunConfig,
        state: State | None,
    ):
        self.checkpoints = Checkpoints(folder.checkpoints)
        self.events = folder.tensorboard
        self.model = model
        self.history = history
        self.callbacks = callbacks
        self.watch = watch
        self.seconds = 60 * run_config.checkpoint_minutes
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

    def moment(self) -> Snapshot:
        """What the training has gathered by now."""
        for callback in self.callbacks:
            if hasattr(callback, "flush"):
                callback.flush()
        return Snapshot(_values(self.model.metrics_variables), event_sizes(self.events))

    def keep(self, position: Position, moment: Snapshot | None = None) -> None:
        """Writes the state at a position, if it is not written yet.

        Args:
            position: where a training goes on from it.
            moment: when the position was reached; None for now.

        Raises:
            TrainingDivergedError: it is not sound, and was not written.
            OSError: the disk refused; the states before are as they were.
        """
        self.watch.look()
        if position == self.kept:
            return
        moment = moment or self.moment()
        sync_events(self.events)
        rows = self.history.rows[: position.epochs]
        try:
            self.checkpoints.write(position, self.model, moment.metrics, rows, moment.events)
        except NotFiniteError:
            raise self.watch.report(self.watch.newest, None) from None
        self.kept, self._written = position, time.monotonic()


class WorkerCheckpointManager:
    """What a worker has in the place of a `CheckpointManager` when another one, the chief, writes the states.

    Args:
        model: compiled.
        watch: of the training's losses.
        state: what the training goes on from; None for the start.
    """

    due = False
    newest = None

    def __init__(self, model: keras.Model, watch: NaNGuard, state: State | None):
        self.model = model
        self.watch = watch
        self.kept = state.position if state else Position()

    def moment(self) -> Snapshot:
        """The metrics' values: to read one, the chief needs every worker's part of it."""
        return Snapshot(_values(self.model.metrics_variables), {})

    def keep(self, position: Position, moment: Snapshot | None = None) -> None:
        """Does its part of what the chief's `CheckpointManager` does with the same arguments.

        Raises:
            TrainingDivergedError: the losses are not finite.
        """
        self.watch.look()
        if position != self.kept and moment is None:
            self.moment()
        self.kept = position


def _values(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
