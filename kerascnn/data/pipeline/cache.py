"""A cache of decoded images in memory or on disk, for data that are read many times.

The pixels of all images form one flat tensor. On disk it is a memory-mapped file: pixels are read once and stay in
memory as long as the system has room for them.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np

from kerascnn.data.augment.crops import CropWindow
from kerascnn.data.dataset import ArrayExamples, DataSet, Examples, FileExamples
from kerascnn.data.pipeline.autotuning import without_autotuning
from kerascnn.data.pipeline.decode import TRANSFORM, Read, Reduction, part, reader, whole
from kerascnn.errors import InputError, writing
from kerascnn.files.atomic import atomic_write
from kerascnn.files.cache_folder import cache_folder
from kerascnn.files.memory import free_memory
from kerascnn.image_shape import RGB
from kerascnn.lazy_tensorflow import tf

Cache = Literal["none", "memory", "disk"]

# The share of the machine's memory that images may take.
MEMORY_SHARE = 0.5

# Images whose size says how much memory all take, and the part of it by which that grows.
SAMPLE, GROWTH = 64, 8

# Of tensors in memory, in bytes; kernels crash on others.
ALIGNMENT = 64


def cached_reader(
    examples: Examples,
    cache: Cache,
    folder: Path | None = None,
    reduction: Reduction | None = None,
    channels: int = RGB,
) -> Read:
    """A function that reads images from a cache, which is filled first; InputError if there is no room.

    The pixels are those of `kerascnn.data.pipeline.decode.reader`, also those of reduced or gray images. Images that
    are arrays are in memory already. `folder` is that of a "disk" cache; the next training on the same images finds it
    again.
    """
    if cache not in ("none", "memory", "disk"):
        raise InputError(f"cache must be 'none', 'memory' or 'disk', not '{cache}'.")
    read = reader(examples, reduction, channels)
    if cache == "none" or isinstance(examples, ArrayExamples):
        return read
    if cache == "memory":
        return _flat_reader(*_in_memory(examples, read), channels)
    if folder is None:
        raise InputError("cache 'disk' needs a cache_folder for the images.")
    return _flat_reader(
        *_on_disk(examples, read, Path(folder), f"{TRANSFORM} {reduction} {channels}", channels), channels
    )


def images_folder(data: DataSet) -> Path:
    """The folder for a data set's cached images: in its workspace if it is temporary, else in the user's cache."""
    if data.workspace:
        return Path(data.workspace.name) / ".kerascnn-images"
    return cache_folder() / "images"


def memory_for_images() -> int:
    """The bytes of memory that images may take: half of the machine's, as far as they are free."""
    return int(min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * MEMORY_SHARE, free_memory()))


def _images(numbers: tf.data.Dataset, read: Read):
    """The decoded images of these numbers in order, as arrays."""

    @tf.autograph.experimental.do_not_convert
    def decoded(number):
        return read(tf.cast(number, tf.int32), whole)

    images = numbers.map(decoded, num_parallel_calls=tf.data.AUTOTUNE)
    return without_autotuning(images.prefetch(tf.data.AUTOTUNE)).as_numpy_iterator()


def _in_memory(examples: Examples, read: Read) -> tuple[np.ndarray, np.ndarray]:
    count, room = len(examples), memory_for_images()
    some = tf.data.Dataset.range(0, count, -(-count // SAMPLE))
    expected = int(np.mean([image.size for image in _images(some, read)]) * count)

    def require(size: int) -> None:
        if size > room:
            raise InputError(
                f"cache 'memory' needs about {size / 1e9:.1f} GB for {count} images, and they may take "
                f"{room / 1e9:.1f} GB; use 'disk' or 'none'."
            )

    require(expected)
    # With a margin, which takes no memory: to grow is to have all of them twice for a moment.
    pixels, shapes, end = _aligned(min(room, expected + expected // GROWTH)), [], 0
    for image in _images(tf.data.Dataset.range(count), read):
        if end + image.size > len(pixels):
            require(end + image.size)
            larger = _aligned(min(room, end + image.size + expected // GROWTH))
            larger[:end] = pixels[:end]
            pixels = larger
        pixels[end : end + image.size] = image.reshape(-1)
        end += image.size
        shapes.append(image.shape[:2])
    return pixels[:end], np.array(shapes, np.int32)


def _aligned(size: int) -> np.ndarray:
    """An array of bytes for TensorFlow's kernels; it takes no memory until it is written to."""
    pixels = np.empty(size + ALIGNMENT, np.uint8)
    return pixels[-pixels.ctypes.data % ALIGNMENT :][:size]


def _on_disk(
    examples: Examples, read: Read, folder: Path, decoding: str, channels: int
) -> tuple[np.ndarray, np.ndarray]:
    name = _fingerprint(examples, decoding)
    pixels_file, shapes_file = folder / f"{name}.pixels", folder / f"{name}.npy"

    def stored() -> tuple[np.ndarray, np.ndarray]:
        # Copy on write, because TensorFlow takes no read-only arrays.
        pixels, shapes = np.memmap(pixels_file, np.uint8, "c"), np.load(shapes_file)
        if len(shapes) != len(examples) or shapes.prod(axis=1, dtype=np.int64).sum() * channels != len(pixels):
            raise ValueError(f"{pixels_file} is damaged")
        return pixels, shapes

    # What is missing or damaged is made anew.
    with suppress(Exception):
        return stored()
    with writing(f"the cache of images {pixels_file}"):
        shapes = []
        with atomic_write(pixels_file) as file:
            for image in _images(tf.data.Dataset.range(len(examples)), read):
                file.write(image)
                shapes.append(image.shape[:2])
        with atomic_write(shapes_file) as file:
            np.save(file, np.array(shapes, np.int32))
        return stored()


def _fingerprint(examples: Examples, decoding: str) -> str:
    """A name that changes when a file does, or the way in which files are decoded."""
    files = examples.paths if isinstance(examples, FileExamples) else examples.shards
    digest = hashlib.sha256(decoding.encode())
    for path in files:
        status = os.stat(path)
        digest.update(f"{status.st_size} {status.st_mtime_ns} ".encode() + os.fsencode(path) + b"\0")
    if not isinstance(examples, FileExamples):
        digest.update(examples.shard.astype(np.int64).tobytes() + examples.offset.astype(np.int64).tobytes())
    return digest.hexdigest()[:32]


def _flat_reader(pixels: np.ndarray, shapes: np.ndarray, channels: int) -> Read:
    same = (shapes == shapes[0]).all()
    # Reshaped by NumPy: TensorFlow would do it on a GPU, and copy all images there.
    shaped = pixels.reshape(len(shapes), *shapes[0], channels) if same else pixels
    stored = tf.experimental.dlpack.from_dlpack(shaped.__dlpack__())
    if same:
        return lambda index, choose: part(stored[index], choose)
    ends = np.cumsum(shapes.astype(np.int64).prod(axis=1) * channels)
    starts = tf.constant(np.concatenate([[0], ends[:-1]]), tf.int64)
    sizes = tf.constant(shapes, tf.int32)

    def read(index, choose):
        shape = sizes[index]
        window = choose(shape) or CropWindow(tf.zeros((2,), tf.int32), shape)
        top, left = tf.unstack(window.begin)
        height, width = tf.unstack(window.extent)
        row = tf.cast(shape[1], tf.int64) * channels
        first = starts[index] + tf.cast(top, tf.int64) * row
        rows = tf.slice(stored, first[None], (tf.cast(height, tf.int64) * row)[None])
        return tf.reshape(rows, tf.stack([height, shape[1], channels]))[:, left : left + width]

    return read
