"""RandAugment (Cubuk et al. 2019): a few operations of a fixed list, all at one magnitude.

Every operation takes and gives a float32 (size, size, 3) image in [0, 255], and is given whole grey levels. Those
that Pillow has give what Pillow gives, to a grey level.

Differences from the paper:
- Magnitudes go to 30 with the reaches of torchvision's implementation: the paper leaves the reaches to AutoAugment's,
  which are for images of 331 pixels.
- Operations with a direction take each with even chance, also those that change colours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kerascnn.data.augment import color

if TYPE_CHECKING:
    import tensorflow as tf

GREATEST_MAGNITUDE = 30
# What a shifted or turned image shows where it has no pixels.
FILL = 128.0


def rand_augmented(image: tf.Tensor, operations: int, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Applies `operations` operations drawn with replacement (section 3, figure 2).

    Args:
        image: float32 (size, size, 3) in [0, 255].
        operations: N of the paper.
        magnitude: M of the paper, from 0 to 30.
        seed: int32 (2,).
    """
    import tensorflow as tf

    level = magnitude / GREATEST_MAGNITUDE
    image = tf.round(image)
    for operation_seed in tf.unstack(tf.random.split(seed, operations)):
        choice_seed, sign_seed = tf.unstack(tf.random.split(operation_seed, 2))
        choice = tf.random.stateless_uniform((), choice_seed, 0, len(OPERATIONS), tf.int32)
        sign = tf.where(tf.random.stateless_uniform((), sign_seed) < 0.5, -1.0, 1.0)
        branches = [
            lambda operation=operation, image=image, sign=sign: whole_levels(operation(image, level, sign))
            for operation in OPERATIONS.values()
        ]
        image = tf.ensure_shape(tf.switch_case(choice, branches), image.shape)
    return image


def whole_levels(image: tf.Tensor) -> tf.Tensor:
    """Cuts off what is between grey levels, as Pillow does, but for what is rounding."""
    import tensorflow as tf

    return tf.floor(image + 1e-3)


def auto_contrast(image: tf.Tensor) -> tf.Tensor:
    """Stretches each channel to the whole range; ImageOps.autocontrast."""
    import tensorflow as tf

    low, high = tf.reduce_min(image, axis=(0, 1)), tf.reduce_max(image, axis=(0, 1))
    stretched = (image - low) * 255.0 / tf.maximum(high - low, 1.0)
    return tf.where(high > low, stretched, image)


def equalize(image: tf.Tensor) -> tf.Tensor:
    """Evens out each channel's histogram; ImageOps.equalize."""
    import tensorflow as tf

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
    import tensorflow as tf

    step = 2.0 ** (8 - bits)
    return tf.floor(image / step) * step


def solarize(image: tf.Tensor, threshold: float) -> tf.Tensor:
    """Inverts the values from the threshold on; ImageOps.solarize."""
    import tensorflow as tf

    return tf.where(image < threshold, image, 255.0 - image)


def sharpness(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """From a smoothed image (0) to the image (1) and beyond; ImageEnhance.Sharpness."""
    import tensorflow as tf

    kernel = tf.constant([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]) / 13.0
    smooth = tf.nn.depthwise_conv2d(image[None], tf.tile(kernel[:, :, None, None], (1, 1, 3, 1)), [1] * 4, "VALID")[0]
    # Pillow leaves the border as it is.
    inner = tf.pad(tf.ones_like(smooth, tf.bool), [[1, 1], [1, 1], [0, 0]])
    smooth = tf.where(inner, tf.pad(tf.round(smooth), [[1, 1], [1, 1], [0, 0]]), image)
    return color.blended(smooth, image, factor)


def affine(image: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Pulls every pixel from where `matrix` takes its centre, interpolating; Image.transform(AFFINE, BILINEAR).

    Args:
        image: float32 (height, width, 3).
        matrix: float32 (2, 3), from (x, y, 1) in the result to (x, y) in the image, origin in the corner.
    """
    import tensorflow as tf

    # The kernel counts from the first pixel's centre.
    shift = tf.reduce_sum(matrix[:, :2], axis=1) * 0.5 - 0.5
    matrix = tf.concat([matrix[:, :2], (matrix[:, 2] + shift)[:, None]], axis=1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=tf.concat([tf.reshape(matrix, [-1]), [0.0, 0.0]], axis=0)[None],
        output_shape=tf.shape(image)[:2],
        fill_value=FILL,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0]


def rotate(image: tf.Tensor, degrees: tf.Tensor | float) -> tf.Tensor:
    """Turns the image around its centre, against the clock; Image.rotate."""
    import tensorflow as tf

    angle = tf.cast(degrees, tf.float32) * (3.141592653589793 / 180.0)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    turn = tf.stack([tf.stack([cosine, -sine]), tf.stack([sine, cosine])])
    centre = tf.cast(tf.shape(image)[1::-1], tf.float32) / 2.0
    return affine(image, tf.concat([turn, (centre - tf.linalg.matvec(turn, centre))[:, None]], axis=1))


def shear_x(image: tf.Tensor, slope: tf.Tensor | float) -> tf.Tensor:
    """Each row is pulled from `slope` pixels further right than the row above."""
    import tensorflow as tf

    return affine(image, tf.stack([tf.stack([1.0, slope, 0.0]), tf.constant([0.0, 1.0, 0.0])]))


def shear_y(image: tf.Tensor, slope: tf.Tensor | float) -> tf.Tensor:
    """Each column is pulled from `slope` pixels further down than the column to its left."""
    import tensorflow as tf

    return affine(image, tf.stack([tf.constant([1.0, 0.0, 0.0]), tf.stack([slope, 1.0, 0.0])]))


def translate(image: tf.Tensor, right: tf.Tensor | float, down: tf.Tensor | float) -> tf.Tensor:
    """Every pixel is pulled from so many pixels further right and down."""
    import tensorflow as tf

    return affine(image, tf.stack([tf.stack([1.0, 0.0, right]), tf.stack([0.0, 1.0, down])]))


def _distance(image: tf.Tensor, level: float, sign: tf.Tensor) -> tf.Tensor:
    return sign * float(round(150 / 331 * image.shape[0] * level))


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
    "translate_x": lambda image, level, sign: translate(image, _distance(image, level, sign), 0.0),
    "translate_y": lambda image, level, sign: translate(image, 0.0, _distance(image, level, sign)),
}
