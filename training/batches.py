"""The batches of a training, for its steps, its validation and the statistics of averaged weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np

from kerascnn.data.dataset import DataSet
from kerascnn.data.pipeline.cache import Cache, images_folder
from kerascnn.data.pipeline.pipeline import evaluation_batches, training_batches
from kerascnn.lazy_tensorflow import tf
from kerascnn.training.checkpoints.files import Position
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.strategy import Devices

GRID_IMAGES = 36


class Batches(NamedTuple):
    """All remaining training steps, a pass over the validation images, batches for `AveragedWeights`, images, steps.

    `images` are float32 (count, height, width, channels) in [0, 255], of the first batch; none in a resumed training.
    `steps` is the length of a whole epoch.
    """

    training: Any
    validation: Any
    statistics: Any
    images: np.ndarray
    steps: int


def steps_per_epoch(recipe: Recipe, data: DataSet) -> int:
    """The number of full batches per epoch."""
    return len(data.training) // recipe.batch_size


def batches_for(
    model: keras.Model,
    recipe: Recipe,
    data: DataSet,
    position: Position | None,
    devices: Devices,
    cache: Cache = "none",
) -> Batches:
    """The batches from a position on, None for the start; of several workers each gets its share.

    InputError: the images fill no batch, the augmentation is impossible, or the devices cannot have equal shares.
    """
    *size, channels = recipe.image_shape
    views = {"size": size, "channels": channels, "crop_fraction": recipe.pixels.crop_fraction}
    views["classes"] = len(data.class_names)
    augmented = {**views, "augmentation": recipe.augmentation, "seed": recipe.seed}
    shares = {"batch_size": devices.share(recipe.batch_size), "worker": devices.worker, "workers": devices.workers}
    shares |= {"cache": cache, "cache_folder": images_folder(data)}
    # A probe takes no steps in the first epoch.
    start = position or Position(int(recipe.fine_tuning.probe))
    training = training_batches(
        data.training,
        epochs=range(start.epochs, recipe.epochs),
        start_step=start.step,
        class_weights=data.class_weights() if recipe.class_weights == "balanced" else None,
        balanced=recipe.sampling == "balanced",
        **(augmented | shares),
    )
    seen = training if start.epochs < recipe.epochs else evaluation_batches(data.training, **views, **shares)
    images = np.zeros((0, 1, 1, 3)) if position else next(iter(seen))[0].numpy()[:GRID_IMAGES]
    validation = evaluation_batches(data.validation, **views, **shares)
    # The same in every epoch and on every worker, so that a resumed training computes the same averages.
    statistics = training_batches(data.training, epochs=range(1), batch_size=recipe.batch_size, **augmented)
    return Batches(
        devices.training(_for_heads(training, model), recipe.batch_size),
        devices.evaluation(_for_heads(validation, model), recipe.batch_size, len(data.validation)),
        statistics.take(recipe.averaging.statistics_batches),
        images,
        steps_per_epoch(recipe, data),
    )


def _for_heads(batches: Any, model: keras.Model) -> Any:
    if not isinstance(model.output, dict):
        return batches
    heads = list(model.output)

    @tf.autograph.experimental.do_not_convert
    def for_each(images, labels, *weights):
        return images, dict.fromkeys(heads, labels), *weights

    return batches.map(for_each)
