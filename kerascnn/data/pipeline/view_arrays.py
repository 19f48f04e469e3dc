"""Evaluation views of images in memory, in NumPy: what predicts one image needs no TensorFlow.

They are bit-exact those of the pipeline, `kerascnn.data.augment.augmentation.evaluation_view`; of images of floats that
become gray, to float32's rounding.
"""

from collections.abc import Sequence

import numpy as np

from kerascnn.data.pipeline.channels import LUMA
from kerascnn.image_shape import RGB, ImageSize, Size

HALF, ONE = np.float32(0.5), np.float32(1.0)


def views_of(images: Sequence[np.ndarray], size: Size, crop_fraction: float, channels: int = RGB) -> np.ndarray:
    """The evaluation views of images of any size, gray or RGB: float32 (count, height, width, channels).

    See `kerascnn.data.augment.augmentation.evaluation_view` and `kerascnn.data.pipeline.channels.with_channels`.

    Args:
        images: uint8 or float (height, width, channels) in [0, 255].
        size, crop_fraction, channels: of the views.

    Example:
        >>> views_of([np.zeros((375, 500, 3), "uint8")], 224, 0.875).shape
        (1, 224, 224, 3)
    """
    size = ImageSize.of(size)
    frame = size.frame(max(round(size.shorter / crop_fraction), size.shorter))
    return np.stack([_view(_with_channels(image, channels), size, frame) for image in images])


def _view(image: np.ndarray, size: ImageSize, frame: ImageSize) -> np.ndarray:
    sides = np.float32(image.shape[:2])
    whole = np.maximum(np.round(sides * np.max(np.float32(frame) / sides)).astype(int), frame)
    top, left = (whole - size) // 2
    # Only the rows and columns that remain are computed, the rows first, as TensorFlow does.
    rows = _resized(image, whole[0], slice(top, top + size.height))
    columns = _resized(rows.swapaxes(0, 1), whole[1], slice(left, left + size.width))
    return np.clip(columns.swapaxes(0, 1), 0.0, 255.0)


def _resized(image: np.ndarray, length: int, part: slice) -> np.ndarray:
    """A part of the rows of an image resized to `length` rows, each a mean of rows that a triangle weights.

    Everything is in float32 and in the order of TensorFlow's ScaleAndTranslate, so that every bit is the same.
    """
    step = ONE / (np.float32(length) / np.float32(len(image)))
    reach = max(step, ONE)
    centers = (np.arange(length, dtype=np.float32)[part] + HALF) * step
    first, last = (
        np.clip(bound, 0, len(image) - 1).astype(int)
        for bound in (np.ceil(centers - reach - HALF), np.floor(centers + reach - HALF))
    )
    # One row of these per row of the image that is added, in their order.
    places = first + np.arange(np.max(last - first) + 1)[:, None]
    distances = np.abs(places.astype(np.float32) + HALF - centers) * (ONE / reach)
    weights = np.where(places <= last, np.maximum(ONE - distances, 0), 0)
    weights *= ONE / weights.sum(axis=0)
    total = np.zeros((len(centers), *image.shape[1:]), np.float32)
    for some, weight in zip(np.minimum(places, len(image) - 1), weights, strict=True):
        total += image[some].astype(np.float32) * weight[:, None, None]
    return total


def _with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    if image.shape[2] == channels:
        return image
    if channels == RGB:
        return image.repeat(RGB, axis=2)
    rounding = 32768.0 if np.issubdtype(image.dtype, np.integer) else 0.0
    # Whole numbers below 2^24 are exact in float32.
    return ((image.astype(np.float32) @ np.float32(LUMA)[:, None] + rounding) / 65536.0).astype(image.dtype)
