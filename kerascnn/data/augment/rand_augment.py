"""RandAugment (Cubuk et al. 2019): a few operations of a fixed list, all at one magnitude.

Every operation maps a float32 (height, width, 3 or 1) image of whole levels in [0, 255] to another. Operations that
Pillow has give Pillow's result, within one gray level.

Differences from the paper:
- Magnitudes go to 30 with the ranges of torchvision's implementation: the paper takes AutoAugment's ranges, which are
  for images of 331 pixels.
- Operations with a direction take each with equal probability, also those that change colors.
- On gray images, saturation changes nothing, as Pillow's does.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from kerascnn.data.augment import color
from kerascnn.lazy_tensorflow import tf

MAX_MAGNITUDE = 30
# The gray that a shifted or rotated image shows outside of its pixels.
FILL = 128.0


def rand_augment(image: tf.Tensor, operations: int, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Applies operations drawn with replacement (section 3, figure 2).

    `operations` is N of the paper, `magnitude` M of the paper, from 0 to 30, and `seed` int32 (2,).
    """
    level = magnitude / MAX_MAGNITUDE
    image = tf.round(image)
    for operation_seed in tf.unstack(tf.random.split(seed, operations)):
        choice_seed, sign_seed = tf.unstack(tf.random.split(operation_seed, 2))
        choice = tf.random.stateless_uniform((), choice_seed, 0, len(OPERATIONS), tf.int32)
        sign = tf.where(tf.random.stateless_uniform((), sign_seed) < 0.5, -1.0, 1.0)
        branches = [
            lambda operation=operation, image=image, sign=sign: truncate(operation(image, level, sign))
            for operation in OPERATIONS.values()
        ]
        image = tf.ensure_shape(tf.switch_case(choice, branches), image.shape)
    return image


def truncate(image: tf.Tensor) -> tf.Tensor:
    """Rounds down to whole gray levels, as Pillow does, but forgives rounding errors."""
    return tf.floor(image + 1e-3)


def auto_contrast(image: tf.Tensor) -> tf.Tensor:
    """Stretches each channel to the whole range; ImageOps.autocontrast."""
    low, high = tf.reduce_min(image, axis=(0, 1)), tf.reduce_max(image, axis=(0, 1))
    stretched = (image - low) * 255.0 / tf.maximum(high - low, 1.0)
    return tf.where(high > low, stretched, image)


