"""Batches for training and evaluation from the examples of a data set, by tf.data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kerascnn.data.augment.augmentation import (
    Augmentation,
    evaluation_view,
    reduction_for,
    training_window,
    view_of_crop,
)
from kerascnn.data.augment.mixup import mixed
from kerascnn.data.dataset import Examples
from kerascnn.data.pipeline.autotuning import without_autotuning
from kerascnn.data.pipeline.cache import Cache, cached_reader
from kerascnn.data.pipeline.decode import whole
from kerascnn.errors import InputError
from kerascnn.image_shape import RGB, ImageSize, Size
from kerascnn.lazy_tensorflow import tf

# Separates the seeds of a batch from those of its images.
MIXING = 1


def training_batches(
    examples: Examples,
    *,
    classes: int,
    size: Size,
    crop_fraction: float,
    augmentation: Augmentation,
    batch_size: int,
    seed: int,
    epochs: range,
    channels: int = RGB,
    start_step: int = 0,
    worker: int = 0,
    workers: int = 1,
    class_weights: Sequence[float] | None = None,
    balanced: bool = False,
    cache: Cache = "none",
    cache_folder: Path | None = None,
    parallel_calls: int | None = None,
) -> tf.data.Dataset:
    """Shuffled, augmented batches of consecutive epochs.

    Order and augmentation are a pure function of (seed, epoch, position), so a run that starts at a later epoch or
    step sees the same batches as an uninterrupted run. An epoch has len(examples) // (batch_size * workers) full
    batches for each worker; the images left over change from epoch to epoch. In every step the workers' batches, one
    after the other, are the batch of one worker with batches `workers` times as large, before images are mixed.

    Args:
        examples: the training split, at least `batch_size * workers` of them.
        classes: the length of the labels.
        size, crop_fraction, augmentation: of the views, see `kerascnn.data.augment.augmentation.view_of_crop`; the size
            is one number or (height, width).
        batch_size: images per step and worker.
        seed: of order and augmentation.
        epochs: the epochs to return.
        channels: of the views: 3 for RGB, 1 for gray.
        start_step: how many steps of these epochs to skip.
        worker, workers: the number of this worker, from 0, and how many there are.
        class_weights: `DataSet.class_weights()`, or as many weights; the batches then hold one weight per image, and of
            multi-label data one per image and class.
        balanced: whether every class gets the same number of images, of single-label data: in each epoch those of small
            classes come several times, with other views, and others of large classes.
        cache, cache_folder: see `kerascnn.data.pipeline.cache.cached_reader`.
        parallel_calls: images that are prepared in parallel; None lets TensorFlow choose. It changes only the speed.

    Returns:
        Pairs of float32 (batch, height, width, channels) in [0, 255] and one-hot or multi-hot float32 (batch, classes),
        or these and float32 (batch,) or (batch, classes) weights; of known cardinality.

    Raises:
        InputError: too few examples, a shorter side below `size`, or an unknown worker, step or cache.

    Example:
        >>> data = kerascnn.data.load("digits")
        >>> batches = training_batches(
        ...     data.training, classes=10, size=32, crop_fraction=1.0, augmentation=Augmentation(pad=2), batch_size=64,
        ...     seed=0, epochs=range(12),
        ... )
    """
    count = len(examples)
    steps = count // (batch_size * workers)
    if not 0 <= worker < workers:
        raise InputError(f"there is no worker {worker} of {workers}; workers are numbered from 0.")
    if not steps:
        raise InputError(
            f"{count} training images do not fill a batch of {batch_size} on {workers} worker(s); "
            f"use a batch size of at most {count // workers}."
        )
    shortest = ImageSize.of(size).shorter
    if augmentation.resize_range and augmentation.resize_range[0] < shortest:
        raise InputError(
            f"augmentation.resize_range starts at {augmentation.resize_range[0]}, which is too small for crops of "
            f"{ImageSize.of(size)} pixels; it must start at {shortest} or more."
        )
    if not 0 <= start_step <= steps * len(epochs):
        raise InputError(f"start_step must be from 0 to {steps * len(epochs)}, not {start_step}.")
    read = cached_reader(examples, cache, cache_folder, reduction_for(augmentation, size), channels)
    label_of, index_of = _labels(examples, classes), _order(count, seed, examples.labels if balanced else None)
    weights = None if class_weights is None else tf.constant(class_weights, tf.float32)

    def epoch_and_position(step, row):
        """Of an image, from its step, counted over all epochs, and its row in this worker's batch."""
        return epochs.start + step // steps, step % steps * batch_size * workers + worker * batch_size + row

    def seed_of(epoch, position):
        return tf.stack([seed, tf.cast(epoch * count + position, tf.int32)])

    # Nothing needs AutoGraph: to read and rewrite the sources of all functions takes it a second.
    @tf.autograph.experimental.do_not_convert
    def example(number):
        epoch, position = epoch_and_position(number // batch_size, number % batch_size)
        index = index_of(position, epoch)
        view_seed = seed_of(epoch, position)
        crop = read(index, lambda shape: training_window(shape, size, augmentation, view_seed))
        view = view_of_crop(crop, size, crop_fraction, augmentation, view_seed)
        return view, *label_of(index, weights)

    @tf.autograph.experimental.do_not_convert
    def mix(step, batch):
        seed_of_batch = tf.random.fold_in(seed_of(*epoch_and_position(step, 0)), MIXING)
        return mixed(batch[0], batch[1:], mixup=augmentation.mixup, cutmix=augmentation.cutmix, seed=seed_of_batch)

    images = tf.data.Dataset.range(start_step * batch_size, len(epochs) * steps * batch_size)
    batches = images.map(example, num_parallel_calls=parallel_calls or tf.data.AUTOTUNE, deterministic=True)
    batches = batches.batch(batch_size, drop_remainder=True)
    if augmentation.mixes:
        batches = batches.enumerate(start_step).map(mix)
    return _prefetched(batches)


def evaluation_batches(
    examples: Examples,
    *,
    classes: int,
    size: Size,
    crop_fraction: float,
    batch_size: int,
    channels: int = RGB,
    worker: int = 0,
    workers: int = 1,
    cache: Cache = "none",
    cache_folder: Path | None = None,
) -> tf.data.Dataset:
    """Every example once, in order, in its evaluation view; the last batch may be smaller.

    Each of several workers gets every `workers`-th example. All get the same number of batches, so the last ones may
    be smaller than necessary.

    Args and returns are those of `training_batches`.
    """
    if not 0 <= worker < workers <= len(examples):
        raise InputError(f"there is no worker {worker} of {workers} for {len(examples)} images.")
    read = cached_reader(examples, cache, cache_folder, channels=channels)
    label_of = _labels(examples, classes)

    @tf.autograph.experimental.do_not_convert
    def example(number):
        index = tf.cast(number, tf.int32) * workers + worker
        return evaluation_view(read(index, whole), size, crop_fraction), *label_of(index)

    def batches(first, last):
        views = tf.data.Dataset.range(first, last).map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return views.batch(batch_size)

    largest = -(-len(examples) // workers)
    count = len(range(worker, len(examples), workers))
    # The last batch of every worker has at least one image.
    last_batch = min((largest - 1) // batch_size * batch_size, count - 1)
    if workers == 1 or last_batch == 0:
        return _prefetched(batches(0, count))
    return _prefetched(batches(0, last_batch).concatenate(batches(last_batch, count)))


def batch_numbers(
    count: int, batch_size: int, seed: int, epoch: int, step: int, balanced_labels: np.ndarray | None = None
) -> np.ndarray:
    """The indices of the images in a batch of `training_batches`, int (batch_size,).

    `count` is that of the training images, `batch_size` that over all workers; `epoch` and `step` count from 0;
    `balanced_labels` are those of all images if the batches are `balanced`.
    """
    positions = range(step * batch_size, (step + 1) * batch_size)
    index_of = _order(count, seed, balanced_labels)
    return np.array([int(index_of(position, epoch)) for position in positions])


def _order(count: int, seed: int, balanced_labels: np.ndarray | None) -> Callable[..., tf.Tensor]:
    """The function from position and epoch to an image: a permutation by seed and epoch, of all images or by class."""

    def shuffled(position, epoch, last):
        seeds = tf.stack([seed, tf.cast(epoch, tf.int32)])
        return tf.random.experimental.index_shuffle(tf.cast(position, tf.int32), seeds, last)

    if balanced_labels is None:
        return lambda position, epoch: shuffled(position, epoch, count - 1)
    _, counts = np.unique(balanced_labels, return_counts=True)
    by_class = tf.constant(np.argsort(balanced_labels, kind="stable"), tf.int32)
    sizes, starts = tf.constant(counts, tf.int32), tf.constant(np.cumsum(counts) - counts, tf.int32)

    def of_class(position, epoch):
        place = shuffled(position, epoch, count - 1)
        kind, turn = place % len(counts), place // len(counts)
        size = sizes[kind]
        # All images of a small class come once before any comes again.
        return by_class[starts[kind] + shuffled(turn % size, epoch, size - 1)]

    return of_class


def _labels(examples: Examples, classes: int) -> Callable[..., tuple[tf.Tensor, ...]]:
    """A function from an image's index, and the weights of classes or None, to its label and its weight, if any."""
    if examples.labels.ndim == 1:
        labels = tf.constant(examples.labels, tf.int32)

        def one_hot(index, weights=None):
            label = labels[index]
            return tf.one_hot(label, classes), *(() if weights is None else (weights[label],))

        return one_hot
    multi_hot_labels = tf.constant(examples.labels, tf.uint8)

    def multi_hot(index, weights=None):
        label = tf.cast(multi_hot_labels[index], tf.float32)
        return label, *(() if weights is None else (tf.where(label > 0, weights[1], weights[0]),))

    return multi_hot


def _prefetched(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    # Images are written straight into their batch, and no operation is split over several threads.
    options.experimental_optimization.map_and_batch_fusion = True
    options.threading.max_intra_op_parallelism = 1
    return without_autotuning(batches.prefetch(tf.data.AUTOTUNE).with_options(options))
