"""Local response normalization across channels."""

from __future__ import annotations

import keras


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

    def call(self, inputs):
        # float16 loses alpha * x**2 and overflows beyond x = 255.
        x = keras.ops.cast(inputs, "float32")
        axis = 1 if self.data_format == "channels_first" else 3
        padding = [(0, 0)] * 4
        padding[axis] = (self.size // 2, self.size // 2)
        squares = keras.ops.pad(keras.ops.square(x), padding)
        windows = [slice(first, first + x.shape[axis]) for first in range(self.size)]
        total = sum(squares[..., window] if axis == 3 else squares[:, window] for window in windows)
        return keras.ops.cast(x * (self.k + self.alpha * total) ** -self.beta, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = {name: getattr(self, name) for name in ("size", "k", "alpha", "beta", "data_format")}
        return {**super().get_config(), **own}
