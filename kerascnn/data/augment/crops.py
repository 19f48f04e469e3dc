"""Random crops, their resizing, and random erasing; shapes are int32 (height, width), seeds int32 (2,)."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Literal, NamedTuple

from kerascnn.image_shape import ImageSize, Size
from kerascnn.lazy_tensorflow import tf

Resize = Literal["bilinear", "antialias"]

# Shapes that random erasing tries before it leaves an image unchanged.
ATTEMPTS = 10


class CropWindow(NamedTuple):
    """A rectangle in an image: int32 (top, left) and int32 (height, width) in pixels."""

    begin: tf.Tensor
    extent: tf.Tensor


def area_window(
    shape: tf.Tensor, scale: tuple[float, float], ratio: tuple[float, float], seed: tf.Tensor
) -> CropWindow:
    """A random window, of an area in `scale`, a share of the image's, and a width over height in `ratio`.

    GoogLeNet, section 6.
    """
    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.concat([shape, [3]], axis=0),
        bounding_boxes=tf.zeros((1, 0, 4)),
        seed=seed,
        area_range=scale,
        aspect_ratio_range=ratio,
        max_attempts=10,
        use_image_if_no_bounding_boxes=True,
    )
    return CropWindow(begin[:2], extent[:2])


def scaled_window(shape: tf.Tensor, size: Size, resize_range: tuple[int, int], seed: tf.Tensor) -> CropWindow:
    """The window of a random crop of `size` from an image that is first resized to cover a frame.

    The frame has the proportions of `size` and a shorter side in the range; for a square size the image's shorter side
    is resized to that length. Cropping before resizing gives the same crop, except that its position is in whole pixels
    of the image instead of the resized image. It avoids decoding and resizing pixels that are cut away. All lengths are
    at least the shorter side of `size`.
    """
    (least, greatest), size = resize_range, ImageSize.of(size)
    # One draw for all three: at thousands of images per second every operation counts.
    drawn = tf.random.stateless_uniform((3,), seed)
    length = tf.minimum(tf.floor(least + drawn[0] * (greatest + 1 - least)), greatest)
    sides = tf.cast(shape, tf.float32)
    # The shorter side of the largest window of these proportions.
    largest = tf.reduce_min(sides / [side / size.shorter for side in size])
    extent = tf.maximum(tf.round(largest * tf.constant(size, tf.float32) / length), 1.0)
    room = sides - extent
    begin = tf.minimum(tf.floor(drawn[1:] * (room + 1.0)), room)
    return CropWindow(tf.cast(begin, tf.int32), tf.cast(extent, tf.int32))


def cut(image: tf.Tensor, window: CropWindow) -> tf.Tensor:
    """The pixels of a (height, width, channels) image inside a window."""
    extent = tf.concat([window.extent, [image.shape[2]]], axis=0)
    return tf.slice(image, tf.concat([window.begin, [0]], axis=0), extent)


def covering(image: tf.Tensor, frame: tf.Tensor | ImageSize) -> tf.Tensor:
    """An image resized to the smallest size of its proportions that covers a frame, (height, width) in pixels.

    The image is uint8 or float (height, width, channels) in [0, 255], the result float32 in the same range.
    """
    shape = tf.TensorShape(image.shape[:2])
    known = shape.is_fully_defined() and isinstance(frame, ImageSize)
    # Of images of one size it is computed once, outside the graph: none of them is resized to the size that it has.
    with tf.init_scope() if known else nullcontext():
        sides = tf.cast(shape if known else tf.shape(image)[:2], tf.float32)
        frame = tf.convert_to_tensor(frame)
        size = tf.round(sides * tf.reduce_max(tf.cast(frame, tf.float32) / sides))
        size = tf.maximum(tf.cast(size, tf.int32), frame)
    if known and shape == size.numpy():
        image = tf.cast(image, tf.float32)
    else:
        image = tf.image.resize(image, size, antialias=True)
    return tf.clip_by_value(image, 0.0, 255.0)


def padded_crop(image: tf.Tensor, pad: int, seed: tf.Tensor) -> tf.Tensor:
    """A random window, of the image's size, of a (height, width, channels) image with `pad` zeros on each side.

    ResNet, section 4.2. The draw is that of `tf.image.stateless_random_crop`, without its checks in every image.
    """
    begin = tf.random.stateless_uniform((3,), seed, maxval=tf.int32.max, dtype=tf.int32) % [2 * pad + 1, 2 * pad + 1, 1]
    return tf.slice(tf.pad(image, [[pad, pad], [pad, pad], [0, 0]]), begin, image.shape)


def resized(image: tf.Tensor, size: Size, resize: Resize) -> tf.Tensor:
    """A uint8 or float (height, width, channels) image, resized to a float32 image of `size` in [0, 255].

    `resize` is that of `kerascnn.data.Augmentation`.
    """
    size = ImageSize.of(size)
    if resize == "antialias":
        image = tf.clip_by_value(tf.image.resize(image, size, antialias=True), 0.0, 255.0)
    else:
        # Means of pixels stay in the range. The bilinear kernel is a third faster on floats than on integers.
        image = tf.cond(
            tf.reduce_all(tf.shape(image)[:2] < [2 * side for side in size]),
            lambda: tf.raw_ops.ResizeBilinear(
                images=tf.cast(image, tf.float32)[None], size=size, half_pixel_centers=True
            )[0],
            lambda: tf.raw_ops.ResizeArea(images=image[None], size=size)[0],
        )
    return tf.ensure_shape(image, (*size, image.shape[2]))


def random_erasing(
    image: tf.Tensor, share: float, scale: tuple[float, float], ratio: tuple[float, float], seed: tf.Tensor
) -> tf.Tensor:
    """Random erasing (Zhong et al. 2017, algorithm 1, RE-R): in a share of images a rectangle becomes noise.

    The rectangle's share of the image lies in `scale`, its height over width, drawn on a logarithmic scale, in `ratio`.
    """
    shape_seed, position_seed, noise_seed, chance_seed = tf.unstack(tf.random.split(seed, 4))
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    total = sides[0] * sides[1]
    drawn = tf.random.stateless_uniform((ATTEMPTS, 2), shape_seed)
    areas = total * (scale[0] + drawn[:, 0] * (scale[1] - scale[0]))
    ratios = tf.exp(tf.math.log(ratio[0]) + drawn[:, 1] * tf.math.log(ratio[1] / ratio[0]))
    extents = tf.round(tf.stack([tf.sqrt(areas * ratios), tf.sqrt(areas / ratios)], axis=1))
    shares = tf.reduce_prod(extents, axis=1) / total
    fits = tf.reduce_all(extents <= sides, axis=1) & (shares >= scale[0]) & (shares <= scale[1])
    extent = extents[tf.argmax(fits)]
    begin = tf.floor(tf.random.stateless_uniform((2,), position_seed) * (sides - extent + 1))
    chosen = (tf.random.stateless_uniform((), chance_seed) < share) & tf.reduce_any(fits)
    rows, columns = (
        (tf.range(sides[axis]) >= begin[axis]) & (tf.range(sides[axis]) < begin[axis] + extent[axis]) for axis in (0, 1)
    )
    mask = (rows[:, None] & columns[None, :] & chosen)[..., None]
    return tf.where(mask, tf.floor(tf.random.stateless_uniform(tf.shape(image), noise_seed, 0, 256)), image)
