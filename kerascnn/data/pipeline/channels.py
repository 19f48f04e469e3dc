"""Gray images from color, and color images from gray, in a TensorFlow graph."""

from __future__ import annotations

from kerascnn.image_shape import GRAY, RGB
from kerascnn.lazy_tensorflow import tf

# ITU-R 601's weights of red, green and blue over 65536, those of Pillow's `convert("L")`.
LUMA = (19595.0, 38470.0, 7471.0)


def with_channels(image: tf.Tensor, channels: int) -> tf.Tensor:
    """An image or a batch (…, height, width, 1 or 3) with 1 channel (gray) or 3 (RGB); one that has them is unchanged.

    Gray is the luma 0.299 R + 0.587 G + 0.114 B; of integers it is rounded, equal to Pillow's `convert("L")`.
    """
    if image.shape[-1] == channels:
        return image

    def converted():
        return _luma(image) if channels == GRAY else tf.repeat(image, RGB, axis=-1)

    if image.shape[-1] is not None:
        return converted()
    return tf.ensure_shape(tf.cond(tf.shape(image)[-1] == channels, lambda: image, converted), (None, None, channels))


def _luma(image: tf.Tensor) -> tf.Tensor:
    # Whole numbers below 2^24: float32 adds them exactly.
    weights = tf.constant(LUMA)[:, None]
    pixels = tf.reshape(tf.cast(image, tf.float32), (-1, RGB))
    rounding = 32768.0 if image.dtype.is_integer else 0.0
    levels = tf.cast((tf.matmul(pixels, weights) + rounding) / 65536.0, image.dtype)
    return tf.reshape(levels, tf.concat([tf.shape(image)[:-1], [GRAY]], axis=0))
