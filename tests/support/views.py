"""Views of single images, as the training pipeline makes them."""

from __future__ import annotations

import tensorflow as tf

from kerascnn.data.augment.augmentation import Augmentation, training_window, view_of_crop
from kerascnn.data.augment.crops import cut


def training_view(image: tf.Tensor, size: int, crop_fraction: float, augmentation: Augmentation, seed: tf.Tensor):
    """A random view of an image that is decoded already, float32 (size, size, 3)."""
    window = training_window(tf.shape(image)[:2], size, augmentation, seed)
    crop = image if window is None else cut(image, window)
    return view_of_crop(crop, size, crop_fraction, augmentation, seed)
