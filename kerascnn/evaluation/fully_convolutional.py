"""Converts a classifier into a fully convolutional network for whole images.

Source: Sermanet et al., "OverFeat" (2013), section 3.4; as Simonyan and Zisserman (2014), section 3.2, and He et al.
(2015), section 3.4, evaluate.

Differences from the papers:
    Probabilities are averaged over all positions. VGG's section 3.2 averages the "class score map" and does not say
    whether before or after the softmax.
"""

from __future__ import annotations

import keras
import numpy as np

from kerascnn.errors import InputError, refused
from kerascnn.evaluation.feature_maps import flatten_model
from kerascnn.layers import Preprocessing

# Layers that give the same for a feature map as for a vector.
ELEMENTWISE = (keras.layers.Dropout, keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU)

GLOBAL_POOLINGS = {
    keras.layers.GlobalAveragePooling2D: keras.layers.AveragePooling2D,
    keras.layers.GlobalMaxPooling2D: keras.layers.MaxPooling2D,
}


def fully_convolutional(model: keras.Model) -> keras.Model:
    """A functional model with one output, from images to (batch, classes), for images of its input size or larger.

    A dense layer after a flattened 7 x 7 feature map becomes a 7 x 7 convolution, one after another dense layer a
    1 x 1 convolution. Global pooling becomes pooling with stride 1 and the window that it has at the input size. If
    the network subtracts a mean image, that is resized to the larger image.

    The new model has copies of the weights. It maps float32 (batch, height, width, channels) in [0, 255] to
    (batch, rows, columns, classes). At the input size, rows = columns = 1, and the output equals the model's except for
    the order of summation. InputError if a layer cannot be converted.

    Example:
        >>> network = kerascnn.applications.VGG16()
        >>> fully_convolutional(network)(keras.ops.zeros((1, 256, 384, 3))).shape
        TensorShape([1, 2, 6, 1000])
    """
    with refused(f"{model.name} cannot be evaluated densely"):
        return keras.models.clone_model(
            flatten_model(model),
            input_tensors=keras.Input((None, None, model.input_shape[3]), name="pixels"),
            clone_function=lambda layer: layer,
            call_function=_Converter().call,
        )


class _Converter:
    """Converts layer by layer; remembers the converted layers and the windows of tensors that were to be flattened."""

    def __init__(self):
        self._converted: dict[int, keras.Operation] = {}
        self._windows: dict[int, tuple[int, int]] = {}

    def call(self, layer: keras.Operation, *args, **kwargs):
        first = args[0] if args else None
        window = self._windows.get(id(first))
        if isinstance(layer, keras.layers.Flatten):
            # After global pooling the input is a vector already.
            self._windows[id(first)] = tuple(layer.input.shape[1:3]) if len(layer.input.shape) == 4 else (1, 1)
            return first
        dense = isinstance(layer, keras.layers.Dense)
        if not dense and window not in (None, (1, 1)) and not isinstance(layer, ELEMENTWISE):
            raise InputError(f"cannot convert the layer '{layer.name}' between a flatten and a dense layer.")
        converted = self._converted.get(id(layer))
        new = converted is None
        if new:
            converted = _convolution(layer, first.shape[-1], window or (1, 1)) if dense else _counterpart(layer)
            self._converted[id(layer)] = converted
        output = converted(first) if dense else converted(*args, **kwargs)
        # Weights exist after the first call.
        if new and isinstance(layer, keras.Layer) and layer.weights:
            pairs = zip(layer.get_weights(), converted.weights, strict=True)
            converted.set_weights([values.reshape(weight.shape) for values, weight in pairs])
        if window and not dense:
            self._windows[id(output)] = window
        return output


def _convolution(dense: keras.layers.Dense, channels: int, window: tuple[int, int]) -> keras.layers.Conv2D:
    rows = dense.kernel.shape[0]
    if rows != channels * window[0] * window[1]:
        raise InputError(
            f"the dense layer '{dense.name}' of {rows} inputs does not fit a feature map of "
            f"{window[0]} x {window[1]} x {channels}."
        )
    options = {"activation": dense.activation, "use_bias": dense.use_bias, "dtype": dense.dtype_policy}
    return keras.layers.Conv2D(dense.units, window, name=dense.name, **options)


def _counterpart(layer: keras.Operation) -> keras.Operation:
    for kind, pooling in GLOBAL_POOLINGS.items():
        if isinstance(layer, kind):
            return pooling(layer.input.shape[1:3], strides=1, dtype=layer.dtype_policy, name=layer.name)
    if isinstance(layer, Preprocessing) and (layer.contrast or layer.whitening):
        raise InputError("pixels that are normalized or whitened over a whole image fit no larger one: choose crops.")
    resized = isinstance(layer, Preprocessing) and len(layer.mean_shape) == 3
    return (_ResizedMean if resized else layer.__class__).from_config(layer.get_config())


class _ResizedMean(Preprocessing):
    """Subtracts a mean image that is resized to the input, bilinearly."""

    def call(self, inputs):
        import tensorflow as tf

        inputs = tf.cast(inputs, tf.float32)
        mean = tf.image.resize(self.mean, tf.shape(inputs)[1:3])
        return (inputs - mean) * tf.constant(1.0 / np.asarray(self.std), tf.float32)
