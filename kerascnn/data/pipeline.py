"""Examples to batches, by tf.data."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from kerascnn.data.augmentation import Augmentation, evaluation_view, training_view
from kerascnn.data.dataset import ArrayExamples, Examples
from kerascnn.data.pictures import read_picture

if TYPE_CHECKING:
    import tensorflow as tf


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
) -> tf.data.Dataset:
    """Shuffled, augmented batches of several epochs in a row.

    Order and augmentation are a pure function of (seed, epoch, position), so a run that begins at a later epoch
    sees what an uninterrupted one would. An epoch has len(examples) // batch_size full batches; which pictures
    are left over changes from epoch to epoch.

    Args:
        examples: the training split, at least `batch_size` of them.
        classes: for the one-hot labels.
        size, crop_fraction, augmentation: of the views.
        batch_size: pictures a step.
        seed: of order and augmentation.
        epochs: which epochs to give.

    Returns:
        Pairs of float32 (batch, size, size, 3) in [0, 255] and one-hot float32 (batch, classes).
    """
    import tensorflow as tf

    read = _reader(examples)
    labels = tf.constant(examples.labels, tf.int32)
    count = len(examples)
    positions = count // batch_size * batch_size

    def example(epoch, position):
        index = tf.random.experimental.index_shuffle(
            tf.cast(position, tf.int32), tf.stack([seed, tf.cast(epoch, tf.int32)]), count - 1
        )
        view_seed = tf.stack([seed, tf.cast(epoch * count + position, tf.int32)])
        view = training_view(read(index), size, crop_fraction, augmentation, view_seed)
        return view, tf.one_hot(labels[index], classes)

    numbered = tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(
        lambda epoch: tf.data.Dataset.range(positions).map(lambda position: (epoch, position))
    )
    batches = numbered.map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return batches.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def evaluation_batches(
    examples: Examples, *, classes: int, size: int, crop_fraction: float, batch_size: int
) -> tf.data.Dataset:
    """Every example once, in order, in its evaluation view; the last batch may be smaller.

    Args and returns are those of `training_batches`.
    """
    import tensorflow as tf

    read = _reader(examples)
    labels = tf.constant(examples.labels, tf.int32)

    def example(index):
        index = tf.cast(index, tf.int32)
        return evaluation_view(read(index), size, crop_fraction), tf.one_hot(labels[index], classes)

    indices = tf.data.Dataset.range(len(examples))
    views = indices.map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return views.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _reader(examples: Examples) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from the index of an example to its uint8 (height, width, 3) picture, for use in a graph."""
    import tensorflow as tf

    if isinstance(examples, ArrayExamples):
        images = tf.constant(examples.images)
        return lambda index: images[index]
    # As bytes, because file names need not be valid text.
    paths = tf.constant([os.fsencode(path) for path in examples.paths])
    plain = tf.constant(examples.plain)

    def by_pillow(path):
        picture = tf.numpy_function(lambda name: read_picture(os.fsdecode(name)), [path], tf.uint8, stateful=False)
        return tf.ensure_shape(picture, (None, None, 3))

    def read(index):
        path = paths[index]
        return tf.cond(
            plain[index], lambda: tf.io.decode_jpeg(tf.io.read_file(path), channels=3), lambda: by_pillow(path)
        )

    return read


def views_of(pictures: list[np.ndarray], size: int, crop_fraction: float) -> np.ndarray:
    """The evaluation views of pictures in memory.

    Args:
        pictures: uint8 (height, width, 3) each, of any size.

    Returns:
        float32 (count, size, size, 3) in [0, 255].
    """
    return np.stack([evaluation_view(picture, size, crop_fraction).numpy() for picture in pictures])
