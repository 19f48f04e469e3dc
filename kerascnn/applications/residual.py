"""What all residual networks share: their unit and their shortcuts.

Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition" (2015), sections 3.3 and 3.4.
"""

from __future__ import annotations

import functools

import keras

from kerascnn.applications.builder import Network
from kerascnn.errors import InputError
from kerascnn.layers import HE_NORMAL, BatchNormalization, SubsampledIdentity, channel_axis, conv_unit

SHORTCUTS = ("A", "B", "C")

INITIALIZER = HE_NORMAL
normalization = functools.partial(BatchNormalization, momentum=0.9, epsilon=1e-5)
unit = functools.partial(
    conv_unit, padding="symmetric", normalization=normalization, kernel_initializer=INITIALIZER, use_bias=False
)


def check_shortcut(network: str, shortcut: str) -> None:
    """Refuses options that the paper does not have.

    Raises:
        InputError: the shortcut is none of "A", "B", "C".
    """
    if shortcut not in SHORTCUTS:
        raise InputError(f"{network} has shortcuts 'A', 'B' and 'C', not {shortcut!r}.")


def residual(x: keras.KerasTensor, y: keras.KerasTensor, strides: int, shortcut: str, name: str) -> keras.KerasTensor:
    """The block's layers `y` beside a shortcut from its input `x`; the last rectification follows the addition.

    Option A: identity, zeros for new channels. B: projection where dimensions change. C: projections only.
    """
    filters = y.shape[channel_axis()]
    changes = strides != 1 or x.shape[channel_axis()] != filters
    if shortcut == "C" or (shortcut == "B" and changes):
        x = unit(x, filters, 1, strides=strides, activation=None, name=f"{name}_shortcut")
    elif changes:
        x = SubsampledIdentity(filters, strides, name=f"{name}_shortcut")(x)
    y = keras.layers.Add(name=f"{name}_add")([y, x])
    return keras.layers.Activation("relu", name=f"{name}_relu")(y)


def basic_block(x: keras.KerasTensor, filters: int, strides: int, shortcut: str | None, name: str) -> keras.KerasTensor:
    """Figure 5, left: two 3 x 3 convolutions, beside a shortcut in a residual network."""
    y = unit(x, filters, 3, strides=strides, name=f"{name}_1")
    if shortcut is None:
        return unit(y, filters, 3, name=f"{name}_2")
    y = unit(y, filters, 3, activation=None, name=f"{name}_2")
    return residual(x, y, strides, shortcut, name)


def ended(x: keras.KerasTensor, network: Network) -> keras.KerasTensor:
    """The last feature maps as features, or averaged and classified."""
    if not network.include_top:
        return network.features(x)
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    return network.classifier(x, INITIALIZER)


# The docstring of the public builders, but for `builder`'s own braces.
DOCUMENTATION = """{{name}} {what} (He et al., 2015, {where}).

    Args:
        {{common}}{extras}

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities.
        Weights are initialized after He et al. (2015, "Delving Deep"); there is no dropout.

    Raises:
        InputError: images too small, an unknown shortcut, stride, pooling or dtype, a weight file that does not fit.

    Example:
        >>> model = kerascnn.applications.{{name}}(classes=10)
    """
