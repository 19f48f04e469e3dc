"""Where the crops of a protocol lie in an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerascnn.data.augment.augmentation import evaluation_view
from kerascnn.evaluation.protocols import LAYOUTS, CropLayout, Name

if TYPE_CHECKING:
    import tensorflow as tf


def crops(image: tf.Tensor, side: int, size: int, name: Name) -> tf.Tensor:
    """The crops of an image at one scale.

    They come square by square in `CropLayout.squares`' order; of each square first top left, top right, bottom left,
    bottom right, centre, then the square itself where the protocol has it; after all of these, their mirrors in the
    same order.

    Args:
        image: uint8 or float (height, width, 3) in [0, 255].
        side: the length that the image's shorter side is resized to, in pixels.
        size: height and width of the crops in pixels, at most `side`.
        name: any protocol but "dense".

    Returns:
        float32 (crops, size, size, 3) in [0, 255].

    Example:
        >>> crops(tf.zeros((300, 400, 3)), 256, 224, "10 crops").shape
        TensorShape([10, 224, 224, 3])
    """
    import tensorflow as tf

    if name not in LAYOUTS:
        return evaluation_view(image, size, size / side)[None]
    layout = LAYOUTS[name]
    image = at_shorter_side(image, side)
    squares = [_square(image, place, side) for place in layout.squares]
    pairs = [pair for square in squares for pair in _of_square(square, size, layout)]
    plain, mirrors = zip(*pairs, strict=True)
    return tf.stack([*plain, *mirrors])


def at_shorter_side(image: tf.Tensor, side: int | tf.Tensor) -> tf.Tensor:
    """An image with its shorter side resized to `side` pixels, in its proportions.

    Args:
        image: uint8 or float (height, width, 3) in [0, 255].
        side: the new length of the shorter side in pixels.

    Returns:
        float32 (new height, new width, 3) in [0, 255].
    """
    import tensorflow as tf

    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    new_size = tf.maximum(tf.cast(tf.round(sides * (tf.cast(side, tf.float32) / tf.reduce_min(sides))), tf.int32), side)
    return tf.clip_by_value(tf.image.resize(image, new_size, antialias=True), 0.0, 255.0)


def mirrored(images: tf.Tensor) -> tf.Tensor:
    """(count, height, width, 3) images, left to right."""
    return images[:, :, ::-1]


def _square(image: tf.Tensor, place: float, side: int) -> tf.Tensor:
    """A square of an image whose shorter side is `side`, so that only the longer one leaves room to move."""
    import tensorflow as tf

    room = tf.cast(tf.shape(image)[:2] - side, tf.float32)
    top, left = tf.unstack(tf.cast(tf.floor(room * place), tf.int32))
    return tf.ensure_shape(image[top : top + side, left : left + side], (side, side, 3))


def _of_square(square: tf.Tensor, size: int, layout: CropLayout) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Each crop and its mirror."""
    import tensorflow as tf

    room = square.shape[0] - size
    # Mirrored once and not crop by crop: a crop of the mirror is the mirror of a crop.
    mirror = square[:, ::-1]
    pairs = []
    for top, left in [(0, 0), (0, room), (room, 0), (room, room), (room // 2, room // 2)]:
        across = room - left
        pairs.append((square[top : top + size, left : left + size], mirror[top : top + size, across : across + size]))
    if layout.whole:
        whole = tf.clip_by_value(tf.image.resize(square, (size, size), antialias=True), 0.0, 255.0)
        pairs.append((whole, whole[:, ::-1]))
    return pairs
