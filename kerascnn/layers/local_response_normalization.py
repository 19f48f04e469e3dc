"""Local response normalization across channels."""

from __future__ import annotations

import functools
from typing import NamedTuple

import keras

from kerascnn.keras_internals import with_gradient
from kerascnn.lazy_tensorflow import tf


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

    def call(self, inputs, training=None):
        formula = _Formula(self.size, self.k, self.alpha, self.beta, self.axis)
        if not training or keras.backend.backend() != "tensorflow":
            return formula.values(inputs)

        def gradient(x, upstream):
            products = _compiled("products")(formula, x, upstream)
            return [_compiled("gradient")(formula, x, upstream, products)]

        return with_gradient(functools.partial(_compiled("values"), formula), gradient, tf.convert_to_tensor(inputs))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = {name: getattr(self, name) for name in ("size", "k", "alpha", "beta", "data_format")}
        return {**super().get_config(), **own}


class _Formula(NamedTuple):
    """x * base ** -beta for base = k + alpha * the window's sum of x ** 2; float32 inside.

    float16 would lose alpha * x ** 2 and overflow beyond x = 255. Slices, sums and roots are what TFLite's XNNPACK
    runs, vectorized and on several threads, and what XLA makes one loop of.
    """

    size: int
    k: float
    alpha: float
    beta: float
    axis: int

    def values(self, x):
        """x, normalized."""
        wide, _, factor = self._factors(x)
        return keras.ops.cast(wide * factor, x.dtype)

    def products(self, x, upstream):
        """What the gradient sums over windows. Compiled together with the sums, it would be computed for each slice."""
        wide, base, factor = self._factors(x)
        return keras.ops.cast(upstream, "float32") * wide * factor / base

    def gradient(self, x, upstream, products):
        """The gradient by x."""
        wide, _, factor = self._factors(x)
        neighbors = (2.0 * self.alpha * self.beta) * wide * self._window_sums(products)
        return keras.ops.cast(keras.ops.cast(upstream, "float32") * factor - neighbors, x.dtype)

    def _factors(self, x):
        """x in float32, base, and base ** -beta, for which two roots are faster than a power."""
        wide = keras.ops.cast(x, "float32")
        base = self.k + self.alpha * self._window_sums(keras.ops.square(wide))
        if self.beta != 0.75:
            return wide, base, base**-self.beta
        root = keras.ops.rsqrt(base)
        return wide, base, root * keras.ops.sqrt(root)

    def _window_sums(self, values):
        padding = [(0, 0)] * 4
        padding[self.axis] = (self.size // 2, self.size // 2)
        padded, channels = keras.ops.pad(values, padding), values.shape[self.axis]
        windows = [slice(first, first + channels) for first in range(self.size)]
        return sum(padded[..., window] if self.axis == 3 else padded[:, window] for window in windows)


@functools.cache
def _compiled(method: str):
    """A method of the formula as one loop, in a third of the time of TensorFlow's operations one by one."""
    return tf.function(getattr(_Formula, method), autograph=False, jit_compile=True)
