"""The feature maps below the lowest trained layer, computed once per view and kept on the disk during a fine-tuning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerascnn.data.pipeline.autotuning import without_autotuning
from kerascnn.data.pipeline.pipeline import batch_numbers
from kerascnn.errors import writing

BATCH = 32


@dataclass(frozen=True)
class CachedMaps:
    """The maps of one view of some images.

    Attributes:
        maps: (images, height, width, channels), in the precision that the network computes in; on the disk.
        labels: float32 (images, classes), one-hot or multi-hot.
        weights: float32 (images,) or (images, classes), of the images in the loss; None for 1.
    """

    maps: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None = None

    def batch(self, rows: Any) -> tuple[np.ndarray, ...]:
        """The maps, labels and, if there are any, weights of some rows."""
        columns = (self.maps, self.labels) if self.weights is None else (self.maps, self.labels, self.weights)
        return tuple(column[rows] for column in columns)

    def in_order(self) -> Any:
        """All images in batches, the last of which may be smaller, as a tf.data.Dataset."""
        starts = range(0, len(self.labels), BATCH)
        return self._dataset(lambda: (self.batch(slice(start, start + BATCH)) for start in starts), len(starts))

    def _dataset(self, generator: Any, count: int) -> Any:
        import tensorflow as tf

        columns = self.batch(slice(0, 1))
        signature = tuple(tf.TensorSpec((None, *column.shape[1:]), column.dtype.name) for column in columns)
        batches = tf.data.Dataset.from_generator(generator, output_signature=signature)
        batches = batches.apply(tf.data.experimental.assert_cardinality(count))
        return without_autotuning(batches.prefetch(tf.data.AUTOTUNE))


def inference(network: keras.Model) -> Any:
    """The network's forward pass in inference mode as one compiled function of batches of any size."""
    import tensorflow as tf

    images = network.inputs[0]
    signature = [tf.TensorSpec((None, *images.shape[1:]), images.dtype)]
    forward = tf.function(lambda batch: network(batch, training=False), signature, autograph=False)
    # Traced now, so that the time of a pass can be measured.
    forward.get_concrete_function()
    return forward


def cached_maps(forward: Any, kind: keras.KerasTensor, batches: Iterable, file: Path) -> CachedMaps:
    """Computes the maps of all images of the batches and writes them to a file.

    Args:
        forward: from images to maps, see `inference`.
        kind: the network's output, of the maps' shape and type.
        batches: tuples of images, labels and perhaps weights.
        file: is overwritten.

    Raises:
        InputError: the file cannot be written.
    """
    import tensorflow as tf

    dtype = np.dtype(tf.as_dtype(kind.dtype).as_numpy_dtype)
    others = []
    # Written rather than mapped: a process that writes to a mapped file is killed where the disk is full.
    with writing(file), file.open("wb") as stream:
        for images, *rest in batches:
            stream.write(forward(images).numpy().astype(dtype, copy=False).tobytes())
            others.append([np.asarray(one) for one in rest])
    columns = [np.concatenate(column) for column in zip(*others, strict=True)]
    return CachedMaps(np.memmap(file, dtype, "r", shape=(len(columns[0]), *kind.shape[1:])), *columns)


def shuffled_batches(views: list[CachedMaps], batch_size: int, seed: int, epochs: range, start_step: int) -> Any:
    """Batches of consecutive epochs as a tf.data.Dataset, each epoch of one view of all images, in turn.

    As in `training_batches` the order is a pure function of seed, epoch and position.
    """
    count = len(views[0].labels)
    steps = count // batch_size

    def generate() -> Iterator[tuple[np.ndarray, ...]]:
        for step in range(start_step, len(epochs) * steps):
            epoch = epochs.start + step // steps
            rows = batch_numbers(count, batch_size, seed, epoch, step % steps)
            yield views[epoch % len(views)].batch(np.sort(rows))

    return views[0]._dataset(generate, len(epochs) * steps - start_step)
