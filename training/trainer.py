"""Trains one network on one data set, from its recipe to its run folder, or continues a run."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from kerascnn.applications import registry
from kerascnn.console import messages
from kerascnn.data.dataset import DataSet
from kerascnn.data.ingestion.ingest import load
from kerascnn.errors import InputError, writing
from kerascnn.files.folder_owner import owned
from kerascnn.training.assembly import assemble
from kerascnn.training.batches import steps_per_epoch
from kerascnn.training.callbacks.event_files import cut_events
from kerascnn.training.callbacks.progress_bar import LiveProgress
from kerascnn.training.checkpoints.files import Checkpoint, Checkpoints, Snapshot
from kerascnn.training.distillation.hints import HINTS
from kerascnn.training.distillation.teacher import check_teacher, with_teacher
from kerascnn.training.fine_tuning.pretrained import with_weights
from kerascnn.training.phases import Training, hints_folder
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.resolution import named_recipe, resolve, task_of
from kerascnn.training.run import Run
from kerascnn.training.run_changes import check_changes, fitting, record_changes
from kerascnn.training.run_config import RunConfig
from kerascnn.training.run_folder import RunFolder
from kerascnn.training.run_images import write_images
from kerascnn.training.strategy import Devices, choose_devices


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
        recipe, pretrained = resolve(recipe, data, model)
    callbacks = [*callbacks, *progress(recipe, data, verbose if devices.chief else 0)]
    devices.share(recipe.batch_size)
    training = Training(recipe, data, callbacks, run_config, devices, profile, recipe)
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
        training = Training(recipe, data, callbacks, run_config, devices, profile, recipe)
        # The chief first: it removes partial files.
        with devices.chief_first():
            checkpoint = _newest_checkpoint(folder, warn, devices)
            events, of_hints = checkpoint.events if checkpoint else {}, None
            if checkpoint is None and recipe.distillation.begins_with_hints:
                of_hints = _newest_checkpoint(hints_folder(folder), warn, devices)
            changes = check_changes(folder, checkpoint or of_hints, recipe, data, accept_changes)
            if checkpoint and not recipe.fine_tuning.tunes_after_probe:
                checkpoint = fitting(checkpoint, folder, steps_per_epoch(recipe, data))
            if of_hints:
                events = {f"{HINTS}/{file}": size for file, size in of_hints.events.items()}
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
