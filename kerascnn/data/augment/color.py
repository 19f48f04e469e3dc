"""Changes of colour, on float32 (height, width, 3) images in [0, 255].

`brightness`, `contrast` and `saturation` are Pillow's `ImageEnhance` operations of the same meaning; a factor of 1
changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

# Of the covariance of ImageNet's RGB values in [0, 1], as published with fb.resnet.torch (datasets/imagenet.lua);
# a column an eigenvector.
IMAGENET_EIGENVALUES = (0.2175, 0.0188, 0.0045)
IMAGENET_EIGENVECTORS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)

# ITU-R 601-2, as Pillow and television have it.
GREY_SHARES = (0.299, 0.587, 0.114)


def clipped(image: tf.Tensor) -> tf.Tensor:
    """The image with its values kept in [0, 255]."""
    import tensorflow as tf

    return tf.clip_by_value(image, 0.0, 255.0)


def grey(image: tf.Tensor) -> tf.Tensor:
    """Luminance, (height, width, 1), in whole grey levels."""
    import tensorflow as tf

    return tf.round(tf.reduce_sum(image * tf.constant(GREY_SHARES), axis=-1, keepdims=True))


def blended(degenerate: tf.Tensor, image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """The point at `factor` on the line from a degenerate image (0) through the image (1), clipped."""
    return clipped(degenerate + (image - degenerate) * factor)


def brightness(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """From black (0) to the image (1) and beyond."""
    return clipped(image * factor)


def contrast(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """From an even grey of the image's mean luminance (0) to the image (1) and beyond."""
    import tensorflow as tf

    return blended(tf.floor(tf.reduce_mean(grey(image)) + 0.5), image, factor)


def saturation(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """From the image in greys (0) to the image (1) and beyond."""
    return blended(grey(image), image, factor)


def hue(image: tf.Tensor, turn: tf.Tensor | float) -> tf.Tensor:
    """The hue turned by a share of the colour circle: a third makes red green."""
    import tensorflow as tf

    return clipped(tf.image.adjust_hue(image, turn))


def jittered(image: tf.Tensor, ranges: tuple[float, float, float, float], seed: tf.Tensor) -> tf.Tensor:
    """Brightness, contrast, saturation and hue changed at random, in this order.

    Args:
        image: float32 (height, width, 3) in [0, 255].
        ranges: how far each may go: factors lie in [1 - range, 1 + range], the turn of the hue in [-range, range];
            0 leaves out.
        seed: int32 (2,).
    """
    import tensorflow as tf

    steps = tf.unstack(tf.random.stateless_uniform((4,), seed, -1.0, 1.0))
    changes = (brightness, contrast, saturation)
    for change, reach, step in zip(changes, ranges, steps, strict=False):
        if reach:
            image = change(image, 1.0 + reach * step)
    return hue(image, ranges[3] * steps[3]) if ranges[3] else image


def pca_lighting(image: tf.Tensor, sigma: float, seed: tf.Tensor) -> tf.Tensor:
    """One random shift of all pixels along the principal components of natural colours (AlexNet, section 4.1).

    The shift is the sum of the eigenvectors of RGB's covariance, each scaled by its eigenvalue and by a number from
    N(0, sigma^2) drawn once an image. The paper does not say in which units: with pixels in [0, 1], as here, 0.1 moves
    each channel by 3 levels of 255; with pixels in [0, 255] nothing would be left of the image. The
    components are ImageNet's for any data, so that a recipe means the same everywhere.

    Args:
        image: float32 (height, width, 3) in [0, 255].
        sigma: standard deviation of alpha.
        seed: int32 (2,).
    """
    import tensorflow as tf

    lengths = tf.random.stateless_normal((3,), seed, stddev=sigma) * tf.constant(IMAGENET_EIGENVALUES)
    return clipped(image + 255.0 * tf.linalg.matvec(tf.constant(IMAGENET_EIGENVECTORS), lengths))
