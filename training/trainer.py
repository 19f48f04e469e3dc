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
from kerascnn.applications.builder import under_policy
from kerascnn.data.atomic import beside
from kerascnn.data.dataset import DataSet
from kerascnn.data.disk_room import refusal
from kerascnn.data.ingestion import load
from kerascnn.errors import InputError

from .assembly import assemble, build, callbacks_for, compile_for
from .batches import Batches, batches_for, steps_per_epoch
from .best import BestModels
from .checkpoints import Checkpoints, Position, State
from .conduct import Conduct
from .events import cut_events
from .history import HistoryFile
from .hyperparameters import FineTuning
from .keeper import Follower, Keeper
from .loop import Loop
from .origin import resolved_by_weights
from .pace import Pace, Waiting
from .precision import choose_precision
from .recipe import Recipe
from .run_folder import RunFolder
from .schedules import MAIN_ACCURACY
from .soundness import Diverged, LossWatch, diverged
from .stopping import StopRequest
from .strategy import Devices, WorkerLost, choose_devices
from .unfreezing import plan
from .watching import watchers


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


class Interrupted(Exception):  # noqa: N818
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
    augmentation = replace(recipe.augmentation, flip=recipe.augmentation.flip and data.mirrored)
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
    conduct: Conduct = Conduct(),
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
        conduct: how often the state is written, what is kept, and whether a GPU computes repeatably.
        devices: where it computes; None for `choose_devices()`.
        profile: the first and the last step to run TensorFlow's profiler over, counted from 1.

    Returns:
        The run: recipe.yaml, history.csv, tensorboard/, checkpoints/ and model.keras are in its folder.

    Raises:
        InputError: the recipe does not fit the data or the network, or the disk is full.
        Diverged: the loss is no longer a finite number.
        Interrupted: on Ctrl-C or SIGTERM, after the step that was under way; go on with `resume`. A second Ctrl-C does
            not wait for it.
        WorkerLost: another of several workers ended.

    On a processor it switches TensorFlow to deterministic kernels, for the whole process.

    Example:
        >>> data = kerascnn.data.load("digits")
        >>> run = train(Recipe.for_model("resnet20"), data)
        >>> run = train(Recipe.load("resnet50"), "photos", model=ResNet50(classes=12, shortcut="C"))
    """
    devices = devices or choose_devices()
    if not isinstance(data, DataSet):
        with devices.in_turn():
            data = load(data, limit=limit)
    recipe = resolved(recipe, data, model)
    devices.share(recipe.batch_size)
    name = model.name if model else recipe.model
    with devices.scope():
        model = _new_model(recipe, data, conduct, model)
    batches = batches_for(model, recipe, data, None, devices, conduct.cache)
    if not devices.chief:
        with tempfile.TemporaryDirectory() as nothing:
            return _fit(model, recipe, data, batches, RunFolder(Path(nothing)), None, callbacks, conduct, devices)
    folder = RunFolder.create(Path(runs), name, data.name)
    folder.write_recipe(recipe, data.source, limit, _facts(model, recipe, data), conduct)
    return _fit(model, recipe, data, batches, folder, None, callbacks, conduct, devices, profile)


def resume(
    folder: RunFolder,
    recipe: Recipe,
    data: DataSet,
    *,
    model: keras.Model | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    conduct: Conduct | None = None,
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
        conduct: another than the run's, `folder.read_conduct()`.
        tell: takes a sentence about a checkpoint that is damaged.
        devices: as for `train`; they may be others than before. Every worker reads the folder.
        profile: as for `train`, counted from where the training goes on.

    Raises:
        InputError: no checkpoint can be read, or the data are others than before.
        Diverged, Interrupted, WorkerLost: as `train`.
    """
    devices = devices or choose_devices()
    conduct = conduct or folder.read_conduct()
    folder.check_data(data)
    # The chief first: it puts the folder in order.
    with devices.in_turn():
        state = _newest_state(folder, tell, devices)
    with devices.scope():
        model = _model_of(state, recipe, data, conduct, model) if state else _new_model(recipe, data, conduct, model)
    batches = batches_for(model, recipe, data, state.position if state else None, devices, conduct.cache)
    return _fit(model, recipe, data, batches, folder, state, callbacks, conduct, devices, profile)


