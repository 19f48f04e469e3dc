"""Trains one network on one data set, from its recipe to its run folder."""

from __future__ import annotations

import contextlib
import functools
import math
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import keras

from kerascnn.applications import registry
from kerascnn.applications.network import dtype_policy_scope
from kerascnn.console import messages
from kerascnn.data.dataset import DataSet
from kerascnn.data.ingestion.ingest import load
from kerascnn.errors import InputError, writing
from kerascnn.files.atomic import atomic_path
from kerascnn.files.disk_space import format_disk_error
from kerascnn.files.folder_owner import owned
from kerascnn.image_shape import RGB, ImageSize
from kerascnn.stop_request import StopRequest
from kerascnn.training.assembly import assemble, build, callbacks_for, compile_for, probe_of
from kerascnn.training.batches import Batches, batches_for, steps_per_epoch
from kerascnn.training.callbacks.epoch_files import BestModels, HistoryFile
from kerascnn.training.callbacks.event_files import cut_events
from kerascnn.training.callbacks.loggers import with_run
from kerascnn.training.callbacks.nan_guard import NaNGuard, TrainingDivergedError, diverged_error
from kerascnn.training.callbacks.progress_bar import LiveProgress
from kerascnn.training.callbacks.tensorboard import logging_callbacks
from kerascnn.training.callbacks.throughput import DataWaitTimer, ThroughputMonitor
from kerascnn.training.callbacks.user_callbacks import check_callbacks
from kerascnn.training.checkpoints.files import Checkpoint, Checkpoints, Position, Snapshot
from kerascnn.training.checkpoints.manager import CheckpointManager, WorkerCheckpointManager
from kerascnn.training.distillation import hints
from kerascnn.training.distillation.teacher import check_teacher, with_teacher
from kerascnn.training.fine_tuning import after_probe
from kerascnn.training.fine_tuning.gradual_unfreezing import plan
from kerascnn.training.fine_tuning.hold_out import HoldOut
from kerascnn.training.fine_tuning.pretrained import Pretrained, resolve_pretrained, with_weights
from kerascnn.training.fine_tuning.probe import ProbeResult
from kerascnn.training.loop import Loop
from kerascnn.training.multi_label import MULTI_LABEL, SINGLE_LABEL
from kerascnn.training.precision import choose_precision
from kerascnn.training.recipe.fields import BEST, FineTuning
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.run_changes import check_changes, fitting, record_changes
from kerascnn.training.run_config import RunConfig
from kerascnn.training.run_folder import RunFolder
from kerascnn.training.run_images import ImagesLostError, write_images
from kerascnn.training.schedules import deciding_accuracy, main_accuracy
from kerascnn.training.strategy import Devices, WorkerLostError, choose_devices


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        folder: its run folder; of several workers only the chief has one.
        model: the trained model, with its auxiliary classifiers if any, on one device.
        recipe: with every value resolved.
        seconds: spent in epochs, validation included.
    """

    folder: RunFolder
    model: keras.Model
    recipe: Recipe
    seconds: float

    @property
    def history(self) -> list[dict[str, float]]:
        """The metrics, one mapping per epoch; see `kerascnn.evaluation.plots.curves_figure`."""
        return self.folder.history()

    @property
    def position(self) -> Position:
        """Where it ended."""
        return Position(len(self.history))

    def __repr__(self) -> str:
        rows = self.history
        metric = main_accuracy(rows[-1]) if rows else None
        last = f", {metric} {rows[-1][metric]:.2%}" if metric else ""
        return f"<Run {self.folder.path}: {len(rows)} epochs in {self.seconds:.0f} s{last}>"


class TrainingInterruptedError(Exception):
    """The user stopped a training; `folder` holds a checkpoint from which `resume` continues."""

    def __init__(self, folder: RunFolder, position: Position):
        super().__init__(f"stopped; {folder.path} holds the checkpoint {position}.")
        self.folder = folder


def resolved(recipe: Recipe, data: DataSet, model: keras.Model | None = None) -> Recipe:
    """The recipe with every value that depends on the network, the data or the pretrained weights filled in.

    Args:
        recipe: with the values that are known.
        data: to be trained on.
        model: as for `train`.

    The place of a cut "auto" is chosen by a linear probe, which is computed once and then read from the cache.

    Raises:
        InputError: the pretrained weights cannot be read or are missing, the caller's own network is to be fine-tuned,
            or a teacher cannot be read or has other classes.
    """
    return _resolve(recipe, data, model)[0]


def linear_probe(recipe: Recipe, data: DataSet) -> ProbeResult | None:
    """The linear probe of a resolved recipe, see `kerascnn.training.fine_tuning.probe`; None if it has none.

    It is computed once and then read from the cache. InputError as for `train`.

    Example:
        >>> recipe = resolved(with_weights(Recipe.load("probe"), "imagenet", "resnet50"), data)
        >>> linear_probe(recipe, data).chosen.accuracy
        0.947
    """
    pretrained = resolve_pretrained(recipe) if recipe.fine_tuning.probe else None
    return probe_of(recipe, data, pretrained) if pretrained else None


def _resolve(recipe: Recipe, data: DataSet, model: keras.Model | None) -> tuple[Recipe, Pretrained | None]:
    if model and recipe.fine_tuning != FineTuning():
        raise InputError(f"{model.name} brings its own weights; fine_tuning is for networks that recipes name.")
    recipe = check_teacher(recipe, data)
    pretrained = resolve_pretrained(recipe)
    recipe = pretrained.complete(recipe) if pretrained else recipe
    batch_size = min(recipe.batch_size, len(data.training))
    epochs = recipe.epochs
    if recipe.iterations:
        epochs = math.ceil(recipe.iterations / (len(data.training) // batch_size)) + recipe.fine_tuning.probe
    size = ImageSize(*model.input_shape[1:3]).plain if model else None
    channels = recipe.channels or (model.input_shape[3] if model else RGB)
    if recipe.sampling == "balanced" and data.multi_label:
        raise InputError(
            "sampling 'balanced' needs one class per image; of multi-label data set class_weights instead."
        )
    augmentation = recipe.augmentation.for_images(len(data.training))
    recipe = replace(
        recipe,
        task=task_of(recipe, data),
        image_size=recipe.image_size or size or registry.info(recipe.model).input_size,
        channels=channels,
        pixels=recipe.pixels.for_channels(channels),
        batch_size=batch_size,
        epochs=epochs,
        precision=choose_precision(recipe.precision).policy,
        augmentation=replace(augmentation, flip=augmentation.flip and data.allows_horizontal_flip),
    )
    if recipe.fine_tuning.cut == BEST and pretrained:
        place = probe_of(recipe, data, pretrained).chosen.place
        recipe = replace(recipe, fine_tuning=replace(recipe.fine_tuning, cut=place))
    return recipe, pretrained


def task_of(recipe: Recipe, data: DataSet) -> str:
    """Whether the data are "single-label" or "multi-label"; raises InputError if the recipe is for the other."""
    task = MULTI_LABEL if data.multi_label else SINGLE_LABEL
    if recipe.task not in ("auto", task):
        raise InputError(f"the recipe's task is {recipe.task}, but {data.source} is {task} data; set task to auto.")
    return task


def train(
    recipe: Recipe | str,
    data: DataSet | str | Path,
    *,
    model: keras.Model | None = None,
    runs: str | Path = "runs",
    limit: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    run_config: RunConfig = RunConfig(),
    devices: Devices | None = None,
    profile: tuple[int, int] | None = None,
    verbose: int = 1,
) -> Run:
    """Trains a network and writes a run folder.

    Args:
        recipe: the network and its hyperparameters; or the name of a network, for its default recipe, or of a recipe.
        data: from `kerascnn.data.load`, or what that takes.
        model: replaces the recipe's network and keeps its weights and its precision. It maps scaled pixels to class
            probabilities, or to a dict of `main` and auxiliary ones. For several devices create it in
            `devices.scope()`.
        runs: the folder in which the run folder `<model>-<data>-<time>` is created.
        limit: the limit that `data` was loaded with, or is to be loaded with; recorded for `resume`.
        callbacks: more Keras callbacks, such as `keras.callbacks.EarlyStopping`, `WandbLogger` or `MLflowLogger`.
        run_config: checkpoint interval, number of best models, determinism and image cache.
        devices: to train on; None for `choose_devices()`.
        profile: the first and the last step to profile with TensorFlow, counted from 1.
        verbose: 1 shows the progress on standard error, a line per epoch if that is no terminal; 0 shows nothing.

    Returns:
        The run: recipe.yaml, history.csv, checkpoints/, model.keras and TensorBoard's train/ and validation/ are in its
        folder.

    Raises:
        InputError: the recipe does not fit the data, the network or a callback, or the disk is full.
        TrainingDivergedError: the loss is no longer finite.
        TrainingInterruptedError: after Ctrl-C or SIGTERM, once the current step is done; `resume` continues. A second
            Ctrl-C stops at once.
        WorkerLostError: another worker ended.

    Without a GPU it switches TensorFlow to deterministic kernels, for the whole process.

    Example:
        >>> data = kerascnn.data.load("digits")
        >>> run = train("resnet20", data)
        >>> run = train(Recipe.load("resnet50"), "photos", model=ResNet50(classes=12, shortcut="C"))
    """
    recipe = named_recipe(recipe) if isinstance(recipe, str) else recipe
    if not isinstance(recipe, Recipe):
        named = "train takes a Recipe, or the name of a network or of a recipe"
        raise InputError(f"{named}, not {recipe!r}; a network of your own is given as model=.")
    devices = devices or choose_devices()
    recipe.check_devices(devices.replicas)
    if not isinstance(data, DataSet):
        with devices.chief_first():
            data = load(data, limit=limit)
    with devices.chief_first():
        recipe, pretrained = _resolve(recipe, data, model)
    callbacks = [*callbacks, *progress(recipe, data, verbose if devices.chief else 0)]
    devices.share(recipe.batch_size)
    training = _Training(recipe, data, callbacks, run_config, devices, profile, recipe)
    with devices.scope():
        new = training.compiled(lambda: assemble(recipe, data, model, pretrained))
    batches = training.batches(new, None)
    if not devices.chief:
        with tempfile.TemporaryDirectory() as unused:
            return training.run(new, batches, RunFolder(Path(unused)), None)
    folder = RunFolder.create(Path(runs), model.name if model else recipe.model, data.name)
    with owned(folder.path):
        folder.write_recipe(recipe, data.source, limit, training.summary(new), run_config, data.options)
        with writing(folder.path):
            write_images(folder.images_file, data)
        return training.run(new, batches, folder, None)


def named_recipe(name: str) -> Recipe:
    """The default recipe of a network, or else the recipe of that name; InputError if there is none."""
    return Recipe.for_model(registry.canonical(name)) if registry.is_known(name) else Recipe.load(name)


def progress(recipe: Recipe, data: DataSet, verbose: int) -> list[keras.callbacks.Callback]:
    """The callback that shows a training's progress on standard error, unless `verbose` is 0."""
    if not verbose:
        return []
    return [LiveProgress(recipe.epochs, steps_per_epoch(recipe, data), recipe.batch_size, messages())]


