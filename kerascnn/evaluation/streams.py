"""Views of many images as a stream of batches, each image read and decoded once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerascnn.cores import cores
from kerascnn.data.dataset import Examples
from kerascnn.data.pipeline.decode import reader, whole
from kerascnn.evaluation.crops import at_shorter_side, crops, mirrored
from kerascnn.evaluation.protocols import LAYOUTS, Name

if TYPE_CHECKING:
    import tensorflow as tf

BATCH = 64

# How many crops may wait for the network, whatever the protocol: 154 MB at 224 x 224 pixels.
CROPS_IN_FLIGHT = 256


def crop_batches(examples: Examples, name: Name, sides: tuple[int, ...], size: int) -> tf.data.Dataset:
    """The crops of all images, in order, with full batches across images.

    Args:
        examples: what to read.
        name: a protocol, not "dense".
        sides: the lengths that the shorter side is resized to, one after the other.
        size: height and width of the crops in pixels.

    Returns:
        Triples of float32 (batch, size, size, 3) in [0, 255], the number of the image of each, int64 (batch,), and
        that image's height and width, int32 (batch, 2).
    """
    import tensorflow as tf

    def of_scale(number, shape, image, side):
        # The sides are few and known, and a crop's place in a square is a number where the square's side is one.
        cut = tf.switch_case(side, [lambda side=side: crops(image, side, size, name) for side in sides])
        count = tf.shape(cut)[0]
        return cut, tf.repeat(number, count), tf.tile(shape[None], (count, 1))

    at_once = max(1, CROPS_IN_FLIGHT // (LAYOUTS[name].crops if name in LAYOUTS else 1))
    calls = min(at_once, cores())
    views = _scales(examples, sides).map(of_scale, num_parallel_calls=calls, deterministic=True)
    return views.rebatch(BATCH).prefetch(1)


def whole_images(examples: Examples, sides: tuple[int, ...]) -> tf.data.Dataset:
    """All images whole, in order, each at every scale with its mirror.

    Args:
        examples, sides: as for `crop_batches`.

    Returns:
        Triples of float32 (2, height, width, 3) in [0, 255], the image's number and its height and width in the file.
    """
    import tensorflow as tf

    lengths = tf.constant(sides)

    def of_scale(number, shape, image, side):
        image = at_shorter_side(image, lengths[side])[None]
        return tf.concat([image, mirrored(image)], axis=0), number, shape

    return _scales(examples, sides).map(of_scale, num_parallel_calls=2, deterministic=True).prefetch(1)


def _scales(examples: Examples, sides: tuple[int, ...]) -> tf.data.Dataset:
    """Every image once for each scale: its number, height and width, pixels, and the scale's place in `sides`."""
    import tensorflow as tf

    read = reader(examples)

    def image(number):
        pixels = read(tf.cast(number, tf.int32), whole)
        return number, tf.shape(pixels)[:2], pixels

    def at_scales(*image):
        return tf.data.Dataset.range(len(sides), output_type=tf.int32).map(lambda side: (*image, side))

    images = tf.data.Dataset.range(len(examples))
    images = images.map(image, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return images.flat_map(at_scales)
