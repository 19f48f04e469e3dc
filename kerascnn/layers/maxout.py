"""Maxout units, of Keras' own layers: the maximum of several convolutions or dense layers."""

from __future__ import annotations

import keras

from kerascnn.layers.conv_unit import conv_unit


def maxout_conv(
    x: keras.KerasTensor, filters: int, kernel_size: int, pieces: int, *, name: str, **convolution
) -> keras.KerasTensor:
    """A maxout convolution (Goodfellow et al., "Maxout Networks", 2013): the maximum of `pieces` linear convolutions.

    Its layers are the convolutions `name_1`, `name_2`, …, and `name`, their maximum. A model of them is opened by Keras
    alone.

    Args:
        x: (batch, height, width, channels), or channels first if that is Keras' image data format.
        filters, kernel_size, convolution: of each convolution, as for `conv_unit`.
        pieces: the number of convolutions, at least 2.

    Returns:
        A tensor with `filters` channels.

    Example:
        >>> x = maxout_conv(x, 32, 3, pieces=2, name="conv1")
    """
    pieces_of_x = [
        conv_unit(x, filters, kernel_size, name=f"{name}_{number}", activation=None, **convolution)
        for number in range(1, pieces + 1)
    ]
    return keras.layers.Maximum(name=name)(pieces_of_x)


def maxout_dense(x: keras.KerasTensor, units: int, pieces: int, *, name: str, **dense) -> keras.KerasTensor:
    """A maxout layer: the maximum of `pieces` dense layers `name_1`, `name_2`, … of (batch, features).

    `dense` are arguments of `keras.layers.Dense`; otherwise as `maxout_conv`.

    Example:
        >>> x = maxout_dense(x, 500, pieces=5, name="fc")
    """
    numbers = range(1, pieces + 1)
    return keras.layers.Maximum(name=name)(
        [keras.layers.Dense(units, name=f"{name}_{number}", **dense)(x) for number in numbers]
    )
