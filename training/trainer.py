"""The training of one network on one data set, from its recipe to its run folder."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras

from kerascnn.applications import registry
from kerascnn.applications.network import dtype_policy_scope
from kerascnn.data.dataset import DataSet
from kerascnn.data.ingestion.ingest import load
from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_path
from kerascnn.files.disk_space import format_disk_error
from kerascnn.training.assembly import assemble, build, callbacks_for, compile_for
from kerascnn.training.batches import Batches, batches_for, steps_per_epoch
from kerascnn.training.callbacks.epoch_files import BestModels, HistoryFile
from kerascnn.training.callbacks.event_files import cut_events
from kerascnn.training.callbacks.nan_guard import NaNGuard, TrainingDivergedError, diverged_error
from kerascnn.training.callbacks.tensorboard import logging_callbacks
from kerascnn.training.callbacks.throughput import DataWaitTimer, ThroughputMonitor
from kerascnn.training.checkpoints.files import Checkpoint, Checkpoints, Position
from kerascnn.training.checkpoints.manager import CheckpointManager, WorkerCheckpointManager
from kerascnn.training.checkpoints.signals import StopRequest
from kerascnn.training.fine_tuning.gradual_unfreezing import plan
from kerascnn.training.fine_tuning.pretrained import resolved_by_weights
from kerascnn.training.loop import Loop
from kerascnn.training.precision import choose_precision
from kerascnn.training.recipe.fields import FineTuning
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.run_config import RunConfig
from kerascnn.training.run_folder import RunFolder
from kerascnn.training.schedules import MAIN_ACCURACY
from kerascnn.training.strategy import Devices, WorkerLostError, choose_devices


@dataclass(frozen=True)
class Run:
    """A training that ended.

    Attributes:
        folder: what it left behind; of several workers the chief alone has one.
        model: the trained model, with its auxiliary classifiers where it has some, on one device.
        recipe: with every value resolved.
        seconds: spent in epochs, validation included.
    """

    folder: RunFolder
    model: keras.Model
    recipe: Recipe
    seconds: float


class TrainingInterruptedError(Exception):
    """A training was stopped by the user; `folder` holds a state to go on from with `resume`."""

    def __init__(self, folder: RunFolder, position: Position):
        super().__init__(f"stopped; {folder.path} keeps the state {position}.")
        self.folder = folder


def resolved(recipe: Recipe, data: DataSet, model: keras.Model | None = None) -> Recipe:
    """The recipe with every value that depends on the network or the data filled in.

    Args:
        recipe: with the values that are known.
        data: to be trained on.
        model: as for `train`.

    Raises:
        InputError: the weights to begin with cannot be read, or are missing, or are for a network of the caller's own.
    """
    if model and recipe.fine_tuning != FineTuning():
        raise InputError(f"{model.name} brings its own weights; fine_tuning is for networks that recipes name.")
    recipe = resolved_by_weights(recipe)
    size = model.input_shape[1] if model else None
    augmentation = replace(recipe.augmentation, flip=recipe.augmentation.flip and data.allows_horizontal_flip)
    batch_size = min(recipe.batch_size, len(data.training))
    epochs = recipe.epochs
    if recipe.iterations:
        epochs = math.ceil(recipe.iterations / (len(data.training) // batch_size))
    return replace(
        recipe,
        image_size=recipe.image_size or size or registry.info(recipe.model).input_size,
        batch_size=batch_size,
        epochs=epochs,
        precision=choose_precision(recipe.precision).policy,
        augmentation=augmentation,
    )


def train(
    recipe: Recipe,
    data: DataSet | str | Path,
    *,
    model: keras.Model | None = None,
    runs: str | Path = "runs",
    limit: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    run_config: RunConfig = RunConfig(),
    devices: Devices | None = None,
    profile: tuple[int, int] | None = None,
) -> Run:
    """Trains a network from scratch and leaves a run folder.

    Args:
        recipe: what to train and how.
        data: from `kerascnn.data.load`, or what that takes.
        model: a network to train instead of the recipe's, from the weights that it has: from scaled pixels to the
            probabilities of the classes, or to a dict of `main` and auxiliary ones. It keeps its own precision; for
            several devices it is made in `devices.scope()`.
        runs: the folder in which the run folder `<model>-<data>-<time>` is made.
        limit: the limit `data` was loaded with, or is to be loaded with, written down for `resume`.
        callbacks: more of Keras' callbacks, such as `LiveProgress`.
        run_config: how often the state is written, what is kept, and whether a GPU computes repeatably.
        devices: where it computes; None for `choose_devices()`.
        profile: the first and the last step to run TensorFlow's profiler over, counted from 1.

    Returns:
        The run: recipe.yaml, history.csv, tensorboard/, checkpoints/ and model.keras are in its folder.

    Raises:
        InputError: the recipe does not fit the data or the network, or the disk is full.
        TrainingDivergedError: the loss is no longer a finite number.
        TrainingInterruptedError: on Ctrl-C or SIGTERM, after the current step; `resume` goes on. A second Ctrl-C does
            not wait for it.
        WorkerLostError: another of several workers ended.

    On a processor it switches TensorFlow to deterministic kernels, for the whole process.

    Example:
        >>> data = kerascnn.data.load("digits")
        >>> run = train(Recipe.for_model("resnet20"), data)
        >>> run = train(Recipe.load("resnet50"), "photos", model=ResNet50(classes=12, shortcut="C"))
    """
    devices = devices or choose_devices()
    if not isinstance(data, DataSet):
        with devices.chief_first():
            data = load(data, limit=limit)
    recipe = resolved(recipe, data, model)
    devices.share(recipe.batch_size)
    name = model.name if model else recipe.model
    with devices.scope():
        model = _new_model(recipe, data, run_config, model)
    batches = batches_for(model, recipe, data, None, devices, run_config.cache)
    if not devices.chief:
        with tempfile.TemporaryDirectory() as nothing:
            return _fit(model, recipe, data, batches, RunFolder(Path(nothing)), None, callbacks, run_config, devices)
    folder = RunFolder.create(Path(runs), name, data.name)
    folder.write_recipe(recipe, data.source, limit, _facts(model, recipe, data), run_config)
    return _fit(model, recipe, data, batches, folder, None, callbacks, run_config, devices, profile)


def resume(
    folder: RunFolder,
    recipe: Recipe,
    data: DataSet,
    *,
    model: keras.Model | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    run_config: RunConfig | None = None,
    tell: Callable[[str], None] = warnings.warn,
    devices: Devices | None = None,
    profile: tuple[int, int] | None = None,
) -> Run:
    """Goes on with a run from its newest checkpoint, and ends as if the run had not been stopped.

    A run that was stopped before its first checkpoint begins again.

    Args:
        folder: of the run that was stopped.
        recipe: as `folder.read_recipe()` gives it.
        data: loaded from the source and limit that `folder.read_recipe()` gives.
        model: the network that `train` was given, if it was.
        callbacks: as for `train`.
        run_config: another than the run's, `folder.read_run_config()`.
        tell: takes a sentence about a checkpoint that is damaged.
        devices: as for `train`; they may be others than before. Every worker reads the folder.
        profile: as for `train`, counted from where the training goes on.

    Raises:
        InputError: no checkpoint can be read, or the data are others than before.
        TrainingDivergedError, TrainingInterruptedError, WorkerLostError: as `train`.
    """
    devices = devices or choose_devices()
    run_config = run_config or folder.read_run_config()
    folder.check_data(data)
    # The chief first: it puts the folder in order.
    with devices.chief_first():
        state = _newest_state(folder, tell, devices)
    with devices.scope():
        model = (
            _model_of(state, recipe, data, run_config, model) if state else _new_model(recipe, data, run_config, model)
        )
    batches = batches_for(model, recipe, data, state.position if state else None, devices, run_config.cache)
    return _fit(model, recipe, data, batches, folder, state, callbacks, run_config, devices, profile)


def _newest_state(folder: RunFolder, tell: Callable[[str], None], devices: Devices) -> Checkpoint | None:
    checkpoints = Checkpoints(folder.checkpoints)
    if devices.chief:
        checkpoints.clear_partial()
    state = checkpoints.newest(tell)
    if state is None and folder.history():
        raise InputError(f"{folder.path} has no checkpoint to go on from.")
    if devices.chief:
        cut_events(folder.tensorboard, state.events if state else {})
    return state


def _new_model(recipe: Recipe, data: DataSet, run_config: RunConfig, own: keras.Model | None) -> keras.Model:
    _seed(recipe, run_config)
    with dtype_policy_scope(recipe.precision):
        model = assemble(recipe, data, own)
    compile_for(model, recipe, steps_per_epoch(recipe, data))
    return model


def _model_of(
    state: Checkpoint, recipe: Recipe, data: DataSet, run_config: RunConfig, own: keras.Model | None
) -> keras.Model:
    _seed(recipe, run_config)
    with dtype_policy_scope(recipe.precision):
        model = build(recipe, data.class_names, own)
    compile_for(model, recipe, steps_per_epoch(recipe, data))
    state.restore(model)
    return model


def _facts(model: keras.Model, recipe: Recipe, data: DataSet) -> dict[str, Any]:
    tuned = [row._asdict() for row in plan(model, recipe.fine_tuning)] if recipe.fine_tuning.weights else None
    return {
        "classes": list(data.class_names),
        "training_images": len(data.training),
        "validation_images": len(data.validation),
        "skipped": len(data.skipped),
        "steps_per_epoch": steps_per_epoch(recipe, data),
        "trainable_parameters": sum(math.prod(weight.shape) for weight in model.trainable_weights),
        **({"fine_tuning": tuned} if tuned else {}),
    }


def _seed(recipe: Recipe, run_config: RunConfig) -> None:
    """Makes a training repeatable to the bit: on a processor, where that costs nothing measurable, or as asked."""
    import tensorflow as tf

    keras.utils.set_random_seed(recipe.seed)
    if run_config.deterministic or not tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


def _fit(
    model: keras.Model,
    recipe: Recipe,
    data: DataSet,
    batches: Batches,
    folder: RunFolder,
    state: Checkpoint | None,
    callbacks: Sequence[keras.callbacks.Callback],
    run_config: RunConfig,
    devices: Devices,
    profile: tuple[int, int] | None = None,
) -> Run:
    rows = state.history if state else []
    accuracies = [next(row[name] for name in MAIN_ACCURACY if name in row) for row in rows]
    waiting = DataWaitTimer()
    pace = ThroughputMonitor(recipe.batch_size, waiting)
    history = HistoryFile(folder.history_file, rows)
    best = BestModels(folder.checkpoints, run_config.best, accuracies)
    watching = logging_callbacks(folder.tensorboard, recipe, batches, state.position if state else None, profile)
    rules = callbacks_for(recipe, batches.statistics, accuracies)
    everything = [pace, best, *rules, history, *watching, *callbacks] if devices.chief else [*rules, *callbacks]

    def report(before: Position, loss: float | None) -> TrainingDivergedError:
        return diverged_error(before, loss, recipe, data, folder.path / "not_finite.txt", checkpoint_manager.newest)

    watch = NaNGuard(report)
    checkpoint_manager: CheckpointManager | WorkerCheckpointManager = WorkerCheckpointManager(model, watch, state)
    if devices.chief:
        checkpoint_manager = CheckpointManager(folder, model, history, everything, watch, run_config, state)
    try:
        with StopRequest(everything) as stop, devices.detecting_lost_workers():
            Loop(model, batches, recipe.epochs, everything, checkpoint_manager, stop, state, devices, waiting).run()
        if stop.requested:
            raise KeyboardInterrupt
        if devices.chief:
            with atomic_path(folder.model_file) as partial:
                model.save(partial)
    except KeyboardInterrupt:
        raise TrainingInterruptedError(folder, checkpoint_manager.saved) from None
    except WorkerLostError as lost:
        lost.folder = folder if devices.chief else None
        raise
    except Exception as error:
        reason = format_disk_error(error)
        if reason is None:
            raise
        raise InputError(
            f"{folder.path} cannot be written: {reason}; it keeps the state {checkpoint_manager.saved}, "
            "from which the run can go on when there is room."
        ) from None
    if devices.chief and devices.replicas > 1:
        model = keras.saving.load_model(folder.model_file)
    return Run(folder, model, recipe, pace.training_seconds)
