"""Maxout units, of Keras' own layers: the maximum of several convolutions or dense layers."""

from __future__ import annotations

import functools
from collections.abc import Callable

import keras

from kerascnn.errors import InputError
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

    Raises:
        InputError: fewer pieces than 2.

    Example:
        >>> x = maxout_conv(x, 32, 3, pieces=2, name="conv1")
    """
    linear = functools.partial(conv_unit, x, filters, kernel_size, activation=None, **convolution)
    return _largest(lambda piece: linear(name=piece), pieces, name)


def maxout_dense(x: keras.KerasTensor, units: int, pieces: int, *, name: str, **dense) -> keras.KerasTensor:
    """A maxout layer: the maximum of `pieces` dense layers `name_1`, `name_2`, … of (batch, features).

    `dense` are arguments of `keras.layers.Dense`; otherwise as `maxout_conv`.

    Example:
        >>> x = maxout_dense(x, 500, pieces=5, name="fc")
    """
    return _largest(lambda piece: keras.layers.Dense(units, name=piece, **dense)(x), pieces, name)


def _largest(piece: Callable[[str], keras.KerasTensor], pieces: int, name: str) -> keras.KerasTensor:
    """The maximum of `pieces` layers, each of which `piece` makes of its name."""
    if pieces < 2:
        raise InputError(f"the maxout layer '{name}' is the maximum of at least 2 pieces, not of {pieces}.")
    return keras.layers.Maximum(name=name)([piece(f"{name}_{number}") for number in range(1, pieces + 1)])
