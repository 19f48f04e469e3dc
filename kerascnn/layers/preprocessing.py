"""The scaling of pixels, as the first layer of a model."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np


@keras.saving.register_keras_serializable(package="kerascnn")
class Preprocessing(keras.layers.Layer):
    """(pixels - mean) / std, in float32 for any precision of the network.

    The mean is a weight, so that a mean image (AlexNet, CIFAR ResNets: "per-pixel mean subtracted") is stored as easily
    as three channel means. The layer also stores how an image is cropped to the input size.

    Args:
        mean_shape: () for one mean, (channels,) for one per channel, (height, width, channels) for one per pixel and
            channel; set the mean with `set_mean`.
        std: one number, or one per channel, in the units of the pixels.
        crop_fraction: evaluation resizes an image's shorter side to size / crop_fraction and cuts out its center; see
            `kerascnn.data.augment.augmentation.evaluation_view`.

    Shapes:
        float or uint8 (batch, height, width, channels) in [0, 255] to float32 of the same shape.

    Example:
        >>> layer = Preprocessing(mean_shape=(3,), std=58.0, name="preprocessing")
        >>> layer.build((None, 224, 224, 3))
        >>> layer.set_mean([123.7, 116.8, 103.9])
    """

    def __init__(
        self, mean_shape: Sequence[int] = (), std: float | Sequence[float] = 1.0, crop_fraction: float = 1.0, **kwargs
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.mean_shape, self.std, self.crop_fraction = tuple(mean_shape), std, crop_fraction

    def build(self, input_shape):
        self.mean = self.add_weight(shape=self.mean_shape, initializer="zeros", trainable=False, name="mean")

    def set_mean(self, mean) -> None:
        """Sets the mean, in the units of the pixels and of the layer's `mean_shape`."""
        self.mean.assign(np.asarray(mean, "float32").reshape(self.mean_shape))

    def call(self, inputs):
        inputs = keras.ops.cast(inputs, "float32")
        return (inputs - self.mean) * keras.ops.convert_to_tensor(1.0 / np.asarray(self.std), "float32")

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        std = self.std if np.isscalar(self.std) else [float(value) for value in self.std]
        own = {"mean_shape": list(self.mean_shape), "std": std, "crop_fraction": self.crop_fraction}
        return {**super().get_config(), **own}
