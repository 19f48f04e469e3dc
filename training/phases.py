"""The phases of one training: hints or a probe before, if the recipe has them, then the epochs."""

from __future__ import annotations

import contextlib
import functools
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import keras

from kerascnn.applications.network import dtype_policy_scope
from kerascnn.data.dataset import DataSet
from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_path
from kerascnn.files.disk_space import format_disk_error
from kerascnn.metric_names import deciding_accuracy
from kerascnn.stop_request import StopRequest
from kerascnn.training.assembly import assemble, build, callbacks_for, compile_for
from kerascnn.training.batches import Batches, batches_for, steps_per_epoch
from kerascnn.training.callbacks.epoch_files import BestModels, HistoryFile
from kerascnn.training.callbacks.loggers import with_run
from kerascnn.training.callbacks.nan_guard import NaNGuard, TrainingDivergedError, diverged_error
from kerascnn.training.callbacks.tensorboard import logging_callbacks
from kerascnn.training.callbacks.throughput import DataWaitTimer, ThroughputMonitor
from kerascnn.training.callbacks.user_callbacks import check_callbacks
from kerascnn.training.checkpoints.files import Checkpoint, Position
from kerascnn.training.checkpoints.manager import CheckpointManager, WorkerCheckpointManager
from kerascnn.training.distillation import hints
from kerascnn.training.distillation.soft_targets import teacher_of
from kerascnn.training.fine_tuning import after_probe
from kerascnn.training.fine_tuning.gradual_unfreezing import plan
from kerascnn.training.fine_tuning.hold_out import HoldOut
from kerascnn.training.fine_tuning.probe import ProbeResult
from kerascnn.training.loop import Loop
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.resolution import linear_probe
from kerascnn.training.run import Run, TrainingInterruptedError
from kerascnn.training.run_config import RunConfig
from kerascnn.training.run_folder import RunFolder
from kerascnn.training.run_images import ImagesLostError
from kerascnn.training.strategy import Devices, WorkerLostError


def hints_folder(folder: RunFolder) -> RunFolder:
    """Where a run's first stage has its history and checkpoints, as a run has."""
    return RunFolder(folder.path / hints.HINTS)


