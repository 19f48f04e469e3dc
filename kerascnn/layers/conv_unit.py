"""Convolution, normalization, activation: the unit of all networks here, with its initializer and channel axis."""

from __future__ import annotations

from collections.abc import Callable

import keras

from kerascnn.layers.product_gradient import product_gradient

# He, Zhang, Ren and Sun, "Delving Deep into Rectifiers" (2015), section 2.2: zero-mean Gaussian, variance 2 / fan-in.
# Keras' "he_normal" truncates the tails, which takes twice as long. A config, so that every layer gets a new seed.
HE_NORMAL = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_in", "distribution": "untruncated_normal"},
}


def channels_first() -> bool:
    """Whether images are (batch, channels, height, width) in Keras' image data format."""
    return keras.config.image_data_format() == "channels_first"


def channel_axis() -> int:
    """The axis of the channels: 1 or 3."""
    return 1 if channels_first() else 3


def activation_layer(x: keras.KerasTensor, activation: str, name: str) -> keras.KerasTensor:
    """The layer `name_activation` of Keras' activations, or of "prelu".

    A PReLU (He et al., 2015, "Delving Deep") has one slope per channel of maps and per unit of vectors, initially 0.25.

    Example:
        >>> x = activation_layer(x, "prelu", "fc1")
    """
    if activation != "prelu":
        return keras.layers.Activation(activation, name=f"{name}_{activation}")(x)
    positions = () if len(x.shape) == 2 else (2, 3) if channels_first() else (1, 2)
    slope = keras.initializers.Constant(0.25)
    return keras.layers.PReLU(alpha_initializer=slope, shared_axes=positions, name=f"{name}_prelu")(x)


def conv_unit(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int | tuple[int, int],
    *,
    name: str,
    strides: int = 1,
    padding: str = "same",
    normalization: Callable[..., keras.layers.Layer] | None = None,
    activation: str | None = "relu",
    **convolution,
) -> keras.KerasTensor:
    """A convolution named `name`, followed by `name_bn` and `name_relu` if requested.

    Builders bind the arguments of a whole network (normalization, initializer, bias) with `functools.partial`.

    Args:
        x: (batch, height, width, channels), or channels first if that is Keras' image data format.
        filters, kernel_size, strides: of the convolution.
        padding: "same" (TensorFlow's rule), "valid", or "symmetric": (kernel - 1) / 2 zeros on every side, as in the
            papers' programs, which differs from "same" for strides above 1.
        normalization: creates the layer between convolution and activation from `axis` and `name`; the convolution
            then has no bias unless `use_bias=True` is passed.
        activation: the activation's name, "prelu" among them; None for a linear unit.
        convolution: passed to `keras.layers.Conv2D`.

    Returns:
        The unit's output.

    Example:
        >>> x = conv_unit(x, 64, 3, name="conv1_1")
    """
    if padding == "symmetric":
        border = (kernel_size - 1) // 2 if isinstance(kernel_size, int) else tuple((k - 1) // 2 for k in kernel_size)
        if strides != 1 and border:
            x = keras.layers.ZeroPadding2D(border, name=f"{name}_pad")(x)
        padding = "same" if strides == 1 else "valid"
    convolution.setdefault("use_bias", normalization is None)
    layer = keras.layers.Conv2D(filters, kernel_size, strides=strides, padding=padding, name=name, **convolution)
    x = product_gradient(layer)(x)
    if normalization is not None:
        x = normalization(axis=channel_axis(), name=f"{name}_bn")(x)
    if activation is not None:
        x = activation_layer(x, activation, name)
    return x