def finetune(
    weights: str | Path,
    data: DataSet | str,
    *,
    model: str | None = None,
    recipe: Recipe | str = "finetune",
    **options: Any,
) -> Run:
    """Trains a network from pretrained weights on other classes.

    The classifier is new. With the recipe `finetune` it is trained alone first; stages are then unfrozen from the top
    down, and lower stages use smaller learning rates. Pixels are scaled as they were for the weights.

    Args:
        weights: a run folder, a weight file, or a name that the network's builder takes, such as "imagenet".
        data: a data set, or its source.
        model: the network's name; None for the run's, or else the recipe's.
        recipe: a recipe, or the name of one.
        options: those of `train`.

    Raises:
        InputError: the weights are another network's, or as for `train`.

    Example:
        >>> run = finetune("runs/resnet20-digits-20261120-101500", "photos")
        >>> run = finetune("imagenet", "photos", model="resnet50")
    """
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    network = registry.canonical(model) if model else None
    return train(with_weights(recipe, str(weights), network), data, **options)


def distill(
    teacher: str | Path,
    data: DataSet | str,
    *,
    recipe: Recipe | str,
    hints: Mapping[str, str] | None = None,
    **options: Any,
) -> Run:
    """Trains a network by another one, its teacher, see `Distillation`.

    Args:
        teacher: a run folder, or a .keras file of one.
        data: a data set, or its source, with the classes that the teacher knows.
        recipe: the student and its hyperparameters; or the name of a network or of a recipe.
        hints: layers of the teacher by layers of the student, which learn to predict them before the first epoch; {}
            for none, None for those of the recipe.
        options: those of `train`. Callbacks are called in the epochs after the hints.

    Returns:
        The run of the student. It holds no part of the teacher. Of hints it has a folder with history and checkpoints.

    Raises:
        InputError: the teacher cannot be read or has other classes, a hint does not fit, or as for `train`.

    Example:
        >>> run = distill("runs/resnet56-photos-20261120-101500", "photos", recipe="resnet20")
    """
    recipe = named_recipe(recipe) if isinstance(recipe, str) else recipe
    return train(with_teacher(recipe, teacher, hints), data, **options)


