"""From the number of an example to its pixels, inside a TensorFlow graph."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from kerascnn.data.augment.crops import CropWindow, cut
from kerascnn.data.dataset import ArrayExamples, Examples, FileExamples, RecordExamples
from kerascnn.data.ingestion.image_formats import read_image
from kerascnn.data.pipeline.reduced_decode import RATIOS, Reduction

if TYPE_CHECKING:
    import tensorflow as tf

# From an image's height and width, int32 (2,), to the part of it that is wanted, or to None for all of it.
ChooseWindow = Callable[["tf.Tensor"], CropWindow | None]
# From an example's number and what is wanted of its image to uint8 (height, width, 3).
Read = Callable[["tf.Tensor", ChooseWindow], "tf.Tensor"]

# Exact, as Pillow's decoder. TensorFlow's default is up to four levels off and saves a fiftieth of an image's time.
TRANSFORM = "INTEGER_ACCURATE"


def whole(shape: tf.Tensor) -> None:
    """The `ChooseWindow` that wants all of an image."""
    return None


def reader(examples: Examples, reduction: Reduction | None = None) -> Read:
    """How the images of `examples` are read; of a plain JPEG file only the wanted part is decoded.

    The pixels are the same to the bit whichever part is wanted.

    Args:
        examples: what to read.
        reduction: how far plain JPEG files are reduced by their decoder; the part that is wanted is then one of the
            reduced image. All others keep their size.
    """
    if isinstance(examples, ArrayExamples):
        return _array_reader(examples)
    if isinstance(examples, RecordExamples):
        return _record_reader(examples, reduction)
    return _file_reader(examples, reduction)


def _array_reader(examples: ArrayExamples) -> Read:
    import tensorflow as tf

    images = tf.constant(examples.images)
    return lambda index, choose: _part(images[index], choose)


def _file_reader(examples: FileExamples, reduction: Reduction | None) -> Read:
    import tensorflow as tf

    # As bytes, because file names need not be valid text.
    paths = tf.constant([os.fsencode(path) for path in examples.paths])
    plain = tf.constant(examples.plain)

    def by_pillow(path):
        image = tf.numpy_function(lambda name: read_image(os.fsdecode(name)), [path], tf.uint8, stateful=False)
        return tf.ensure_shape(image, (None, None, 3))

    def read(index, choose):
        path = paths[index]

        def by_tensorflow():
            return _jpeg(tf.io.read_file(path), choose, reduction)

        if examples.plain.all():
            return by_tensorflow()
        return tf.cond(plain[index], by_tensorflow, lambda: _part(by_pillow(path), choose))

    return read


def _record_reader(examples: RecordExamples, reduction: Reduction | None) -> Read:
    import tensorflow as tf

    shards = tf.constant([os.fsencode(path) for path in examples.shards])
    shard, offset = tf.constant(examples.shard, tf.int32), tf.constant(examples.offset, tf.int64)
    plain = tf.constant(examples.plain)
    features = {"image/encoded": tf.io.FixedLenFeature((), tf.string)}

    def read(index, choose):
        # The only operation that reads a record at a given place; it checks the record's checksum.
        record = tf.raw_ops.DatasetToSingleElement(
            dataset=tf.raw_ops.TakeDataset(
                input_dataset=tf.raw_ops.TFRecordDatasetV2(
                    filenames=shards[shard[index]][None],
                    compression_type="",
                    buffer_size=tf.constant(0, tf.int64),
                    byte_offsets=offset[index][None],
                ),
                count=tf.constant(1, tf.int64),
                output_types=[tf.string],
                output_shapes=[()],
            ),
            output_types=[tf.string],
            output_shapes=[()],
        )[0]
        contents = tf.io.parse_single_example(record, features)["image/encoded"]
        return tf.cond(
            plain[index],
            lambda: _jpeg(contents, choose, reduction),
            lambda: _part(tf.io.decode_png(contents, channels=3), choose),
        )

    return read


def _part(image: tf.Tensor, choose: ChooseWindow) -> tf.Tensor:
    import tensorflow as tf

    window = choose(tf.shape(image)[:2])
    return image if window is None else cut(image, window)


def _jpeg(contents: tf.Tensor, choose: ChooseWindow, reduction: Reduction | None) -> tf.Tensor:
    import tensorflow as tf

    shape = tf.io.extract_jpeg_shape(contents)[:2]
    if reduction is None:
        step = None
    else:
        step = reduction.step(shape)
        shape = tf.bitwise.right_shift(shape - 1, step) + 1
    window = choose(shape)
    if window is None:
        return _decoded(contents, step)
    # Colour is kept at half resolution and interpolated, for which the decoder needs the columns beside the window.
    left = tf.minimum(window.begin[1], 1)
    right = tf.minimum(shape[1] - window.begin[1] - window.extent[1], 1)
    columns = tf.stack([window.begin[1] - left, window.extent[1] + left + right])
    image = _decoded(contents, step, tf.stack([window.begin[0], columns[0], window.extent[0], columns[1]]))
    return image[:, left : left + window.extent[1]]


def _decoded(contents: tf.Tensor, step: tf.Tensor | None, area: tf.Tensor | None = None) -> tf.Tensor:
    """A JPEG reduced by one of `RATIOS`, or not; of it top, left, height and width in `area`, or all."""
    import tensorflow as tf

    def at(ratio: int) -> tf.Tensor:
        if area is None:
            return tf.io.decode_jpeg(contents, channels=3, ratio=ratio, dct_method=TRANSFORM)
        return tf.io.decode_and_crop_jpeg(contents, area, channels=3, ratio=ratio, dct_method=TRANSFORM)

    if step is None:
        return at(1)
    # The decoder takes its ratio as a constant.
    return tf.cond(step == 0, lambda: at(1), lambda: tf.switch_case(step - 1, [partial(at, r) for r in RATIOS[1:]]))
