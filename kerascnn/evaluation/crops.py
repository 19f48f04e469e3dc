"""The crops of a protocol, of one image and as batches of many images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerascnn.cores import cores
from kerascnn.data.augment.augmentation import evaluation_view
from kerascnn.data.augment.crops import covering
from kerascnn.data.dataset import Examples
from kerascnn.data.pipeline.autotuning import without_autotuning
from kerascnn.data.pipeline.decode import reader, whole
from kerascnn.evaluation.protocols import LAYOUTS, ProtocolName
from kerascnn.image_shape import RGB, ImageSize, Size

if TYPE_CHECKING:
    import tensorflow as tf

BATCH = 64

# The most crops that wait for the network, for any protocol: 154 MB at 224 x 224 pixels.
CROPS_IN_FLIGHT = 256


def crops(image: tf.Tensor, side: int, size: Size, name: ProtocolName) -> tf.Tensor:
    """The crops at one scale of an image, uint8 or float (height, width, channels) in [0, 255]; not of "dense".

    They come square by square in the order of `CropLayout.squares`. Each square gives top left, top right, bottom
    left, bottom right, center, and the resized square if the protocol has it. All mirror images follow in that order.
    If `size` is not square, squares are rectangles of its proportions. The image is resized to cover them; `side` is
    the length of their shorter side in pixels, and at least that of `size`.

    Returns float32 (crops, height, width, channels) in [0, 255].

    Example:
        >>> crops(tf.zeros((300, 400, 3)), 256, 224, "10 crops").shape
        TensorShape([10, 224, 224, 3])
    """
    import tensorflow as tf

    size = ImageSize.of(size)
    if name not in LAYOUTS:
        view = evaluation_view(image, size, size.shorter / side)
        return tf.stack([view, view[:, ::-1]]) if name == "2 crops" else view[None]
    frame = size.frame(side)
    image = covering(image, frame)
    # Only one side leaves room for several squares.
    room = tf.cast(tf.shape(image)[:2] - frame, tf.float32)
    pairs = []
    for position in LAYOUTS[name].squares:
        top, left = tf.unstack(tf.cast(tf.floor(room * position), tf.int32))
        square = image[top : top + frame.height, left : left + frame.width]
        square = tf.ensure_shape(square, (*frame, image.shape[2]))
        pairs += _square_crops(square, size, LAYOUTS[name].resized_square)
    plain, mirrored = zip(*pairs, strict=True)
    return tf.stack([*plain, *mirrored])


def _square_crops(square: tf.Tensor, size: ImageSize, resized_square: bool) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Pairs of a crop and its mirror image."""
    import tensorflow as tf

    bottom, right = square.shape[0] - size.height, square.shape[1] - size.width
    # Mirrors the square once, not each crop: a crop of the mirror image is the mirror image of a crop.
    mirrored = square[:, ::-1]
    pairs = []
    for top, left in [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]:
        rows, other = slice(top, top + size.height), right - left
        pairs.append((square[rows, left : left + size.width], mirrored[rows, other : other + size.width]))
    if resized_square:
        resized = tf.clip_by_value(tf.image.resize(square, size, antialias=True), 0.0, 255.0)
        pairs.append((resized, resized[:, ::-1]))
    return pairs


def crop_batches(
    examples: Examples, name: ProtocolName, sides: tuple[int, ...], size: Size, channels: int = RGB
) -> tf.data.Dataset:
    """The crops of all images, in order, in full batches across images. Each image is read and decoded once.

    `name`, `sides` and `size` are as for `crops`, without "dense"; `channels` are 3 for RGB, 1 for gray. Yields triples
    of float32 (batch, height, width, channels) in [0, 255], int64 (batch,) image numbers, and int32 (batch, 2) heights
    and widths of those images.
    """
    import tensorflow as tf

    @tf.autograph.experimental.do_not_convert
    def crop(number, shape, image, scale):
        # Each branch knows its side as a number, and with it where the crops are.
        found = tf.switch_case(scale, [lambda side=side: crops(image, side, size, name) for side in sides])
        count = tf.shape(found)[0]
        return found, tf.repeat(number, count), tf.tile(shape[None], (count, 1))

    concurrent = max(1, CROPS_IN_FLIGHT // (LAYOUTS[name].crops if name in LAYOUTS else 1))
    calls = min(concurrent, cores())
    views = _images_at_scales(examples, sides, channels).map(crop, num_parallel_calls=calls, deterministic=True)
    return views.rebatch(BATCH).prefetch(1)


def whole_images(examples: Examples, sides: tuple[int, ...], size: Size, channels: int = RGB) -> tf.data.Dataset:
    """All images whole, in order, each at every scale with its mirror image; arguments are as for `crop_batches`.

    Only the proportions of `size` matter. Yields triples of float32 (2, height, width, channels) in [0, 255], the
    image's number, and its height and width in the file.
    """
    import tensorflow as tf

    frames = tf.constant([ImageSize.of(size).frame(side) for side in sides])

    @tf.autograph.experimental.do_not_convert
    def resize(number, shape, image, scale):
        image = covering(image, frames[scale])
        return tf.stack([image, image[:, ::-1]]), number, shape

    images = _images_at_scales(examples, sides, channels)
    return images.map(resize, num_parallel_calls=2, deterministic=True).prefetch(1)


def _images_at_scales(examples: Examples, sides: tuple[int, ...], channels: int) -> tf.data.Dataset:
    """Every image once per scale: number, (height, width), pixels, and the scale's index in `sides`."""
    import tensorflow as tf

    read = reader(examples, channels=channels)

    @tf.autograph.experimental.do_not_convert
    def load(number):
        pixels = read(tf.cast(number, tf.int32), whole)
        return number, tf.shape(pixels)[:2], pixels

    @tf.autograph.experimental.do_not_convert
    def repeat(*image):
        return tf.data.Dataset.range(len(sides), output_type=tf.int32).map(lambda scale: (*image, scale))

    images = without_autotuning(tf.data.Dataset.range(len(examples)))
    return images.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).flat_map(repeat)
