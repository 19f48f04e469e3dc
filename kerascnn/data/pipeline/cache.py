"""Decoded images kept in memory or on disk, for data that are read many times.

The pixels of all images lie one after the other in one tensor, which on disk is a file mapped into memory:
what is looked at is read once and stays as long as the system has room for it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Literal

import numpy as np

from kerascnn.data.augment.crops import CropWindow
from kerascnn.data.dataset import ArrayExamples, DataSet, Examples, FileExamples
from kerascnn.data.pipeline.decode import TRANSFORM, Read, reader, whole
from kerascnn.data.pipeline.reduced_decode import Reduction
from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_write
from kerascnn.files.cache_folder import cache_folder

Cache = Literal["none", "memory", "disk"]

# The share of the machine's memory that images may take.
MEMORY_SHARE = 0.5

# Of tensors in memory, in bytes; kernels that are given others crash.
ALIGNMENT = 64


def cached_reader(
    examples: Examples, cache: Cache, folder: Path | None = None, reduction: Reduction | None = None
) -> Read:
    """How the images are read, after a first reading of all that keeps their pixels.

    The pixels are those that `reading.reader` gives. Images that are arrays are in memory anyway.

    Args:
        examples: what to read.
        cache: "none", "memory", or "disk".
        folder: where the file of a "disk" cache is kept, to be found again by the next training on these files.
        reduction: as for `reading.reader`; the images are kept reduced.

    Raises:
        InputError: another `cache`, no folder for one on disk, or no room.
    """
    if cache not in ("none", "memory", "disk"):
        raise InputError(f"cache must be 'none', 'memory' or 'disk', not '{cache}'.")
    if cache == "none" or isinstance(examples, ArrayExamples):
        return reader(examples, reduction)
    if cache == "memory":
        return _flat_reader(*_in_memory(examples, reduction))
    if folder is None:
        raise InputError("cache 'disk' needs a cache_folder to keep the images in.")
    return _flat_reader(*_on_disk(examples, reduction, Path(folder)))


def images_folder(data: DataSet) -> Path:
    """Where the images of a data set are kept on disk: with it where it is temporary, else in the user's cache."""
    if data.workspace:
        return Path(data.workspace.name) / ".kerascnn-images"
    return cache_folder() / "images"


def _images(examples: Examples, reduction: Reduction | None):
    """The decoded images in order, as arrays."""
    import tensorflow as tf

    read = reader(examples, reduction)
    numbers = tf.data.Dataset.range(len(examples))
    images = numbers.map(lambda n: read(tf.cast(n, tf.int32), whole), num_parallel_calls=tf.data.AUTOTUNE)
    return images.prefetch(tf.data.AUTOTUNE).take(len(examples)).as_numpy_iterator()


def _in_memory(examples: Examples, reduction: Reduction | None) -> tuple[np.ndarray, np.ndarray]:
    room = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * MEMORY_SHARE)
    pixels = _aligned(room)
    shapes, end = [], 0
    for image in _images(examples, reduction):
        if end + image.size > room:
            raise InputError(
                f"cache 'memory' is full after {len(shapes)} of {len(examples)} images, {room / 1e9:.1f} GB; "
                "take 'disk' or 'none'."
            )
        pixels[end : end + image.size] = image.reshape(-1)
        end += image.size
        shapes.append(image.shape[:2])
    return pixels[:end], np.array(shapes, np.int32)


def _aligned(size: int) -> np.ndarray:
    """Bytes that begin where TensorFlow's kernels expect it; they take no memory before they are written to."""
    pixels = np.empty(size + ALIGNMENT, np.uint8)
    first = -pixels.ctypes.data % ALIGNMENT
    return pixels[first : first + size]


def _on_disk(examples: Examples, reduction: Reduction | None, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    name = _fingerprint(examples, reduction)
    pixels_file, shapes_file = folder / f"{name}.pixels", folder / f"{name}.npy"
    try:
        # The shapes are written last, so where they are the pixels are whole.
        if not shapes_file.exists():
            shapes = []
            with atomic_write(pixels_file) as file:
                for image in _images(examples, reduction):
                    file.write(image)
                    shapes.append(image.shape[:2])
            with atomic_write(shapes_file) as file:
                np.save(file, np.array(shapes, np.int32))
        # Copy on write, because TensorFlow takes no arrays that cannot be written to.
        return np.memmap(pixels_file, np.uint8, "c"), np.load(shapes_file)
    except OSError as error:
        raise InputError(f"the images cannot be kept in {folder}: {error.strerror or error}.") from None


def _fingerprint(examples: Examples, reduction: Reduction | None) -> str:
    """A name that changes when a file does."""
    files = examples.paths if isinstance(examples, FileExamples) else examples.shards
    digest = hashlib.sha256(f"{TRANSFORM} {reduction}".encode())
    for path in files:
        status = os.stat(path)
        digest.update(f"{status.st_size} {status.st_mtime_ns} ".encode() + os.fsencode(path) + b"\0")
    if not isinstance(examples, FileExamples):
        digest.update(examples.shard.astype(np.int64).tobytes() + examples.offset.astype(np.int64).tobytes())
    return digest.hexdigest()[:32]


def _flat_reader(pixels: np.ndarray, shapes: np.ndarray) -> Read:
    import tensorflow as tf

    flat = tf.experimental.dlpack.from_dlpack(pixels.__dlpack__())
    ends = np.cumsum(shapes.astype(np.int64).prod(axis=1) * 3)
    starts = tf.constant(np.concatenate([[0], ends[:-1]]), tf.int64)
    sizes = tf.constant(shapes, tf.int32)

    def read(index, choose):
        shape = sizes[index]
        window = choose(shape) or CropWindow(tf.zeros((2,), tf.int32), shape)
        top, left = tf.unstack(window.begin)
        height, width = tf.unstack(window.extent)
        row = tf.cast(shape[1], tf.int64) * 3
        first = starts[index] + tf.cast(top, tf.int64) * row
        rows = tf.slice(flat, first[None], (tf.cast(height, tf.int64) * row)[None])
        return tf.reshape(rows, tf.stack([height, shape[1], 3]))[:, left : left + width]

    return read
