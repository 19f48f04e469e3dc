"""Examples to batches, by tf.data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerascnn.data.augment.augmentation import (
    Augmentation,
    evaluation_view,
    mixed_batch,
    reduction_for,
    training_window,
    view_of_crop,
)
from kerascnn.data.dataset import Examples
from kerascnn.data.pipeline.cache import Cache, cached_reader
from kerascnn.data.pipeline.decode import whole
from kerascnn.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf

# Sets the seeds of a batch apart from those of its images.
MIXING = 1


def training_batches(
    examples: Examples,
    *,
    classes: int,
    size: int,
    crop_fraction: float,
    augmentation: Augmentation,
    batch_size: int,
    seed: int,
    epochs: range,
    start_step: int = 0,
    worker: int = 0,
    workers: int = 1,
    class_weights: Sequence[float] | None = None,
    cache: Cache = "none",
    cache_folder: Path | None = None,
    parallel_calls: int | None = None,
) -> tf.data.Dataset:
    """Shuffled, augmented batches of several epochs in a row.

    Order and augmentation are a pure function of (seed, epoch, position), so a run that begins at a later epoch or
    step sees what an uninterrupted one would. An epoch has len(examples) // (batch_size * workers) full batches for
    each worker; which images are left over changes from epoch to epoch. In every step the workers' batches, one
    after the other, are what one worker with batches `workers` times as large would see, before images are mixed.

    Args:
        examples: the training split, at least `batch_size * workers` of them.
        classes: for the one-hot labels.
        size, crop_fraction, augmentation: of the views.
        batch_size: images a step and worker.
        seed: of order and augmentation.
        epochs: which epochs to give.
        start_step: how many steps of these epochs to leave out.
        worker, workers: which of how many workers these batches are for.
        class_weights: a weight a class, such as `DataSet.class_weights()`; the batches then carry a weight an image.
        cache, cache_folder: see `kerascnn.data.pipeline.cache.cached_reader`.
        parallel_calls: images that are made at once; None lets TensorFlow choose. It changes nothing but the speed.

    Returns:
        Pairs of float32 (batch, size, size, 3) in [0, 255] and one-hot float32 (batch, classes), or these and
        float32 (batch,) weights; of known cardinality.

    Raises:
        InputError: too few examples, a shorter side below `size`, no such worker, step or cache.

    Example:
        >>> data = kerascnn.data.load("digits")
        >>> batches = training_batches(
        ...     data.training, classes=10, size=32, crop_fraction=1.0, augmentation=Augmentation(pad=2), batch_size=64,
        ...     seed=0, epochs=range(12),
        ... )
    """
    import tensorflow as tf

    count = len(examples)
    steps = count // (batch_size * workers)
    _check(examples, size, augmentation, batch_size, worker, workers)
    if not 0 <= start_step <= steps * len(epochs):
        raise InputError(f"start_step must be from 0 to {steps * len(epochs)}, not {start_step}.")
    read = cached_reader(examples, cache, cache_folder, reduction_for(augmentation, size))
    labels = tf.constant(examples.labels, tf.int32)
    weights = None if class_weights is None else tf.constant(class_weights, tf.float32)

    def numbers(step, place):
        """Epoch and position of an image, from its step of all epochs and its place in this worker's batch."""
        return epochs.start + step // steps, step % steps * batch_size * workers + worker * batch_size + place

    def seed_of(epoch, position):
        return tf.stack([seed, tf.cast(epoch * count + position, tf.int32)])

    def example(number):
        epoch, position = numbers(number // batch_size, number % batch_size)
        index = _index(position, epoch, seed, count)
        view_seed = seed_of(epoch, position)
        crop = read(index, lambda shape: training_window(shape, size, augmentation, view_seed))
        view = view_of_crop(crop, size, crop_fraction, augmentation, view_seed)
        label = labels[index]
        others = () if weights is None else (weights[label],)
        return view, tf.one_hot(label, classes), *others

    def mix(step, batch):
        seed_of_batch = tf.random.fold_in(seed_of(*numbers(step, 0)), MIXING)
        return mixed_batch(batch[0], batch[1:], augmentation, seed_of_batch)

    parallel_calls = parallel_calls or tf.data.AUTOTUNE
    images = tf.data.Dataset.range(start_step * batch_size, len(epochs) * steps * batch_size)
    batches = images.map(example, num_parallel_calls=parallel_calls, deterministic=True)
    batches = batches.batch(batch_size, drop_remainder=True)
    if augmentation.mixes:
        batches = batches.enumerate(start_step).map(lambda step, batch: mix(step, batch))
    return _fast(batches.prefetch(tf.data.AUTOTUNE))


def evaluation_batches(
    examples: Examples,
    *,
    classes: int,
    size: int,
    crop_fraction: float,
    batch_size: int,
    worker: int = 0,
    workers: int = 1,
    cache: Cache = "none",
    cache_folder: Path | None = None,
) -> tf.data.Dataset:
    """Every example once, in order, in its evaluation view; the last batch may be smaller.

    Of several workers each has every `workers`-th example. All have as many batches, so the last ones may be a little
    smaller than they could be.

    Args and returns are those of `training_batches`.
    """
    import tensorflow as tf

    if not 0 <= worker < workers <= len(examples):
        raise InputError(f"there is no worker {worker} of {workers} for {len(examples)} images.")
    read = cached_reader(examples, cache, cache_folder)
    labels = tf.constant(examples.labels, tf.int32)

    def example(number):
        index = tf.cast(number, tf.int32) * workers + worker
        return evaluation_view(read(index, whole), size, crop_fraction), tf.one_hot(labels[index], classes)

    def batches(first, last):
        views = tf.data.Dataset.range(first, last).map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return views.batch(batch_size)

    largest = -(-len(examples) // workers)
    own = len(range(worker, len(examples), workers))
    # At least one image is left for the last batch.
    last_batch = min((largest - 1) // batch_size * batch_size, own - 1)
    if workers == 1 or last_batch == 0:
        return _fast(batches(0, own).prefetch(tf.data.AUTOTUNE))
    return _fast(batches(0, last_batch).concatenate(batches(last_batch, own)).prefetch(tf.data.AUTOTUNE))


def batch_numbers(count: int, batch_size: int, seed: int, epoch: int, step: int) -> np.ndarray:
    """Which images a batch of `training_batches` is made of.

    Args:
        count: of the training images.
        batch_size: images a step, over all workers.
        seed: of the order.
        epoch, step: which batch; both count from 0.

    Returns:
        int (batch_size,), indices into the training examples.

    Example:
        >>> data.training.paths[batch_numbers(len(data.training), 64, seed=0, epoch=3, step=17)]
    """
    positions = range(step * batch_size, (step + 1) * batch_size)
    return np.array([int(_index(position, epoch, seed, count)) for position in positions])


def _index(position, epoch, seed: int, count: int) -> tf.Tensor:
    """Which image comes at a position of an epoch: the permutation that the seed and the epoch give."""
    import tensorflow as tf

    seeds = tf.stack([seed, tf.cast(epoch, tf.int32)])
    return tf.random.experimental.index_shuffle(tf.cast(position, tf.int32), seeds, count - 1)


def _fast(batches: tf.data.Dataset) -> tf.data.Dataset:
    """The same batches, images written straight into them, and none split over several threads."""
    import tensorflow as tf

    options = tf.data.Options()
    options.experimental_optimization.map_and_batch_fusion = True
    options.threading.max_intra_op_parallelism = 1
    return batches.with_options(options)


def _check(
    examples: Examples, size: int, augmentation: Augmentation, batch_size: int, worker: int, workers: int
) -> None:
    if not 0 <= worker < workers:
        raise InputError(f"there is no worker {worker} of {workers}; they are numbered from 0.")
    if len(examples) < batch_size * workers:
        raise InputError(
            f"{len(examples)} training images do not fill a batch of {batch_size} on {workers} worker(s); "
            f"give a batch size of at most {len(examples) // workers}."
        )
    if augmentation.resize_range and augmentation.resize_range[0] < size:
        raise InputError(
            f"augmentation.resize_range begins at {augmentation.resize_range[0]}, from which no crop of {size} pixels "
            f"can be cut; it must begin at {size} or more."
        )


def views_of(images: list[np.ndarray], size: int, crop_fraction: float) -> np.ndarray:
    """The evaluation views of images in memory.

    Args:
        images: uint8 (height, width, 3) each, of any size.

    Returns:
        float32 (count, size, size, 3) in [0, 255].
    """
    return np.stack([evaluation_view(image, size, crop_fraction).numpy() for image in images])