def resume(
    folder: RunFolder,
    recipe: Recipe,
    data: DataSet,
    *,
    model: keras.Model | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    run_config: RunConfig | None = None,
    warn: Callable[[str], None] = warnings.warn,
    devices: Devices | None = None,
    profile: tuple[int, int] | None = None,
    verbose: int = 1,
    accept_changes: bool = False,
) -> Run:
    """Continues a run from its newest checkpoint; the result is that of an uninterrupted run.

    A run without a checkpoint starts again.

    Args:
        folder: of the run that was stopped.
        recipe: of `folder.read_recipe()`.
        data: loaded from the source and limit of `folder.read_recipe()`, with `folder.read_data_options()`; or from
            another place where they are now.
        model: the network that was given to `train`, if any.
        callbacks: as for `train`.
        run_config: None for the run's, `folder.read_run_config()`.
        warn: is called with a sentence about each damaged checkpoint and each accepted change.
        devices: as for `train`; they may differ from the run's. Every worker reads the folder.
        profile: as for `train`, counted from the first resumed step.
        verbose: as for `train`.
        accept_changes: whether to continue although images or fields of the recipe have changed since.

    Raises:
        InputError: no checkpoint can be read, another process trains the run, or images or fields of the recipe have
            changed, which are named; or its teacher has.
        TrainingDivergedError, TrainingInterruptedError, WorkerLostError: as `train`.
    """
    devices = devices or choose_devices()
    with owned(folder.path) if devices.chief else contextlib.nullcontext():
        task_of(recipe, data)
        recipe = check_teacher(recipe, data)
        recipe.check_devices(devices.replicas)
        callbacks = [*callbacks, *progress(recipe, data, verbose if devices.chief else 0)]
        run_config = run_config or folder.read_run_config()
        training = _Training(recipe, data, callbacks, run_config, devices, profile, recipe)
        # The chief first: it removes partial files.
        with devices.chief_first():
            checkpoint = _newest_checkpoint(folder, warn, devices)
            events, of_hints = checkpoint.events if checkpoint else {}, None
            if checkpoint is None and recipe.distillation.begins_with_hints:
                of_hints = _newest_checkpoint(_hints_folder(folder), warn, devices)
            changes = check_changes(folder, checkpoint or of_hints, recipe, data, accept_changes)
            if checkpoint and not recipe.fine_tuning.tunes_after_probe:
                checkpoint = fitting(checkpoint, folder, steps_per_epoch(recipe, data))
            if of_hints:
                events = {f"{hints.HINTS}/{file}": size for file, size in of_hints.events.items()}
                of_hints = fitting(of_hints, folder, steps_per_epoch(recipe, data))
        restored = training.restored(checkpoint, model)
        if devices.chief:
            if changes and checkpoint and not training.tunes_after(checkpoint):
                # Now, since the epoch may begin again, and is not to be resumed where it was before.
                reached = Snapshot(checkpoint.variables["metrics"], checkpoint.events)
                with writing(folder.checkpoints):
                    Checkpoints(folder.checkpoints).write(
                        checkpoint.position, restored, checkpoint.history, reached, recipe.to_dict()
                    )
            record_changes(folder, checkpoint, recipe, data, changes, warn)
            cut_events(folder.path, events)
        return training.run(restored, training.batches(restored, checkpoint), folder, checkpoint, of_hints)


