"""A classifier as a network over whole images: dense layers become convolutions.

Source: Sermanet et al., "OverFeat" (2013), section 3.4; as Simonyan and Zisserman (2014), section 3.2, and He et al.
(2015), section 3.4, evaluate.

Differences from the papers:
    The probabilities of all places are averaged, where VGG's section 3.2 averages the "class score map" and leaves open
    whether before or after the softmax: a network whose last layer is the softmax has no other scores to give.
"""

from __future__ import annotations

import keras
import numpy as np

from kerascnn.errors import InputError
from kerascnn.layers import Preprocessing

# Layers that work on every number alone, so that it does not matter whether they see a map or a vector.
ELEMENTWISE = (keras.layers.Dropout, keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU)

GLOBAL_POOLINGS = {
    keras.layers.GlobalAveragePooling2D: keras.layers.AveragePooling2D,
    keras.layers.GlobalMaxPooling2D: keras.layers.MaxPooling2D,
}


def fully_convolutional(model: keras.Model) -> keras.Model:
    """The same network over images of any size from that of its input upwards.

    A dense layer behind a flattened map of 7 x 7 becomes a convolution of 7 x 7, one behind another dense layer a
    convolution of 1 x 1. A global average becomes an average that moves over the map with the window it has at the
    input size. Where the mean that the network subtracts is an image, it is stretched over the larger one.

    Args:
        model: a functional model with one output, from square images (batch, size, size, 3) to (batch, classes).

    Returns:
        A new model with copies of the weights, from float32 (batch, height, width, 3) in [0, 255] to
        (batch, rows, columns, classes). For images of the input size there is one row and one column, which holds
        the model's own probabilities, but for the order in which a convolution sums.

    Raises:
        InputError: a layer that has no such form.

    Example:
        >>> network = kerascnn.applications.VGG16()
        >>> fully_convolutional(network)(keras.ops.zeros((1, 256, 384, 3))).shape
        TensorShape([1, 2, 6, 1000])
    """
    conversion = _Conversion()
    try:
        return keras.models.clone_model(
            model,
            input_tensors=keras.Input((None, None, 3), name="pixels"),
            clone_function=lambda layer: layer,
            call_function=conversion.call,
        )
    except InputError:
        raise
    except (ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:150].rstrip(".")
        raise InputError(f"{model.name} cannot be evaluated densely: {reason}.") from None


class _Conversion:
    """What is made of each layer, and the maps that a flattening waits to make a vector of."""

    def __init__(self):
        self._made: dict[int, keras.Operation] = {}
        self._windows: dict[int, tuple[int, int]] = {}

    def call(self, layer: keras.Operation, *args, **kwargs):
        """The new layer on the new tensors."""
        first = args[0] if args else None
        window = self._windows.get(id(first))
        if isinstance(layer, keras.layers.Flatten):
            # Behind a global pooling there is a vector already.
            self._windows[id(first)] = tuple(layer.input.shape[1:3]) if len(layer.input.shape) == 4 else (1, 1)
            return first
        if isinstance(layer, keras.layers.Dense):
            return self._once(layer, lambda: _convolution(layer, first.shape[-1], window or (1, 1)), first)
        if window not in (None, (1, 1)) and not isinstance(layer, ELEMENTWISE):
            raise InputError(
                f"the layer '{layer.name}' between a flattening and a dense layer cannot be made a convolution."
            )
        output = self._once(layer, lambda: _counterpart(layer), *args, **kwargs)
        if window:
            self._windows[id(output)] = window
        return output

    def _once(self, layer: keras.Operation, make, *args, **kwargs):
        """Makes the new layer where its first call is, with the old one's weights."""
        if id(layer) in self._made:
            return self._made[id(layer)](*args, **kwargs)
        made = self._made[id(layer)] = make()
        output = made(*args, **kwargs)
        if isinstance(layer, keras.layers.Dense):
            kernel, *bias = layer.get_weights()
            made.set_weights([kernel.reshape(made.kernel.shape), *bias])
        elif isinstance(layer, keras.Layer) and layer.weights:
            made.set_weights(layer.get_weights())
        return output


def _convolution(dense: keras.layers.Dense, channels: int, window: tuple[int, int]) -> keras.layers.Conv2D:
    rows = dense.kernel.shape[0]
    if rows != channels * window[0] * window[1]:
        raise InputError(
            f"the dense layer '{dense.name}' of {rows} inputs does not belong to a map of "
            f"{window[0]} x {window[1]} x {channels}."
        )
    return keras.layers.Conv2D(
        dense.units,
        window,
        activation=dense.activation,
        use_bias=dense.use_bias,
        dtype=dense.dtype_policy,
        name=dense.name,
    )


def _counterpart(layer: keras.Operation) -> keras.Operation:
    config = layer.get_config()
    for kind, moving in GLOBAL_POOLINGS.items():
        if isinstance(layer, kind):
            return moving(layer.input.shape[1:3], strides=1, dtype=layer.dtype_policy, name=layer.name)
    if isinstance(layer, Preprocessing) and len(layer.mean_shape) == 3:
        return _StretchedMean.from_config(config)
    return layer.__class__.from_config(config)


class _StretchedMean(Preprocessing):
    """Subtracts a mean image that is brought to the size of the images, bilinearly."""

    def call(self, inputs):
        import tensorflow as tf

        inputs = tf.cast(inputs, tf.float32)
        mean = tf.image.resize(self.mean, tf.shape(inputs)[1:3])
        return (inputs - mean) * tf.constant(1.0 / np.asarray(self.std), tf.float32)