def _newest_state(folder: RunFolder, tell: Callable[[str], None], devices: Devices) -> State | None:
    checkpoints = Checkpoints(folder.checkpoints)
    if devices.chief:
        checkpoints.clear_partial()
    state = checkpoints.newest(tell)
    if state is None and folder.history():
        raise InputError(f"{folder.path} has no checkpoint to go on from.")
    if devices.chief:
        cut_events(folder.tensorboard, state.events if state else {})
    return state


def _new_model(recipe: Recipe, data: DataSet, conduct: Conduct, own: keras.Model | None) -> keras.Model:
    _seed(recipe, conduct)
    with under_policy(recipe.precision):
        model = assemble(recipe, data, own)
    compile_for(model, recipe, steps_per_epoch(recipe, data))
    return model


def _model_of(state: State, recipe: Recipe, data: DataSet, conduct: Conduct, own: keras.Model | None) -> keras.Model:
    _seed(recipe, conduct)
    with under_policy(recipe.precision):
        model = build(recipe, data.class_names, own)
    compile_for(model, recipe, steps_per_epoch(recipe, data))
    state.restore(model)
    return model


def _facts(model: keras.Model, recipe: Recipe, data: DataSet) -> dict[str, Any]:
    tuned = [row._asdict() for row in plan(model, recipe.fine_tuning)] if recipe.fine_tuning.weights else None
    return {
        "classes": list(data.class_names),
        "training_pictures": len(data.training),
        "validation_pictures": len(data.validation),
        "set_aside": len(data.set_aside),
        "steps_per_epoch": steps_per_epoch(recipe, data),
        "trainable_parameters": sum(math.prod(weight.shape) for weight in model.trainable_weights),
        **({"fine_tuning": tuned} if tuned else {}),
    }


def _seed(recipe: Recipe, conduct: Conduct) -> None:
    """Makes a training repeatable to the bit: on a processor, where that costs nothing measurable, or as asked."""
    import tensorflow as tf

    keras.utils.set_random_seed(recipe.seed)
    if conduct.deterministic or not tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


def _fit(
    model: keras.Model,
    recipe: Recipe,
    data: DataSet,
    batches: Batches,
    folder: RunFolder,
    state: State | None,
    callbacks: Sequence[keras.callbacks.Callback],
    conduct: Conduct,
    devices: Devices,
    profile: tuple[int, int] | None = None,
) -> Run:
    rows = state.history if state else []
    accuracies = [next(row[name] for name in MAIN_ACCURACY if name in row) for row in rows]
    waiting = Waiting()
    pace = Pace(recipe.batch_size, waiting)
    history = HistoryFile(folder.history_file, rows)
    best = BestModels(folder.checkpoints, conduct.best, accuracies)
    watching = watchers(folder.tensorboard, recipe, batches, state.position if state else None, profile)
    rules = callbacks_for(recipe, batches.statistics, accuracies)
    everything = [pace, best, *rules, history, *watching, *callbacks] if devices.chief else [*rules, *callbacks]

    def report(before: Position, loss: float | None) -> Diverged:
        return diverged(before, loss, recipe, data, folder.path / "not_finite.txt", keeper.newest)

    watch = LossWatch(report)
    keeper: Keeper | Follower = Follower(model, watch, state)
    if devices.chief:
        keeper = Keeper(folder, model, history, everything, watch, conduct, state)
    try:
        with StopRequest(everything) as stop, devices.watching():
            Loop(model, batches, recipe.epochs, everything, keeper, stop, state, devices, waiting).run()
        if stop.requested:
            raise KeyboardInterrupt
        if devices.chief:
            with beside(folder.model_file) as partial:
                model.save(partial)
    except KeyboardInterrupt:
        raise Interrupted(folder, keeper.kept) from None
    except WorkerLost as lost:
        lost.folder = folder if devices.chief else None
        raise
    except Exception as error:
        reason = refusal(error)
        if reason is None:
            raise
        raise InputError(
            f"{folder.path} cannot be written: {reason}; it keeps the state {keeper.kept}, "
            "from which the run can go on when there is room."
        ) from None
    if devices.chief and devices.replicas > 1:
        model = keras.saving.load_model(folder.model_file)
    return Run(folder, model, recipe, pace.training_seconds)