def equalize(image: tf.Tensor) -> tf.Tensor:
    """Equalizes each channel's histogram; ImageOps.equalize."""
    channels = []
    for channel in tf.unstack(tf.cast(image, tf.int32), axis=-1):
        counts = tf.math.bincount(tf.reshape(channel, [-1]), minlength=256, maxlength=256)
        last = tf.boolean_mask(counts, counts > 0)[-1]
        step = (tf.reduce_sum(counts) - last) // 255
        before = tf.cumsum(counts, exclusive=True)
        table = tf.minimum((before + step // 2) // tf.maximum(step, 1), 255)
        channels.append(tf.where(step > 0, tf.gather(table, channel), channel))
    return tf.cast(tf.stack(channels, axis=-1), tf.float32)


def posterize(image: tf.Tensor, bits: int) -> tf.Tensor:
    """Keeps the upper bits of every value; ImageOps.posterize."""
    step = 2.0 ** (8 - bits)
    return tf.floor(image / step) * step


def solarize(image: tf.Tensor, threshold: float) -> tf.Tensor:
    """Inverts the values from the threshold on; ImageOps.solarize."""
    return tf.where(image < threshold, image, 255.0 - image)


def sharpness(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """From a smoothed image (0) to the image (1) and beyond; ImageEnhance.Sharpness."""
    kernel = tf.constant([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]) / 13.0
    kernels = tf.tile(kernel[:, :, None, None], (1, 1, image.shape[2], 1))
    smooth = tf.nn.depthwise_conv2d(image[None], kernels, [1] * 4, "VALID")[0]
    # Pillow leaves the border unchanged.
    border = [[1, 1], [1, 1], [0, 0]]
    smooth = tf.where(tf.pad(tf.ones_like(smooth, tf.bool), border), tf.pad(tf.round(smooth), border), image)
    return color.blend(smooth, image, factor)


def affine(image: tf.Tensor, rows: list[list[tf.Tensor | float]]) -> tf.Tensor:
    """Samples every pixel where the matrix maps its center, bilinearly; Image.transform(AFFINE, BILINEAR).

    `rows` form the 2 x 3 matrix from (x, y, 1) in the result to (x, y) in the image, with the origin in the corner.
    """
    # The kernel's origin is the first pixel's center.
    parameters = [value for a, b, shift in rows for value in (a, b, shift + (a + b) * 0.5 - 0.5)]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=tf.stack([*parameters, 0.0, 0.0])[None],
        output_shape=tf.shape(image)[:2],
        fill_value=FILL,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0]


def rotate(image: tf.Tensor, degrees: tf.Tensor | float) -> tf.Tensor:
    """Rotates the image around its center, counterclockwise; Image.rotate."""
    angle = tf.cast(degrees, tf.float32) * (math.pi / 180.0)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    x, y = image.shape[1] / 2.0, image.shape[0] / 2.0
    return affine(image, [[cosine, -sine, x - (cosine * x - sine * y)], [sine, cosine, y - (sine * x + cosine * y)]])


def shear_x(image: tf.Tensor, slope: tf.Tensor | float) -> tf.Tensor:
    """Samples each row `slope` pixels further right than the row above."""
    return affine(image, [[1.0, slope, 0.0], [0.0, 1.0, 0.0]])


def shear_y(image: tf.Tensor, slope: tf.Tensor | float) -> tf.Tensor:
    """Samples each column `slope` pixels further down than the column to its left."""
    return affine(image, [[1.0, 0.0, 0.0], [slope, 1.0, 0.0]])


def translate(image: tf.Tensor, right: tf.Tensor | float, down: tf.Tensor | float) -> tf.Tensor:
    """Samples every pixel so many pixels further right and down."""
    return affine(image, [[1.0, 0.0, right], [0.0, 1.0, down]])


def _distance(side: int, level: float, sign: tf.Tensor) -> tf.Tensor:
    return sign * float(round(150 / 331 * side * level))


# Each from (image, level in [0, 1], sign -1 or 1) to image.
Operation = Callable[["tf.Tensor", float, "tf.Tensor"], "tf.Tensor"]
OPERATIONS: dict[str, Operation] = {
    "identity": lambda image, level, sign: image,
    "auto_contrast": lambda image, level, sign: auto_contrast(image),
    "equalize": lambda image, level, sign: equalize(image),
    "rotate": lambda image, level, sign: rotate(image, sign * 30 * level),
    "solarize": lambda image, level, sign: solarize(image, 256 * (1 - level)),
    "saturation": lambda image, level, sign: color.saturation(image, 1 + sign * 0.9 * level),
    "posterize": lambda image, level, sign: posterize(image, 8 - round(4 * level)),
    "contrast": lambda image, level, sign: color.contrast(image, 1 + sign * 0.9 * level),
    "brightness": lambda image, level, sign: color.brightness(image, 1 + sign * 0.9 * level),
    "sharpness": lambda image, level, sign: sharpness(image, 1 + sign * 0.9 * level),
    "shear_x": lambda image, level, sign: shear_x(image, sign * 0.3 * level),
    "shear_y": lambda image, level, sign: shear_y(image, sign * 0.3 * level),
    "translate_x": lambda image, level, sign: translate(image, _distance(image.shape[1], level, sign), 0.0),
    "translate_y": lambda image, level, sign: translate(image, 0.0, _distance(image.shape[0], level, sign)),
}