@dataclass(frozen=True)
class Training:
    """The arguments of `train` and `resume`, with the recipe resolved."""

    recipe: Recipe
    data: DataSet
    callbacks: Sequence[keras.callbacks.Callback]
    run_config: RunConfig
    devices: Devices
    profile: tuple[int, int] | None
    run_recipe: Recipe  # of the whole run, where `recipe` is that of a part of it

    def compiled(self, make: Callable[[], keras.Model]) -> keras.Model:
        """The model that `make` returns, compiled; its training is bit-exact on a CPU, and on a GPU on request."""
        import tensorflow as tf

        keras.utils.set_random_seed(self.recipe.seed)
        if self.run_config.deterministic or not tf.config.list_physical_devices("GPU"):
            tf.config.experimental.enable_op_determinism()
        with dtype_policy_scope(self.recipe.precision):
            model = make()
        self._compile(model, self.recipe, self.data)
        return model

    def _compile(self, model: keras.Model, recipe: Recipe, data: DataSet) -> None:
        compile_for(model, recipe, steps_per_epoch(recipe, data))
        check_callbacks(self.callbacks, recipe, model)

    def summary(self, model: keras.Model) -> dict[str, Any]:
        recipe, data = self.recipe, self.data
        summary = {
            "classes": list(data.class_names),
            "training_images": len(data.training),
            "validation_images": len(data.validation),
            "skipped_files": len(data.skipped),
            "steps_per_epoch": steps_per_epoch(recipe, data),
            "trainable_parameters": sum(math.prod(weight.shape) for weight in model.trainable_weights),
        }
        if recipe.fine_tuning.probe:
            summary["probe"] = self.probe.to_dict()
        if recipe.fine_tuning.weights and not recipe.fine_tuning.tunes_after_probe:
            summary["fine_tuning"] = [row._asdict() for row in plan(model, recipe.fine_tuning)]
        return summary

    @functools.cached_property
    def probe(self) -> ProbeResult | None:
        return linear_probe(self.recipe, self.data)

    def restored(self, checkpoint: Checkpoint | None, model: keras.Model | None) -> keras.Model:
        """The compiled model as it was at the checkpoint; a new one without a checkpoint."""
        recipe, data = self.recipe, self.data
        with self.devices.scope():
            if checkpoint is None:
                return self.compiled(lambda: assemble(recipe, data, model))
            restored = self.compiled(lambda: build(recipe, data.class_names, model))
            if not self.tunes_after(checkpoint):
                checkpoint.restore(restored)
        return restored

    def batches(self, model: keras.Model, checkpoint: Checkpoint | None) -> Batches:
        """Those of all epochs; if held-out images decide, those of the probe, after which others are made."""
        recipe, position = self.recipe, checkpoint.position if checkpoint else None
        if recipe.fine_tuning.tunes_after_probe:
            recipe = replace(recipe, epochs=after_probe.PROBE)
            position = Position(after_probe.PROBE) if self.tunes_after(checkpoint) else position
        return batches_for(model, recipe, self.data, position, self.devices, self.run_config.cache)

    def run(
        self,
        model: keras.Model,
        batches: Batches,
        folder: RunFolder,
        checkpoint: Checkpoint | None,
        of_hints: Checkpoint | None = None,
    ) -> Run:
        """Trains a compiled model to the end, from a checkpoint if there is one, or from one of the hints before."""
        if self.recipe.distillation.begins_with_hints and checkpoint is None:
            seconds = self._learn_hints(model, folder, of_hints)
            run = self.loop(model, batches, folder, None, folder.model_file)
            return replace(run, seconds=seconds + run.seconds)
        if not self.recipe.fine_tuning.tunes_after_probe or self.recipe.epochs == after_probe.PROBE:
            return self.loop(model, batches, folder, checkpoint, folder.model_file)
        return self._after_probe(model, batches, folder, checkpoint)

    def _learn_hints(self, model: keras.Model, folder: RunFolder, checkpoint: Checkpoint | None) -> float:
        """Trains the model's lower layers by hints, from where that was stopped; the seconds of all its epochs."""
        recipe, own = hints.stage_recipe(self.recipe), hints_folder(folder)
        with self.devices.scope():
            learner = hints.learner(model, teacher_of(model), recipe, steps_per_epoch(recipe, self.data))
        position = checkpoint.position if checkpoint else None
        if checkpoint:
            checkpoint.restore(learner)
        if position is None or position.epochs < recipe.epochs:
            own.path.mkdir(exist_ok=True)
            shown = [callback for callback in self.callbacks if hasattr(callback, "say")]
            run_config = replace(self.run_config, best=0)
            stage = replace(self, recipe=recipe, callbacks=shown, run_config=run_config, profile=None)
            batches = batches_for(learner, recipe, self.data, position, self.devices, self.run_config.cache)
            counts = (f"{count} epoch{'s' if count > 1 else ''}" for count in (recipe.epochs, self.recipe.epochs))
            self._say("hints for {}, then {} of the whole network".format(*counts))
            try:
                stage.loop(learner, batches, own, checkpoint, None)
            except (TrainingInterruptedError, WorkerLostError) as stopped:
                # It is the run that is resumed.
                stopped.folder = stopped.folder and folder
                raise
        seconds = sum(row["seconds"] for row in own.history())
        if self.devices.chief:
            folder.add_facts(preparation_seconds=round(seconds, 2))
        return seconds

    def tunes_after(self, checkpoint: Checkpoint | None) -> bool:
        """Whether the checkpoint is of a fine-tuning after a probe, and not of the probe or another training."""
        if not self.recipe.fine_tuning.tunes_after_probe or checkpoint is None:
            return False
        return astuple(checkpoint.position) > (after_probe.PROBE, 0)

    def _after_probe(
        self, model: keras.Model, batches: Batches, folder: RunFolder, checkpoint: Checkpoint | None
    ) -> Run:
        """Fine-tunes the model of a probe, which is the first epoch, and keeps the better of the two."""
        begun = self.tunes_after(checkpoint)
        probe_file = folder.path / after_probe.PROBE_FILE
        if begun:
            after_probe.load_weights(model, probe_file)
        else:
            probed = replace(self, recipe=replace(self.recipe, epochs=after_probe.PROBE))
            probed.loop(model, batches, folder, checkpoint, probe_file)
            checkpoint = Checkpoint(Position(after_probe.PROBE), folder.history(), {}, {})
        seconds = sum(row["seconds"] for row in folder.history())
        try:
            tuning = after_probe.prepare(
                model, self.recipe, self.data, folder, checkpoint if begun else None, compiled=self._compile,
                devices=self.devices, cache=self.run_config.cache, say=self._say,
            )  # fmt: skip
        except KeyboardInterrupt:
            raise TrainingInterruptedError(folder, checkpoint.position) from None
        if tuning is None:
            shutil.copyfile(probe_file, folder.model_file)
            return Run(folder, model, self.recipe, seconds)
        if begun:
            checkpoint.restore(tuning.model)
        else:
            checkpoint = replace(checkpoint, history=[{**row, **tuning.probe} for row in checkpoint.history])
        tuned = replace(self, recipe=tuning.recipe, data=tuning.data)
        run = tuned.loop(tuning.model, tuning.batches, folder, checkpoint, None, tuning.keeper)
        self._say(after_probe.conclude(folder, len(self.data.validation)))
        after_probe.load_weights(model, folder.model_file)
        return replace(run, model=model, recipe=self.recipe, seconds=seconds + run.seconds)

    def _say(self, text: str) -> None:
        """Shows a sentence where the training's progress is shown."""
        for callback in self.callbacks:
            getattr(callback, "say", lambda text: None)(text)

    def loop(
        self,
        model: keras.Model,
        batches: Batches,
        folder: RunFolder,
        checkpoint: Checkpoint | None,
        file: Path | None,
        keeper: HoldOut | None = None,
    ) -> Run:
        """Trains a compiled model for all epochs of the recipe, and saves it in a file, or has a `keeper` do so."""
        recipe, devices = self.recipe, self.devices
        position, rows = (checkpoint.position, checkpoint.history) if checkpoint else (None, [])
        accuracies = [row[name] for row in rows if (name := deciding_accuracy(row))]
        timer = DataWaitTimer()
        probe = None if checkpoint else self.probe
        monitor = ThroughputMonitor(recipe.batch_size, timer)
        history = HistoryFile(folder.history_file, rows)
        callbacks = callbacks_for(recipe, batches.statistics, accuracies)
        if devices.chief:
            best = keeper or BestModels(folder.checkpoints, self.run_config.best, accuracies)
            callbacks = [monitor, best, *callbacks, history]
            callbacks += logging_callbacks(folder.path, recipe, batches, position, self.profile)
        callbacks += with_run(self.callbacks, folder.path, recipe, devices.chief)

        def report(before: Position, loss: float | None) -> TrainingDivergedError:
            return diverged_error(before, loss, recipe, self.data, folder.path / "not_finite.txt", manager.newest)

        guard = NaNGuard(report)
        manager: CheckpointManager | WorkerCheckpointManager = WorkerCheckpointManager(model, guard, checkpoint)
        if devices.chief:
            manager = CheckpointManager(
                folder, model, history, callbacks, guard, self.run_config, checkpoint, self.run_recipe
            )
        with _naming_checkpoint(folder, manager, devices):
            with StopRequest(callbacks) as stop, devices.detecting_lost_workers():
                of_run = self.data, callbacks, manager, stop, checkpoint, devices, timer, probe
                Loop(model, batches, recipe.epochs, *of_run).run()
                if devices.chief and file and not stop.requested:
                    with atomic_path(file) as partial:
                        model.save(partial)
            stop.check()
        if devices.chief and devices.replicas > 1 and file:
            model = keras.saving.load_model(file)
        return Run(folder, model, recipe, monitor.training_seconds)


@contextlib.contextmanager
def _naming_checkpoint(
    folder: RunFolder, manager: CheckpointManager | WorkerCheckpointManager, devices: Devices
) -> Iterator[None]:
    """Says of a training that stops early from which checkpoint it can be resumed."""
    try:
        yield
    except KeyboardInterrupt:
        raise TrainingInterruptedError(folder, manager.saved) from None
    except ImagesLostError as lost:
        raise InputError(
            f"{lost}; {folder.path} holds the checkpoint {manager.saved}, from which the run can be resumed once they "
            "are back, or with --accept-changes (in Python accept_changes=True) without them."
        ) from None
    except WorkerLostError as lost:
        lost.folder = folder if devices.chief else None
        raise
    except Exception as error:
        reason = format_disk_error(error)
        if reason is None:
            raise
        raise InputError(
            f"{folder.path} cannot be written: {reason}; it holds the checkpoint {manager.saved}, from which the run "
            "can be resumed once there is space."
        ) from None
