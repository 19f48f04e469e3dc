"""The scaling of pixels, as the first layer of a model."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

# A norm or standard deviation that counts as none: of images of one color.
TINY = 1e-8


@keras.saving.register_keras_serializable(package="kerascnn")
class Preprocessing(keras.layers.Layer):
    """(pixels - mean) / std, then contrast normalization and whitening if requested; float32 in any precision.

    The mean is a weight, so that a mean image (AlexNet, CIFAR ResNets: "per-pixel mean subtracted") is stored as easily
    as three channel means; so is what whitening has learned of the training images. The layer also stores how an image
    is cropped to the input size.

    Args:
        mean_shape: () for one mean, (channels,) for one per channel, (height, width, channels) for one per pixel and
            channel; set the mean with `set_mean`.
        std: one number, or one per channel, in the units of the pixels.
        crop_fraction: evaluation resizes an image's shorter side to size / crop_fraction and cuts out its center; see
            `kerascnn.data.augment.augmentation.evaluation_view`.
        contrast: the Euclidean norm of every image after its own mean was subtracted: global contrast normalization; 0
            for none.
        whitening: of ZCA, the addend to the eigenvalues that it was fitted with, see the recipe's `Pixels`; 0 for no
            whitening. Set its matrix with `set_whitening`.

    Shapes:
        float or uint8 (batch, height, width, channels) in [0, 255] to float32 of the same shape. Height and width must
        be known for contrast normalization and whitening.

    Example:
        >>> layer = Preprocessing(mean_shape=(3,), std=58.0, name="preprocessing")
        >>> layer.build((None, 224, 224, 3))
        >>> layer.set_mean([123.7, 116.8, 103.9])
    """

    def __init__(
        self,
        mean_shape: Sequence[int] = (),
        std: float | Sequence[float] = 1.0,
        crop_fraction: float = 1.0,
        contrast: float = 0.0,
        whitening: float = 0.0,
        **kwargs,
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.mean_shape, self.std, self.crop_fraction = tuple(mean_shape), std, crop_fraction
        self.contrast, self.whitening = contrast, whitening

    def build(self, input_shape):
        self.mean = self.add_weight(shape=self.mean_shape, initializer="zeros", trainable=False, name="mean")
        if self.whitening:
            count = int(np.prod(input_shape[1:]))
            weight = {"trainable": False, "initializer": "zeros"}
            self.whitening_matrix = self.add_weight(shape=(count, count), name="whitening_matrix", **weight)
            self.whitening_bias = self.add_weight(shape=(count,), name="whitening_bias", **weight)

    def set_mean(self, mean) -> None:
        """Sets the mean, in the units of the pixels and of the layer's `mean_shape`."""
        self.mean.assign(np.asarray(mean, "float32").reshape(self.mean_shape))

    def set_whitening(self, mean, matrix) -> None:
        """Sets whitening to (values - mean) matrix, of the flattened image, (values,) and (values, values)."""
        self.whitening_matrix.assign(matrix)
        self.whitening_bias.assign(-np.asarray(mean) @ np.asarray(matrix))

    def normalized(self, inputs):
        """What is whitened: the scaled pixels, with their contrast normalized."""
        inputs = keras.ops.cast(inputs, "float32")
        scaled = (inputs - self.mean) * keras.ops.convert_to_tensor(1.0 / np.asarray(self.std), "float32")
        if not self.contrast:
            return scaled
        axes = tuple(range(1, len(inputs.shape)))
        centered = scaled - keras.ops.mean(scaled, axis=axes, keepdims=True)
        norm = keras.ops.sqrt(keras.ops.sum(keras.ops.square(centered), axis=axes, keepdims=True))
        return centered * (self.contrast / keras.ops.maximum(norm, TINY))

    def call(self, inputs):
        values = self.normalized(inputs)
        if not self.whitening:
            return values
        shape = values.shape[1:]
        flat = keras.ops.reshape(values, (-1, self.whitening_bias.shape[0]))
        return keras.ops.reshape(keras.ops.matmul(flat, self.whitening_matrix) + self.whitening_bias, (-1, *shape))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        std = self.std if np.isscalar(self.std) else [float(value) for value in self.std]
        own = {"mean_shape": list(self.mean_shape), "std": std, "crop_fraction": self.crop_fraction}
        # Files of models without them are as before.
        extra = {name: value for name in ("contrast", "whitening") if (value := getattr(self, name))}
        return {**super().get_config(), **own, **extra}
