"""Spatial pyramid pooling: as many features from a map of any size."""

from __future__ import annotations

import numbers
from collections.abc import Sequence

import keras

from kerascnn.errors import InputError


@keras.saving.register_keras_serializable(package="kerascnn")
class SpatialPyramidPooling(keras.layers.Layer):
    """Maxima over grids of bins (He et al., "Spatial Pyramid Pooling", 2014, section 2.2).

    Bin i of n along an axis of a positions reaches from floor(a i / n) to ceil(a (i + 1) / n), so that the bins cover
    the map, whatever its size. `keras.layers.AdaptiveMaxPooling2D` has the same bins, and ends the process where one
    bin is a whole axis.

    Args:
        bins: the bins per side of every level.
        data_format: "channels_last" or "channels_first"; None for Keras' image data format.

    Raises:
        InputError: bins that are no whole numbers above 0, or maps whose size is not known.

    Shapes:
        (batch, height, width, channels) of known size, or channels first, to (batch, features): for every level, and
        every bin of it row by row, all channels.

    Example:
        >>> SpatialPyramidPooling((7, 3, 2, 1))(x).shape  # of 256 channels
        (None, 16128)
    """

    def __init__(self, bins: Sequence[int], data_format: str | None = None, **kwargs):
        super().__init__(**kwargs)
        self.bins = tuple(bins)
        if not self.bins or not all(isinstance(count, numbers.Integral) and count > 0 for count in self.bins):
            raise InputError(f"SpatialPyramidPooling takes whole numbers above 0 as bins, not {bins}.")
        self.data_format = data_format or keras.config.image_data_format()

    def build(self, input_shape):
        if len(input_shape) != 4 or None in input_shape[1:]:
            raise InputError(f"SpatialPyramidPooling '{self.name}' needs maps of a known size, not {input_shape}.")

    def call(self, inputs):
        if self.data_format == "channels_first":
            inputs = keras.ops.transpose(inputs, (0, 2, 3, 1))
        levels = [_maxima(_maxima(inputs, count, axis=1), count, axis=2) for count in self.bins]
        channels = inputs.shape[-1]
        rows = [keras.ops.reshape(level, (-1, n * n * channels)) for n, level in zip(self.bins, levels, strict=True)]
        return keras.ops.concatenate(rows, axis=-1)

    def compute_output_shape(self, input_shape):
        channels = input_shape[1 if self.data_format == "channels_first" else 3]
        return input_shape[0], channels * sum(count**2 for count in self.bins)

    def get_config(self):
        return {**super().get_config(), "bins": list(self.bins), "data_format": self.data_format}


def _maxima(maps, count: int, axis: int):
    """The maximum over each of `count` bins along an axis."""
    size = maps.shape[axis]
    if size % count == 0:
        window = [1, 1]
        window[axis - 1] = size // count
        return keras.ops.max_pool(maps, tuple(window), tuple(window), data_format="channels_last")
    found = []
    for number in range(count):
        part = [slice(None)] * 4
        part[axis] = slice(size * number // count, -(-size * (number + 1) // count))
        found.append(keras.ops.max(maps[tuple(part)], axis=axis, keepdims=True))
    return keras.ops.concatenate(found, axis=axis)
