"""The training of one network on one data set, from its recipe to its run folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from kerascnn.applications import registry
from kerascnn.data.cache import Cache, pictures_folder
from kerascnn.data.dataset import DataSet
from kerascnn.data.pipeline import evaluation_batches, training_batches
from kerascnn.errors import InputError

from .assembly import assemble, callbacks_for, compile_for
from .callbacks import Checkpoints, Pace
from .precision import choose_precision
from .recipe import Recipe
from .run_folder import RunFolder
from .schedules import MAIN_ACCURACY
from .tensorboard import TensorBoard

GRID_PICTURES = 36


@dataclass(frozen=True)
class Run:
    """A training that ended.

    Attributes:
        folder: what it left behind.
        model: the trained model, with its auxiliary classifiers where it has some.
        recipe: with every value resolved.
        seconds: spent in epochs, validation included.
    """

    folder: RunFolder
    model: keras.Model
    recipe: Recipe
    seconds: float


class Interrupted(Exception):  # noqa: N818
    """A training was stopped by the user; `folder` holds the state after its last whole epoch."""

    def __init__(self, folder: RunFolder):
        super().__init__(f"stopped; {folder.path} keeps the last whole epoch.")
        self.folder = folder


def resolved(recipe: Recipe, data: DataSet) -> Recipe:
    """The recipe with every value that depends on the network or the data filled in."""
    augmentation = replace(recipe.augmentation, flip=recipe.augmentation.flip and data.mirrored)
    batch_size = min(recipe.batch_size, len(data.training))
    epochs = recipe.epochs
    if recipe.iterations:
        epochs = math.ceil(recipe.iterations / (len(data.training) // batch_size))
    return replace(
        recipe,
        image_size=recipe.image_size or registry.info(recipe.model).input_size,
        batch_size=batch_size,
        epochs=epochs,
        precision=choose_precision(recipe.precision).policy,
        augmentation=augmentation,
    )


def train(
    recipe: Recipe,
    data: DataSet,
    *,
    runs: str | Path = "runs",
    limit: int | None = None,
    cache: Cache = "none",
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Run:
    """Trains a network from scratch and leaves a run folder.

    Args:
        recipe: what to train and how.
        data: from `kerascnn.data.load`.
        runs: the folder in which the run folder `<model>-<data>-<time>` is made.
        limit: the limit `data` was loaded with, written down for `resume`.
        cache: whether decoded pictures are kept, in "memory" or on "disk"; it changes nothing but the speed.
        callbacks: more of Keras' callbacks, such as `LiveProgress`.

    Returns:
        The run: recipe.yaml, history.csv, tensorboard/, checkpoints/ and model.keras are in its folder.

    Raises:
        InputError: the recipe does not fit the data or the network.
        Interrupted: on Ctrl-C; go on with `resume`.

    On a processor it switches TensorFlow to deterministic kernels, for the whole process.

    Example:
        >>> data = kerascnn.data.load("digits")
        >>> run = train(Recipe.for_model("resnet20"), data)
    """
    recipe = resolved(recipe, data)
    _seed(recipe)
    model = _in_policy(recipe.precision, lambda: assemble(recipe, data))
    compile_for(model, recipe, steps_per_epoch(recipe, data))
    batches = _batches(model, recipe, data, 0, cache)
    folder = RunFolder.create(Path(runs), recipe.model, data.name)
    folder.write_recipe(recipe, data.source, limit, _facts(model, recipe, data))
    return _fit(model, recipe, batches, folder, epochs_done=0, callbacks=callbacks)


def resume(
    folder: RunFolder,
    recipe: Recipe,
    data: DataSet,
    *,
    cache: Cache = "none",
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Run:
    """Goes on with a run from its last whole epoch.

    Args:
        folder: of the run that was stopped.
        recipe: as `folder.read_recipe()` gives it.
        data: loaded from the source and limit that `folder.read_recipe()` gives.
        cache, callbacks: as for `train`.

    Raises:
        InputError: there is no checkpoint, it cannot be read, or the data are others than before.
        Interrupted: on Ctrl-C.
    """
    file, epochs_done = folder.newest_checkpoint()
    _seed(recipe)
    try:
        model = keras.saving.load_model(file)
    except Exception as error:
        raise InputError(f"{file} cannot be read: {' '.join(str(error).split())}") from None
    names = model.get_layer("labels").class_names
    if names != data.class_names:
        raise InputError(f"{data.source} has other classes than {folder.path} was trained on.")
    _compile_again(model, recipe, data)
    batches = _batches(model, recipe, data, epochs_done, cache)
    return _fit(model, recipe, batches, folder, epochs_done, callbacks)


def _compile_again(model: keras.Model, recipe: Recipe, data: DataSet) -> None:
    """Compiles a loaded model as a new one is, and gives its optimizer the loaded one's state.

    A Keras file does not say which weights are spared from decay.
    """
    loaded = model.optimizer
    compile_for(model, recipe, steps_per_epoch(recipe, data))
    for variable, value in zip(model.optimizer.variables, loaded.variables, strict=True):
        variable.assign(value)


def steps_per_epoch(recipe: Recipe, data: DataSet) -> int:
    """The full batches of an epoch."""
    return len(data.training) // recipe.batch_size


def _facts(model: keras.Model, recipe: Recipe, data: DataSet) -> dict[str, Any]:
    return {
        "classes": list(data.class_names),
        "training_pictures": len(data.training),
        "validation_pictures": len(data.validation),
        "set_aside": len(data.set_aside),
        "steps_per_epoch": steps_per_epoch(recipe, data),
        "trainable_parameters": sum(math.prod(weight.shape) for weight in model.trainable_weights),
    }


def _seed(recipe: Recipe) -> None:
    """Makes a training on a processor repeatable to the bit; it costs nothing measurable there."""
    import tensorflow as tf

    keras.utils.set_random_seed(recipe.seed)
    if not tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


def _in_policy(policy: str, build):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return build()
    finally:
        keras.config.set_dtype_policy(before)


class Batches(NamedTuple):
    """The pipelines of a training, a batch to look at, and their length."""

    training: Any
    validation: Any
    statistics: Any
    pictures: np.ndarray
    steps: int


def _batches(model: keras.Model, recipe: Recipe, data: DataSet, epochs_done: int, cache: Cache) -> Batches:
    views = {
        "classes": len(data.class_names),
        "size": recipe.image_size,
        "crop_fraction": recipe.pixels.crop_fraction,
        "batch_size": recipe.batch_size,
    }
    epochs = range(epochs_done, recipe.epochs)
    kept = {"cache": cache, "cache_folder": pictures_folder(data)}
    weights = data.class_weights() if recipe.class_weights == "balanced" else None
    training = training_batches(
        data.training,
        augmentation=recipe.augmentation,
        seed=recipe.seed,
        epochs=epochs,
        class_weights=weights,
        **kept,
        **views,
    )
    pictures = np.zeros((0, 1, 1, 3)) if epochs_done else next(iter(training))[0].numpy()[:GRID_PICTURES]
    validation = evaluation_batches(data.validation, **kept, **views)
    # The same ones whatever the epoch, so that a training that goes on measures what it would have.
    statistics = training_batches(
        data.training, augmentation=recipe.augmentation, seed=recipe.seed, epochs=range(1), **views
    ).take(recipe.averaging.statistics_batches)
    return Batches(
        _for_heads(training, model),
        _for_heads(validation, model),
        statistics,
        pictures,
        steps_per_epoch(recipe, data),
    )


def _for_heads(batches, model: keras.Model):
    """The batches with the labels once for every classifier of the model."""
    if not isinstance(model.output, dict):
        return batches
    heads = list(model.output)
    return batches.map(lambda images, labels, *weights: (images, dict.fromkeys(heads, labels), *weights))


def _fit(
    model: keras.Model,
    recipe: Recipe,
    batches: Batches,
    folder: RunFolder,
    epochs_done: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> Run:
    pace = Pace(batches.steps * recipe.batch_size)
    checkpoints = Checkpoints(folder)
    checkpoints.set_model(model)
    checkpoints.clear_partial()
    if not epochs_done:
        checkpoints.keep(0)
    history = keras.callbacks.CSVLogger(str(folder.history_file), append=epochs_done > 0)
    tensorboard = TensorBoard(folder.tensorboard, batches.pictures)
    rules = callbacks_for(recipe, batches.statistics, _accuracies(folder, epochs_done))
    try:
        model.fit(
            batches.training,
            validation_data=batches.validation,
            epochs=recipe.epochs,
            initial_epoch=epochs_done,
            steps_per_epoch=batches.steps,
            callbacks=[pace, *rules, checkpoints, history, tensorboard, *callbacks],
            shuffle=False,
            verbose=0,
        )
    except KeyboardInterrupt:
        for callback in (tensorboard, *callbacks):
            if hasattr(callback, "close"):
                callback.close()
        checkpoints.clear_partial()
        raise Interrupted(folder) from None
    model.save(folder.model_file)
    return Run(folder, model, recipe, pace.training_seconds)


def _accuracies(folder: RunFolder, epochs_done: int) -> list[float]:
    """The main classifier's validation accuracies of the epochs that a training has behind it."""
    if not epochs_done:
        return []
    rows = folder.history()[:epochs_done]
    return [next(row[name] for name in MAIN_ACCURACY if name in row) for row in rows]
