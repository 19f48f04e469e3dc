"""Reading the pixels of an example by its number, inside a TensorFlow graph; large JPEG files are decoded smaller."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from kerascnn.data.augment.crops import CropWindow, cut
from kerascnn.data.dataset import ArrayExamples, Examples, FileExamples, RecordExamples
from kerascnn.data.ingestion.image_formats import read_image
from kerascnn.data.pipeline.channels import with_channels
from kerascnn.image_shape import GRAY, RGB
from kerascnn.lazy_tensorflow import tf

# From an image's height and width, int32 (2,), to the part of it to read, or to None for all of it.
ChooseWindow = Callable[["tf.Tensor"], CropWindow | None]
# From an example's number and the part of its image to read, to uint8 (height, width, channels).
Read = Callable[["tf.Tensor", ChooseWindow], "tf.Tensor"]

# Exact, as Pillow's decoder. TensorFlow's default is up to four levels off and saves a fiftieth of an image's time.
TRANSFORM = "INTEGER_ACCURATE"
# libjpeg's reductions, which leave out high frequencies; an image decoded by one is ceil(side / ratio) pixels long.
RATIOS = (1, 2, 4, 8)


class Reduction(NamedTuple):
    """How far an image can be reduced while every crop has at least as many pixels as its view.

    `size` is the length in pixels that the shortest side of any crop is to have at least.
    It depends on the image and not on the crop that is drawn, so a cached image is the same for all crops. The shortest
    side of any crop is given over the square root of the image's area or over the image's shorter side.
    """

    size: float
    share_of_area: float = 0.0
    share_of_side: float = 0.0

    def step(self, shape: tf.Tensor) -> tf.Tensor:
        """The int32 index into `RATIOS` for an image of int32 (height, width)."""
        # At thousands of images per second every operation counts: these are five.
        sides = tf.cast(shape, tf.float32)
        if self.share_of_area:
            length, limits = tf.reduce_prod(sides), [(self.size * ratio / self.share_of_area) ** 2 for ratio in RATIOS]
        else:
            length, limits = tf.reduce_min(sides), [self.size * ratio / self.share_of_side for ratio in RATIOS]
        return tf.reduce_sum(tf.cast(length >= limits[1:], tf.int32))


def whole(shape: tf.Tensor) -> None:
    """The `ChooseWindow` that reads all of an image."""
    return None


def reader(examples: Examples, reduction: Reduction | None = None, channels: int = RGB) -> Read:
    """A function that reads the images of `examples`; of a plain JPEG file it decodes only the chosen part.

    The images have 3 `channels` (RGB) or 1 (gray, see `with_channels`), whatever the files have. A part is bit-exact
    the same as that part of the whole image. With a `reduction`, plain JPEG files are reduced while they are decoded,
    and parts are parts of the reduced image. All other images stay as they are.
    """
    if isinstance(examples, ArrayExamples):
        images = tf.constant(examples.images)
        return lambda index, choose: with_channels(part(images[index], choose), channels)
    kind_reader = _record_reader if isinstance(examples, RecordExamples) else _file_reader
    return kind_reader(examples, reduction, channels)


def _file_reader(examples: FileExamples, reduction: Reduction | None, channels: int) -> Read:
    # As bytes, because file names need not be valid text.
    paths = tf.constant([os.fsencode(path) for path in examples.paths])
    plain = tf.constant(examples.plain)

    def by_pillow(path):
        image = tf.numpy_function(lambda name: read_image(os.fsdecode(name)), [path], tf.uint8, stateful=False)
        return tf.ensure_shape(image, (None, None, 3))

    def read(index, choose):
        path = paths[index]
        if examples.plain.all():
            return _jpeg(tf.io.read_file(path), choose, reduction, channels)
        return tf.cond(
            plain[index],
            lambda: _jpeg(tf.io.read_file(path), choose, reduction, channels),
            lambda: with_channels(part(by_pillow(path), choose), channels),
        )

    return read


def _record_reader(examples: RecordExamples, reduction: Reduction | None, channels: int) -> Read:
    shards = tf.constant([os.fsencode(path) for path in examples.shards])
    shard, offset = tf.constant(examples.shard, tf.int32), tf.constant(examples.offset, tf.int64)
    plain = tf.constant(examples.plain)
    features = {"image/encoded": tf.io.FixedLenFeature((), tf.string)}
    types = {"output_types": [tf.string], "output_shapes": [()]}

    def read(index, choose):
        # The only operation that reads a record at a given offset; it checks the record's checksum.
        records = tf.raw_ops.TFRecordDatasetV2(
            filenames=shards[shard[index]][None],
            compression_type="",
            buffer_size=tf.constant(0, tf.int64),
            byte_offsets=offset[index][None],
        )
        first = tf.raw_ops.TakeDataset(input_dataset=records, count=tf.constant(1, tf.int64), **types)
        record = tf.raw_ops.DatasetToSingleElement(dataset=first, **types)[0]
        contents = tf.io.parse_single_example(record, features)["image/encoded"]
        return tf.cond(
            plain[index],
            lambda: _jpeg(contents, choose, reduction, channels),
            lambda: with_channels(part(tf.io.decode_png(contents, channels=RGB), choose), channels),
        )

    return read


def part(image: tf.Tensor, choose: ChooseWindow) -> tf.Tensor:
    """The chosen part of an image that is decoded."""
    window = choose(tf.shape(image)[:2])
    return image if window is None else cut(image, window)


def _jpeg(contents: tf.Tensor, choose: ChooseWindow, reduction: Reduction | None, channels: int) -> tf.Tensor:
    shape, step = tf.io.extract_jpeg_shape(contents)[:2], None
    if reduction is not None:
        step = reduction.step(shape)
        shape = tf.bitwise.right_shift(shape - 1, step) + 1
    window = choose(shape)
    if window is None:
        return with_channels(_decoded(contents, step, channels), channels)
    # Color is stored at half resolution and interpolated; the decoder needs the columns next to the window for that.
    left = tf.minimum(window.begin[1], 1)
    right = tf.minimum(shape[1] - window.begin[1] - window.extent[1], 1)
    columns = tf.stack([window.begin[1] - left, window.extent[1] + left + right])
    area = tf.stack([window.begin[0], columns[0], window.extent[0], columns[1]])
    image = _decoded(contents, step, channels, area)
    return with_channels(image[:, left : left + window.extent[1]], channels)


def _decoded(contents: tf.Tensor, step: tf.Tensor | None, channels: int, area: tf.Tensor | None = None) -> tf.Tensor:
    """A JPEG, reduced by the ratio at `step`; all of it, or the `area` of top, left, height and width.

    For 3 channels it is RGB, for 1 it has the file's own channels.
    """
    kind = {"channels": 0 if channels == GRAY else RGB, "dct_method": TRANSFORM}

    def at(ratio: int) -> tf.Tensor:
        if area is None:
            return tf.io.decode_jpeg(contents, ratio=ratio, **kind)
        return tf.io.decode_and_crop_jpeg(contents, area, ratio=ratio, **kind)

    if step is None:
        return at(1)
    # The decoder takes its ratio as a constant.
    return tf.cond(step == 0, lambda: at(1), lambda: tf.switch_case(step - 1, [partial(at, r) for r in RATIOS[1:]]))
