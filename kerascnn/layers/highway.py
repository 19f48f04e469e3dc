"""The highway layer, of Keras' own layers."""

from __future__ import annotations

import keras

from kerascnn.layers.conv_unit import conv_unit


def highway_conv(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int,
    *,
    name: str,
    gate_bias: float,
    activation: str = "relu",
    **convolution,
) -> keras.KerasTensor:
    """A convolutional highway layer (Srivastava et al., "Highway Networks", 2015): H(x) T(x) + x (1 - T(x)).

    H is the convolution `name` with its activation, T the convolution `name_gate` with a sigmoid. They are mixed as
    x + T(x) (H(x) - x), by the layers `name_change`, `name_gated` and `name_highway`, the output. A model of them is
    opened by Keras alone.

    Args:
        x: (batch, height, width, filters), or channels first if that is Keras' image data format.
        filters: those of x.
        kernel_size, convolution: of both convolutions, as for `conv_unit`.
        activation: of H.
        gate_bias: the initial bias of T; with a negative one, the layer begins by passing most of x on.

    Returns:
        A tensor of the shape of `x`.

    Example:
        >>> x = highway_conv(x, 32, 3, name="conv2", gate_bias=-2.0)
    """
    changed = conv_unit(x, filters, kernel_size, name=name, activation=activation, **convolution)
    bias = keras.initializers.Constant(gate_bias)
    gate = conv_unit(
        x, filters, kernel_size, name=f"{name}_gate", activation="sigmoid", bias_initializer=bias, **convolution
    )
    change = keras.layers.Subtract(name=f"{name}_change")([changed, x])
    gated = keras.layers.Multiply(name=f"{name}_gated")([gate, change])
    return keras.layers.Add(name=f"{name}_highway")([x, gated])
