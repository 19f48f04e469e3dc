"""Pipelines without TensorFlow's autotuning, whose thread delays the end of every iteration."""

from __future__ import annotations

from kerascnn.lazy_tensorflow import tf

# TensorFlow makes it the number of cores; without it, 16 at most.
MOST_CALLS = 1024


def without_autotuning(batches: tf.data.Dataset) -> tf.data.Dataset:
    """The same batches, by as many calls at once as there are cores, from an iterator that ends at once.

    The thread that tunes a pipeline sleeps for 10 ms, then for 20, 40 and so on, and deleting an iterator waits for it:
    one over 12 seconds of work took 20. What it could tune, calls of AUTOTUNE, starts with the number of cores.
    It also adds a prefetch at the end, which pipelines here have to have themselves.

    Example:
        >>> for images, labels in without_autotuning(batches):
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.autotune.initial_parallelism = MOST_CALLS
    return batches.with_options(options)
