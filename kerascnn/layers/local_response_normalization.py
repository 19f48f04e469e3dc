"""Local response normalization across channels."""

from __future__ import annotations

import keras
import numpy as np


@keras.saving.register_keras_serializable(package="kerascnn")
class LocalResponseNormalization(keras.layers.Layer):
    """x / (k + alpha * sum of the squares of the n channels around x) ** beta.

    Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks" (2012),
    section 3.3, with its constants as defaults. alpha is not divided by n (Caffe and PyTorch divide).

    Args:
        size: n, the channels of the window, odd; fewer at the edges.
        k, alpha, beta: the constants of the formula.
        data_format: "channels_last" or "channels_first"; None for Keras' image data format.

    Shapes:
        (batch, height, width, channels), or channels first; unchanged.

    Raises:
        ValueError: `size` is even or less than 1.

    Example:
        >>> x = LocalResponseNormalization(name="norm1")(x)
    """

    def __init__(
        self,
        size: int = 5,
        k: float = 2.0,
        alpha: float = 1e-4,
        beta: float = 0.75,
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if size < 1 or size % 2 == 0:
            raise ValueError(f"LocalResponseNormalization needs an odd size, not {size}.")
        self.size, self.k, self.alpha, self.beta = size, k, alpha, beta
        self.data_format = data_format or keras.config.image_data_format()
        self.axis = 1 if self.data_format == "channels_first" else 3

    def build(self, input_shape):
        channels = np.arange(input_shape[self.axis])
        # A product with this matrix sums the window around each channel.
        self.band = (np.abs(channels[:, None] - channels) <= self.size // 2).astype("float32")

    def call(self, inputs, training=None):
        # float16 loses alpha * x**2 and overflows beyond x = 255.
        x = keras.ops.cast(inputs, "float32")
        return keras.ops.cast(self._in_training(x) if training else self._in_inference(x), inputs.dtype)

    def _in_inference(self, x):
        """The formula in operations that TFLite's XNNPACK runs, vectorized and on several threads."""
        padding = [(0, 0)] * 4
        padding[self.axis] = (self.size // 2, self.size // 2)
        squares = keras.ops.pad(keras.ops.square(x), padding)
        windows = [slice(first, first + x.shape[self.axis]) for first in range(self.size)]
        total = sum(squares[..., window] if self.axis == 3 else squares[:, window] for window in windows)
        return x * self._power(self.k + self.alpha * total)

    def _in_training(self, x):
        """The same with the windows' sums as matrix products and with their gradient, in a ninth of the CPU time."""

        @keras.ops.custom_gradient
        def normalize(x):
            base = self.k + self.alpha * self._window_sums(keras.ops.square(x))
            scale = self._power(base)
            outputs = x * scale

            def gradient(*arguments, upstream=None):
                given = arguments[0] if upstream is None else upstream
                neighbors = self._window_sums(given * outputs / base)
                return given * scale - (2.0 * self.alpha * self.beta) * x * neighbors

            return outputs, gradient

        return normalize(x)

    def _power(self, base):
        """base ** -beta; two roots are faster than a power."""
        if self.beta != 0.75:
            return base**-self.beta
        root = keras.ops.rsqrt(base)
        return root * keras.ops.sqrt(root)

    def _window_sums(self, values):
        shape = keras.ops.shape(values)
        if self.axis == 3:
            return keras.ops.reshape(keras.ops.matmul(keras.ops.reshape(values, (-1, shape[3])), self.band), shape)
        flat = keras.ops.reshape(values, (shape[0], shape[1], -1))
        return keras.ops.reshape(keras.ops.matmul(self.band, flat), shape)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = {name: getattr(self, name) for name in ("size", "k", "alpha", "beta", "data_format")}
        return {**super().get_config(), **own}
