"""The epochs of a training: Keras' `fit`, but that it begins, stops and keeps its state at any step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import keras

from kerascnn.training.batches import Batches
from kerascnn.training.callbacks.throughput import DataWaitTimer
from kerascnn.training.checkpoints.files import Checkpoint, Position, Snapshot
from kerascnn.training.checkpoints.manager import CheckpointManager, WorkerCheckpointManager
from kerascnn.training.checkpoints.signals import StopRequest
from kerascnn.training.strategy import Devices

# Several workers tell each other, every so many steps, whether one of them is to stop or to write the state.
STEPS_BETWEEN_TALKS = 10


class Loop:
    """Runs the epochs of a training from any step on.

    It calls the callbacks as `fit` does, but that the figures of a step are tensors, which nobody has waited for. A
    callback that changes the model for the time of a validation has a method `put_back`, for when that is cut short.

    Args:
        model: compiled; it has the state of the position where the training goes on.
        batches: that begin there.
        epochs: how many there are in all.
        callbacks: the training's own and the user's.
        checkpoint_manager: of the states.
        stop: says when to stop.
        state: what the training goes on from; None for the start.
        devices: that it runs on; all workers stop, and keep the state, after the same step.
        waiting: counts the seconds without a batch.
    """

    def __init__(
        self,
        model: keras.Model,
        batches: Batches,
        epochs: int,
        callbacks: Sequence[keras.callbacks.Callback],
        checkpoint_manager: CheckpointManager | WorkerCheckpointManager,
        stop: StopRequest,
        state: Checkpoint | None,
        devices: Devices,
        waiting: DataWaitTimer,
    ):
        self.model = model
        self.batches = batches
        self.epochs = epochs
        self.checkpoint_manager = checkpoint_manager
        self.stop = stop
        self.state = state
        self.devices = devices
        self.waiting = waiting
        self.position = state.position if state else Position()
        # When the epoch's steps were done: validation uses the same metrics, and writes events.
        self._steps_done: Snapshot | None = None
        own = _StopInValidation(self._asked)
        self.calls = keras.callbacks.CallbackList(
            [own, *callbacks], add_history=True, model=model, verbose=0, epochs=epochs, steps=batches.steps
        )

    def run(self) -> None:
        """Trains to the end.

        Raises:
            KeyboardInterrupt: the training was to stop; its state is written, unless the user insisted.
            TrainingDivergedError: a loss or a weight is not finite.
            OSError: a state could not be written.
        """
        self.model.stop_training = False
        self.model.make_train_function()
        iterator = self.waiting.on(iter(_distributed(self.batches.training, self.model)))
        rows = self.state.history[-1:] if self.state else []
        figures = {name: value for row in rows for name, value in row.items() if name != "epoch"}
        self.calls.on_train_begin()
        try:
            while self.position.epochs < self.epochs and not self.model.stop_training:
                figures = self._epoch(iterator)
        except BaseException as error:
            self._end_early(isinstance(error, KeyboardInterrupt) and not self.stop.insisted)
            raise
        self.model.optimizer.finalize_variable_values(self.model.trainable_weights)
        self.calls.on_train_end(figures)

    def _end_early(self, in_order: bool) -> None:
        """Keeps the state where the training ends in order, and closes what the callbacks hold open."""
        try:
            if in_order:
                self._tell("put_back")
                self.checkpoint_manager.save(self.position, self._steps_done)
        finally:
            # What went wrong first is what is told.
            with contextlib.suppress(Exception):
                self._tell("close")

    def _tell(self, method: str) -> None:
        for callback in self.calls.callbacks:
            if hasattr(callback, method):
                getattr(callback, method)()

    def _epoch(self, iterator: Any) -> dict[str, float]:
        """The rest of the epoch that the position is in, and its validation."""
        epoch, first = self.position.epochs, self.position.step
        self.model.reset_metrics()
        if first and self.state:
            self.state.restore_metrics(self.model)
        self.calls.on_epoch_begin(epoch)
        for step in range(first, self.batches.steps):
            self._step(epoch, step, iterator)
            if self.model.stop_training:
                break
        self.checkpoint_manager.nan_guard.check()
        self._steps_done = self.checkpoint_manager.snapshot()
        figures = {name: float(value) for name, value in self.model.get_metrics_result().items()}
        measured = self.model.evaluate(self.batches.validation, callbacks=self.calls, return_dict=True, verbose=0)
        figures.update({f"val_{name}": value for name, value in measured.items()})
        self.calls.on_epoch_end(epoch, figures)
        self.position, self._steps_done = Position(epoch + 1), None
        self.checkpoint_manager.save(self.position)
        if any(self.devices.any(self.stop.requested)):
            raise KeyboardInterrupt
        return figures

    def _step(self, epoch: int, step: int, iterator: Any) -> None:
        self.calls.on_train_batch_begin(step)
        figures = self.model.train_function(iterator)
        self.checkpoint_manager.nan_guard.add(self.position, figures["loss"])
        self.position = Position(epoch, step + 1)
        # Not by the list of callbacks, which would wait for the figures of every step.
        for callback in self.calls.callbacks:
            callback.on_train_batch_end(step, figures)
        stop, due = self._asked(step)
        if stop:
            raise KeyboardInterrupt
        if due:
            self.checkpoint_manager.save(self.position)

    def _asked(self, step: int) -> tuple[bool, bool]:
        """Whether the training is to stop, and whether its state is to be written."""
        if self.devices.workers > 1 and (step + 1) % STEPS_BETWEEN_TALKS:
            return False, False
        return self.devices.any(self.stop.requested, self.checkpoint_manager.due)


class _StopInValidation(keras.callbacks.Callback):
    """Ends a validation when the training is to stop; it is done again when the training goes on."""

    def __init__(self, asked: Callable[[int], tuple[bool, bool]]):
        super().__init__()
        self.asked = asked

    def on_test_batch_begin(self, batch, logs=None):
        stop, _ = self.asked(batch)
        if stop:
            raise KeyboardInterrupt


def _distributed(batches: Any, model: keras.Model) -> Any:
    """The batches as the model's strategy wants them."""
    import tensorflow as tf

    if isinstance(batches, tf.distribute.DistributedDataset):
        return batches
    return model.distribute_strategy.experimental_distribute_dataset(batches)
