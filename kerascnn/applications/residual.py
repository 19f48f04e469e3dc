"""The blocks and shortcuts that the residual and plain networks share.

Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition" (2015), sections 3.3 and 3.4.
"""

import functools
from typing import Literal, get_args

import keras

from kerascnn.applications.network import check_option
from kerascnn.layers import HE_NORMAL, BatchNormalization, SubsampledIdentity, channel_axis, conv_unit

Shortcut = Literal["A", "B", "C"]

INITIALIZER = HE_NORMAL
unit = functools.partial(
    conv_unit,
    padding="symmetric",
    normalization=functools.partial(BatchNormalization, momentum=0.9, epsilon=1e-5),
    kernel_initializer=INITIALIZER,
    use_bias=False,
)


def check_shortcut(builder: str, shortcut: str) -> None:
    """Raises `InputError` where the paper has no such shortcut."""
    check_option(builder, "shortcut", shortcut, get_args(Shortcut))


def basic_block(
    x: keras.KerasTensor, filters: int, strides: int, name: str, *, shortcut: Shortcut
) -> keras.KerasTensor:
    """Figure 5, left: two 3 x 3 convolutions and a shortcut."""
    y = unit(x, filters, 3, strides=strides, name=f"{name}_1")
    y = unit(y, filters, 3, activation=None, name=f"{name}_2")
    return add_shortcut(x, y, strides, shortcut, name)


def plain_block(x: keras.KerasTensor, filters: int, strides: int, name: str) -> keras.KerasTensor:
    """Figure 3, middle: the two 3 x 3 convolutions of a basic block, without a shortcut."""
    x = unit(x, filters, 3, strides=strides, name=f"{name}_1")
    return unit(x, filters, 3, name=f"{name}_2")


def add_shortcut(
    x: keras.KerasTensor, y: keras.KerasTensor, strides: int, shortcut: Shortcut, name: str
) -> keras.KerasTensor:
    """Adds the shortcut, from the block's input `x`, to the output `y` of its convolutions; a ReLU follows.

    Section 3.3 and 4.1, option A: identity, with zeros for additional channels. B: a projection where dimensions
    change, else identity. C: projections only.
    """
    filters = y.shape[channel_axis()]
    changes = strides != 1 or x.shape[channel_axis()] != filters
    if shortcut == "C" or (shortcut == "B" and changes):
        x = unit(x, filters, 1, strides=strides, activation=None, name=f"{name}_shortcut")
    elif changes:
        x = SubsampledIdentity(filters, strides, name=f"{name}_shortcut")(x)
    y = keras.layers.Add(name=f"{name}_add")([y, x])
    return keras.layers.Activation("relu", name=f"{name}_relu")(y)
