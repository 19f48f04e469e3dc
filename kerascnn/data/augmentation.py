"""Random changes to training pictures, as pure functions of a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class Augmentation:
    """What is done to a training picture, in this order.

    Attributes:
        crop_area: least and greatest share of the picture's area that a random crop keeps before it is
            resized (GoogLeNet, section 6: 8 % to 100 %); None keeps the evaluation crop.
        crop_aspect: least and greatest width over height of that crop.
        pad: zeros, in pixels, around the resized picture, of which a window of its size is cut at random (ResNet
            on CIFAR, section 4.2: 4).
        flip: whether half of the pictures are mirrored left to right.
    """

    crop_area: tuple[float, float] | None = None
    crop_aspect: tuple[float, float] = (3 / 4, 4 / 3)
    pad: int = 0
    flip: bool = False


def evaluation_view(image: tf.Tensor, size: int, crop_fraction: float) -> tf.Tensor:
    """The view of a picture that evaluation and prediction use: shorter side resized, centre cut out.

    Args:
        image: uint8 or float (height, width, 3) in [0, 255].
        size: height and width of the result in pixels.
        crop_fraction: `size` over the length that the shorter side is resized to.

    Returns:
        float32 (size, size, 3) in [0, 255].
    """
    import tensorflow as tf

    height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))
    scale = round(size / crop_fraction) / tf.minimum(height, width)
    new_size = tf.maximum(tf.cast(tf.round([height * scale, width * scale]), tf.int32), size)
    image = tf.image.resize(image, new_size, antialias=True)
    top, left = tf.unstack((new_size - size) // 2)
    image = image[top : top + size, left : left + size]
    return tf.ensure_shape(tf.clip_by_value(image, 0.0, 255.0), (size, size, 3))


def training_view(
    image: tf.Tensor, size: int, crop_fraction: float, augmentation: Augmentation, seed: tf.Tensor
) -> tf.Tensor:
    """A random view of a picture.

    Args:
        image, size, crop_fraction: as for `evaluation_view`.
        augmentation: what may be done.
        seed: int32 (2,); the same seed gives the same view.

    Returns:
        float32 (size, size, 3) in [0, 255].
    """
    import tensorflow as tf

    crop_seed, pad_seed, flip_seed = tf.unstack(tf.random.split(seed, 3))
    if augmentation.crop_area is None:
        image = evaluation_view(image, size, crop_fraction)
    else:
        image = _area_crop(image, size, augmentation, crop_seed)
    if augmentation.pad:
        around = [[augmentation.pad, augmentation.pad]] * 2 + [[0, 0]]
        image = tf.image.stateless_random_crop(tf.pad(image, around), (size, size, 3), pad_seed)
    if augmentation.flip:
        image = tf.image.stateless_random_flip_left_right(image, flip_seed)
    return image


def _area_crop(image: tf.Tensor, size: int, augmentation: Augmentation, seed: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.shape(image),
        bounding_boxes=tf.zeros((1, 0, 4)),
        seed=seed,
        area_range=augmentation.crop_area,
        aspect_ratio_range=augmentation.crop_aspect,
        max_attempts=10,
        use_image_if_no_bounding_boxes=True,
    )
    image = tf.image.resize(tf.slice(image, begin, extent), (size, size), antialias=True)
    return tf.ensure_shape(tf.clip_by_value(image, 0.0, 255.0), (size, size, 3))
