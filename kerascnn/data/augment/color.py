"""Changes of color, on float32 (height, width, 3 or 1) images in [0, 255]; seeds are int32 (2,).

`brightness`, `contrast` and `saturation` equal those of Pillow's `ImageEnhance`; a factor of 1 changes nothing. A gray
image has no saturation and no hue, so these changes leave it as it is.
"""

from __future__ import annotations

from kerascnn.image_shape import GRAY
from kerascnn.lazy_tensorflow import tf

# Of the covariance of ImageNet's RGB values in [0, 1], as published with fb.resnet.torch (datasets/imagenet.lua);
# one eigenvector per column.
IMAGENET_EIGENVALUES = (0.2175, 0.0188, 0.0045)
IMAGENET_EIGENVECTORS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)

# ITU-R 601-2, as in Pillow and television.
LUMINANCE_WEIGHTS = (0.299, 0.587, 0.114)


def clip(image: tf.Tensor) -> tf.Tensor:
    """The image with its values clipped to [0, 255]."""
    return tf.clip_by_value(image, 0.0, 255.0)


def grayscale(image: tf.Tensor) -> tf.Tensor:
    """Luminance, (height, width, 1), in whole gray levels."""
    if image.shape[2] == GRAY:
        return tf.round(image)
    return tf.round(tf.reduce_sum(image * tf.constant(LUMINANCE_WEIGHTS), axis=-1, keepdims=True))


def blend(degenerate: tf.Tensor, image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """The point at `factor` on the line from a degenerate image (0) through the image (1), clipped."""
    return clip(degenerate + (image - degenerate) * factor)


def brightness(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """From black (0) to the image (1) and beyond."""
    return clip(image * factor)


def contrast(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """From a uniform gray of the image's mean luminance (0) to the image (1) and beyond."""
    return blend(tf.floor(tf.reduce_mean(grayscale(image)) + 0.5), image, factor)


def saturation(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """From the grayscale image (0) to the image (1) and beyond."""
    if image.shape[2] == GRAY:
        return image
    return blend(grayscale(image), image, factor)


def hue(image: tf.Tensor, rotation: tf.Tensor | float) -> tf.Tensor:
    """The hue rotated by a share of the color circle: a third turns red into green."""
    return image if image.shape[2] == GRAY else clip(tf.image.adjust_hue(image, rotation))


def color_jitter(image: tf.Tensor, ranges: tuple[float, float, float, float], seed: tf.Tensor) -> tf.Tensor:
    """Random brightness, contrast, saturation and hue, in this order.

    `ranges` has one number per change: factors lie in [1 - range, 1 + range], the rotation of the hue in
    [-range, range]; 0 skips the change.
    """
    draws = tf.unstack(tf.random.stateless_uniform((4,), seed, -1.0, 1.0))
    for change, limit, draw in zip((brightness, contrast, saturation), ranges, draws, strict=False):
        if limit:
            image = change(image, 1.0 + limit * draw)
    return hue(image, ranges[3] * draws[3]) if ranges[3] else image


def pca_lighting(image: tf.Tensor, sigma: float, seed: tf.Tensor) -> tf.Tensor:
    """One random shift of all pixels along the principal components of natural colors (AlexNet, section 4.1).

    The shift is the sum of the eigenvectors of RGB's covariance, each scaled by its eigenvalue and by a number from
    N(0, sigma^2) drawn once per image. The paper names no units: with pixels in [0, 1], as here, 0.1 moves each
    channel by 3 levels of 255; with pixels in [0, 255] nothing would be left of the image. The components are
    ImageNet's for any data, so that a recipe means the same everywhere. A gray image gets the luminance of the shift.
    """
    lengths = tf.random.stateless_normal((3,), seed, stddev=sigma) * tf.constant(IMAGENET_EIGENVALUES)
    shift = 255.0 * tf.linalg.matvec(tf.constant(IMAGENET_EIGENVECTORS), lengths)
    return clip(image + (tf.tensordot(shift, LUMINANCE_WEIGHTS, 1) if image.shape[2] == GRAY else shift))
