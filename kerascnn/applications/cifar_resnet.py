"""The residual and plain networks for CIFAR.

Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition" (2015), section 4.2 and its table:

    output map size   32 x 32   16 x 16   8 x 8
    # layers            1+2n      2n        2n
    # filters            16       32        64

Differences from the paper:
    None in the layers. The moving averages of batch normalization, which the paper does not state, decay by
    0.9 a step with epsilon 1e-5; strided convolutions pad one zero on every side, as the authors' program
    does, and not by TensorFlow's "same" rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import keras

from kerascnn.applications.model_ends import Arguments
from kerascnn.applications.residual import INITIALIZER, check_shortcut, residual, unit


class Row(NamedTuple):
    """A column of the table: map size halves where the stride is 2."""

    stage: str
    filters: int
    strides: int


STAGES = (
    Row("conv2", 16, 1),  # 32 x 32 x 16
    Row("conv3", 32, 2),  # 16 x 16 x 32
    Row("conv4", 64, 2),  # 8 x 8 x 64
)

# Depth is 6n + 2: two layers a block, n blocks a stage, conv1 and the dense layer.
BLOCKS_OF_DEPTH = {20: 3, 32: 5, 44: 7, 56: 9, 110: 18}


def block(x: keras.KerasTensor, filters: int, strides: int, shortcut: str | None, name: str) -> keras.KerasTensor:
    """Two 3 x 3 convolutions, beside a shortcut in a residual network."""
    y = unit(x, filters, 3, strides=strides, name=f"{name}_1")
    if shortcut is None:
        return unit(y, filters, 3, name=f"{name}_2")
    y = unit(y, filters, 3, activation=None, name=f"{name}_2")
    return residual(x, y, strides, shortcut, name)


def _network(network: str, depth: int, shortcut: str | None, arguments: Arguments) -> keras.Model:
    start = arguments.begin(network, default_size=32, min_size=4)
    x = unit(start, 16, 3, name="conv1")
    for stage, filters, strides in STAGES:
        for number in range(1, BLOCKS_OF_DEPTH[depth] + 1):
            x = block(x, filters, strides if number == 1 else 1, shortcut, f"{stage}_{number}")
    if not arguments.include_top:
        return arguments.end_in_features(start, x)
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)  # 64
    return arguments.end(start, arguments.classifier(x, INITIALIZER))


_ARGUMENTS = """

    Args:
        include_top: whether the average pooling and the dense layer end the network.
        weights: None; there are no public weights of this network.
        input_tensor: a Keras tensor of images to build on.
        input_shape: (height, width, channels), (32, 32, 3) by default; at least 4 pixels, None is a size too.
        pooling: without the top, None (feature maps), "avg" or "max".
        classes: the number of classes.
        classifier_activation: the activation of the dense layer; None gives logits.
        name: the model's name.{shortcut}

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities.
        Weights are initialized after He et al. (2015, "Delving Deep"); there is no dropout.

    Raises:
        InputError: images too small, an unknown shortcut or pooling, weights that do not exist.

    Example:
        >>> model = kerascnn.applications.{name}(classes=10)
"""

_SHORTCUT = """
        shortcut: "A" (no parameters, the paper's choice on CIFAR), "B" or "C"."""


def _residual_member(depth: int) -> Callable[..., keras.Model]:
    """The public builder of one depth: its signature is that of keras.applications."""
    public = f"ResNet{depth}"

    def build(
        include_top: bool = True,
        weights: str | None = None,
        input_tensor: keras.KerasTensor | None = None,
        input_shape: tuple[int | None, ...] | None = None,
        pooling: str | None = None,
        classes: int = 10,
        classifier_activation: str | None = "softmax",
        name: str = public.lower(),
        *,
        shortcut: str = "A",
    ) -> keras.Model:
        check_shortcut(public, shortcut)
        arguments = Arguments(
            include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
        )
        return _network(public, depth, shortcut, arguments)

    return _published(build, public, depth, _SHORTCUT)


def _plain_member(depth: int) -> Callable[..., keras.Model]:
    """As `_residual_member`, of the network without shortcuts."""
    public = f"Plain{depth}"

    def build(
        include_top: bool = True,
        weights: str | None = None,
        input_tensor: keras.KerasTensor | None = None,
        input_shape: tuple[int | None, ...] | None = None,
        pooling: str | None = None,
        classes: int = 10,
        classifier_activation: str | None = "softmax",
        name: str = public.lower(),
    ) -> keras.Model:
        arguments = Arguments(
            include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
        )
        return _network(public, depth, None, arguments)

    return _published(build, public, depth, "")


def _published(build: Callable[..., keras.Model], public: str, depth: int, shortcut: str) -> Callable[..., keras.Model]:
    build.__name__ = build.__qualname__ = public
    kind = "without shortcuts " if not shortcut else ""
    first_line = f"{public} {kind}for 32 x 32 images (He et al., 2015, section 4.2, n = {BLOCKS_OF_DEPTH[depth]})."
    build.__doc__ = first_line + _ARGUMENTS.format(name=public, shortcut=shortcut)
    return build


ResNet20 = _residual_member(20)
ResNet32 = _residual_member(32)
ResNet44 = _residual_member(44)
ResNet56 = _residual_member(56)
ResNet110 = _residual_member(110)
Plain20 = _plain_member(20)
Plain32 = _plain_member(32)
Plain44 = _plain_member(44)
Plain56 = _plain_member(56)
