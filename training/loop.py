"""The training loop: Keras' `fit`, except that it can start, stop and write a checkpoint at any step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from kerascnn.data.dataset import DataSet
from kerascnn.stop_request import StopRequest
from kerascnn.training.batches import Batches
from kerascnn.training.callbacks.throughput import DataWaitTimer
from kerascnn.training.checkpoints.files import Checkpoint, Position, Snapshot
from kerascnn.training.checkpoints.manager import CheckpointManager, WorkerCheckpointManager
from kerascnn.training.fine_tuning.probe import ProbeResult
from kerascnn.training.run_images import ImagesLostError, naming_lost_images
from kerascnn.training.strategy import Devices

STEPS_BETWEEN_AGREEMENTS = 10  # How often several workers agree whether to stop or to write a checkpoint


@dataclass
class Loop:
    """Trains from any step on.

    It calls callbacks as `fit` does, except that the logs of a step are tensors, which are not waited for. A callback
    that changes the model during validation has a method `put_back`, which is called if validation is cut short. All
    workers stop, and write a checkpoint, after the same step.

    Args:
        model, batches: a compiled model, restored to `checkpoint`, and the batches from there on.
        epochs, data, callbacks, checkpoint_manager, stop, devices: the training's.
        checkpoint, waiting: where to resume, None for the start; measures the time without a batch.
        probe: of a training that begins with one, which is then the first epoch.
    """

    model: keras.Model
    batches: Batches
    epochs: int
    data: DataSet
    callbacks: Sequence[keras.callbacks.Callback]
    checkpoint_manager: CheckpointManager | WorkerCheckpointManager
    stop: StopRequest
    checkpoint: Checkpoint | None
    devices: Devices
    waiting: DataWaitTimer
    probe: ProbeResult | None = None

    def __post_init__(self):
        self.position = self.checkpoint.position if self.checkpoint else Position()
        # Of the end of the epoch's steps: validation uses the same metrics, and writes events.
        self._steps_done: Snapshot | None = None
        own = _StopInValidation(self._requests)
        length = {"epochs": self.epochs, "steps": self.batches.steps}
        self._calls = keras.callbacks.CallbackList(
            [own, *self.callbacks], add_history=True, model=self.model, verbose=0, **length
        )

    def run(self) -> None:
        """Trains to the end; on request it raises KeyboardInterrupt, after a checkpoint unless the user insisted.

        ImagesLostError names images that were deleted meanwhile, after a checkpoint too if there is one worker.
        """
        import tensorflow as tf

        self.model.stop_training = False
        self.model.make_train_function()
        batches = self.batches.training
        if not isinstance(batches, tf.distribute.DistributedDataset):
            batches = self.model.distribute_strategy.experimental_distribute_dataset(batches)
        iterator = self.waiting.on(iter(batches))
        rows = self.checkpoint.history[-1:] if self.checkpoint else []
        logs = {name: value for row in rows for name, value in row.items() if name != "epoch"}
        try:
            self._calls.on_train_begin()
            with naming_lost_images(self.data):
                while self.position.epochs < self.epochs and not self.model.stop_training:
                    logs = self._epoch(iterator)
        except BaseException as error:
            try:
                # Images are read before the step, which has changed nothing when they are lost. Other workers, without
                # which no checkpoint is written, would not know of them.
                lost = isinstance(error, ImagesLostError) and self.devices.workers == 1
                if (isinstance(error, KeyboardInterrupt) or lost) and not self.stop.insisted:
                    for callback in self._calls.callbacks:
                        getattr(callback, "put_back", lambda: None)()
                    self.checkpoint_manager.save(self.position, self._steps_done)
            finally:
                for callback in self._calls.callbacks:
                    # The first error is the one to report.
                    with contextlib.suppress(Exception):
                        getattr(callback, "close", lambda: None)()
            raise
        self.model.optimizer.finalize_variable_values(self.model.trainable_weights)
        self._calls.on_train_end(logs)

    def _epoch(self, iterator: Any) -> dict[str, float]:
        """Trains the rest of the current epoch, and validates."""
        epoch, first = self.position.epochs, self.position.step
        self.model.reset_metrics()
        if first and self.checkpoint:
            self.checkpoint.restore_metrics(self.model)
        self._calls.on_epoch_begin(epoch)
        probed = self.probe is not None and epoch == 0
        if not probed:
            self._steps(epoch, first, iterator)
        self.checkpoint_manager.nan_guard.check()
        self._steps_done = self.checkpoint_manager.snapshot()
        if self.probe and probed:
            logs = {"seconds": self.probe.seconds, "images_per_second": self.probe.images_per_second}
            logs |= self.probe.metrics
        else:
            logs = {name: float(value) for name, value in self.model.get_metrics_result().items()}
        measured = self.model.evaluate(self.batches.validation, callbacks=self._calls, return_dict=True, verbose=0)
        logs |= {f"val_{name}": value for name, value in measured.items()}
        self._calls.on_epoch_end(epoch, logs)
        self.position, self._steps_done = Position(epoch + 1), None
        self.checkpoint_manager.save(self.position)
        if any(self.devices.any(self.stop.requested)):
            raise KeyboardInterrupt
        return logs

    def _steps(self, epoch: int, first: int, iterator: Any) -> None:
        for step in range(first, self.batches.steps):
            self._step(epoch, step, iterator)
            if self.model.stop_training:
                break

    def _step(self, epoch: int, step: int, iterator: Any) -> None:
        self._calls.on_train_batch_begin(step)
        logs = self.model.train_function(iterator)
        self.checkpoint_manager.nan_guard.add(self.position, logs["loss"])
        self.position = Position(epoch, step + 1)
        # Not by the list of callbacks, which would wait for the logs of every step.
        for callback in self._calls.callbacks:
            callback.on_train_batch_end(step, logs)
        stop, due = self._requests(step)
        if stop:
            raise KeyboardInterrupt
        if due:
            self.checkpoint_manager.save(self.position)

    def _requests(self, step: int) -> tuple[bool, bool]:
        """Whether to stop, and whether to write a checkpoint."""
        if self.devices.workers > 1 and (step + 1) % STEPS_BETWEEN_AGREEMENTS:
            return False, False
        return self.devices.any(self.stop.requested, self.checkpoint_manager.due)


class _StopInValidation(keras.callbacks.Callback):
    """Interrupts a validation on a request to stop; a resumed training repeats it."""

    def __init__(self, requests: Callable[[int], tuple[bool, bool]]):
        super().__init__()
        self.requests = requests

    def on_test_batch_begin(self, batch, logs=None):
        if self.requests(batch)[0]:
            raise KeyboardInterrupt