def _newest_checkpoint(folder: RunFolder, warn: Callable[[str], None], devices: Devices) -> Checkpoint | None:
    checkpoints = Checkpoints(folder.checkpoints)
    if devices.chief:
        checkpoints.clear_partial()
    checkpoint = checkpoints.newest(warn)
    if checkpoint is None and folder.history():
        raise InputError(f"{folder.path} has no checkpoint to resume from.")
    return checkpoint


def _hints_folder(folder: RunFolder) -> RunFolder:
    """Where a run's first stage has its history and checkpoints, as a run has."""
    return RunFolder(folder.path / hints.HINTS)


@dataclass(frozen=True)
class _Training:
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
        check_callbacks(self.callbacks, recipe, heads=isinstance(model.output, dict))

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
        recipe, own = hints.stage_recipe(self.recipe), _hints_folder(folder)
        with self.devices.scope():
            learner = hints.learner(model, recipe, steps_per_epoch(recipe, self.data))
        position = checkpoint.position if checkpoint else None
        if checkpoint:
            checkpoint.restore(learner)
        if position is None or position.epochs < recipe.epochs:
            own.path.mkdir(exist_ok=True)
            shown = [callback for callback in self.callbacks if hasattr(callback, "say")]
            run_config = replace(self.run_config, best=0)
            stage = replace(self, recipe=recipe, callbacks=shown, run_config=run_config, profile=None)
            batches = batches_for(learner, recipe, self.data, position, self.devices, self.run_config.cache)
            self._say(f"hints for {recipe.epochs} epochs, then {self.recipe.epochs} epochs of the whole network")
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
        try:
            with StopRequest(callbacks) as stop, devices.detecting_lost_workers():
                of_run = self.data, callbacks, manager, stop, checkpoint, devices, timer, probe
                Loop(model, batches, recipe.epochs, *of_run).run()
                if devices.chief and file and not stop.requested:
                    with atomic_path(file) as partial:
                        model.save(partial)
            stop.check()
        except KeyboardInterrupt:
            raise TrainingInterruptedError(folder, manager.saved) from None
        except ImagesLostError as lost:
            raise InputError(
                f"{lost}; {folder.path} holds the checkpoint {manager.saved}, from which the run can be resumed once "
                "they are back, or with --accept-changes without them."
            ) from None
        except WorkerLostError as lost:
            lost.folder = folder if devices.chief else None
            raise
        except Exception as error:
            reason = format_disk_error(error)
            if reason is None:
                raise
            raise InputError(
                f"{folder.path} cannot be written: {reason}; it holds the checkpoint {manager.saved}, "
                "from which the run can be resumed once there is space."
            ) from None
        if devices.chief and devices.replicas > 1 and file:
            model = keras.saving.load_model(file)
        return Run(folder, model, recipe, monitor.training_seconds)
