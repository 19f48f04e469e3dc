"""The residual and plain networks for ImageNet.

Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition" (2015), section 3.3 and table 1.

Differences from the paper:
    None in the layers. The moving averages of batch normalization, which the paper does not state, decay by 0.9 a
    step with epsilon 1e-5. Strided convolutions and the first max pool pad the same number of zeros on every side, as
    the authors' program does, and not by TensorFlow's "same" rule. `stride_in="3x3"` moves the stride of a
    bottleneck from its first 1 x 1 convolution, where the paper has it, to its 3 x 3 one, as later practice has it
    ("v1.5"). Some printings give 51 and 151 layers; they are 50 and 152.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import keras

from kerascnn.applications.model_ends import Arguments
from kerascnn.applications.residual import INITIALIZER, check_shortcut, residual, unit
from kerascnn.errors import InputError


class Row(NamedTuple):
    """A column of table 1: blocks of each stage, and whether they are bottlenecks."""

    conv2: int
    conv3: int
    conv4: int
    conv5: int
    bottleneck: bool


# fmt: off
TABLE = {
    #         56  28  14   7
    18:  Row( 2,  2,  2,  2, bottleneck=False),
    34:  Row( 3,  4,  6,  3, bottleneck=False),
    50:  Row( 3,  4,  6,  3, bottleneck=True),
    101: Row( 3,  4, 23,  3, bottleneck=True),
    152: Row( 3,  8, 36,  3, bottleneck=True),
}
# fmt: on

# Filters of the 3 x 3 convolutions of each stage; a bottleneck ends in four times as many.
FILTERS = {"conv2": 64, "conv3": 128, "conv4": 256, "conv5": 512}
EXPANSION = 4

STRIDES_IN = ("1x1", "3x3")


def basic_block(x: keras.KerasTensor, filters: int, strides: int, shortcut: str | None, name: str):
    """Figure 5, left: two 3 x 3 convolutions, beside a shortcut in a residual network."""
    y = unit(x, filters, 3, strides=strides, name=f"{name}_1")
    if shortcut is None:
        return unit(y, filters, 3, name=f"{name}_2")
    y = unit(y, filters, 3, activation=None, name=f"{name}_2")
    return residual(x, y, strides, shortcut, name)


def bottleneck(x: keras.KerasTensor, filters: int, strides: int, shortcut: str, stride_in: str, name: str):
    """Figure 5, right: 1 x 1 down, 3 x 3, 1 x 1 up, beside a shortcut."""
    first, second = (strides, 1) if stride_in == "1x1" else (1, strides)
    y = unit(x, filters, 1, strides=first, name=f"{name}_1")
    y = unit(y, filters, 3, strides=second, name=f"{name}_2")
    y = unit(y, EXPANSION * filters, 1, activation=None, name=f"{name}_3")
    return residual(x, y, strides, shortcut, name)


def _network(network: str, depth: int, shortcut: str | None, stride_in: str, arguments: Arguments) -> keras.Model:
    start = arguments.begin(network, default_size=224, min_size=32)
    x = unit(start, 64, 7, strides=2, name="conv1")  # 112 x 112 x 64
    x = keras.layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool1")(x)  # 56 x 56 x 64
    row = TABLE[depth]
    for stage, filters in FILTERS.items():
        for number in range(1, getattr(row, stage) + 1):
            strides = 2 if number == 1 and stage != "conv2" else 1
            name = f"{stage}_{number}"
            if row.bottleneck:
                x = bottleneck(x, filters, strides, shortcut, stride_in, name)
            else:
                x = basic_block(x, filters, strides, shortcut, name)
    if not arguments.include_top:
        return arguments.end_in_features(start, x)
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)  # 512, or 2048 of bottlenecks
    return arguments.end(start, arguments.classifier(x, INITIALIZER))


_ARGUMENTS = """

    Args:
        include_top: whether the average pooling and the dense layer end the network.
        weights: None; train it or load a file of your own.
        input_tensor: a Keras tensor of images to build on.
        input_shape: (height, width, channels), (224, 224, 3) by default; at least 32 pixels, None is a size too.
        pooling: without the top, None (feature maps), "avg" or "max".
        classes: the number of classes.
        classifier_activation: the activation of the dense layer; None gives logits.
        name: the model's name.{extras}

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities.
        Weights are initialized after He et al. (2015, "Delving Deep"); there is no dropout.

    Raises:
        InputError: images too small, an unknown shortcut, stride or pooling, weights that do not exist.

    Example:
        >>> model = kerascnn.applications.{name}(classes=10)
"""

_SHORTCUT = """
        shortcut: "A" (zeros for new channels), "B" (projections where dimensions change) or "C" (projections only)."""

_STRIDE_IN = """
        stride_in: "1x1", the paper's, or "3x3": the convolution of a bottleneck that carries the stride."""


def _basic_member(depth: int) -> Callable[..., keras.Model]:
    """The public builder of a residual network of basic blocks: its signature is that of keras.applications."""
    public = f"ResNet{depth}"

    def build(
        include_top: bool = True,
        weights: str | None = None,
        input_tensor: keras.KerasTensor | None = None,
        input_shape: tuple[int | None, ...] | None = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: str | None = "softmax",
        name: str = public.lower(),
        *,
        shortcut: str = "B",
    ) -> keras.Model:
        check_shortcut(public, shortcut)
        arguments = Arguments(
            include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
        )
        return _network(public, depth, shortcut, "1x1", arguments)

    return _published(build, public, _SHORTCUT)


def _bottleneck_member(depth: int) -> Callable[..., keras.Model]:
    """As `_basic_member`, of bottlenecks."""
    public = f"ResNet{depth}"

    def build(
        include_top: bool = True,
        weights: str | None = None,
        input_tensor: keras.KerasTensor | None = None,
        input_shape: tuple[int | None, ...] | None = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: str | None = "softmax",
        name: str = public.lower(),
        *,
        shortcut: str = "B",
        stride_in: str = "1x1",
    ) -> keras.Model:
        check_shortcut(public, shortcut)
        if stride_in not in STRIDES_IN:
            raise InputError(f"{public} has its stride in '1x1' or '3x3', not {stride_in!r}.")
        arguments = Arguments(
            include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
        )
        return _network(public, depth, shortcut, stride_in, arguments)

    return _published(build, public, _SHORTCUT + _STRIDE_IN)


def _plain_member(depth: int) -> Callable[..., keras.Model]:
    """As `_basic_member`, without shortcuts."""
    public = f"Plain{depth}"

    def build(
        include_top: bool = True,
        weights: str | None = None,
        input_tensor: keras.KerasTensor | None = None,
        input_shape: tuple[int | None, ...] | None = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: str | None = "softmax",
        name: str = public.lower(),
    ) -> keras.Model:
        arguments = Arguments(
            include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
        )
        return _network(public, depth, None, "1x1", arguments)

    return _published(build, public, "")


def _published(build: Callable[..., keras.Model], public: str, extras: str) -> Callable[..., keras.Model]:
    build.__name__ = build.__qualname__ = public
    first_line = f"{public} for 224 x 224 images (He et al., 2015, table 1)."
    build.__doc__ = first_line + _ARGUMENTS.format(name=public, extras=extras)
    return build


ResNet18 = _basic_member(18)
ResNet34 = _basic_member(34)
ResNet50 = _bottleneck_member(50)
ResNet101 = _bottleneck_member(101)
ResNet152 = _bottleneck_member(152)
Plain18 = _plain_member(18)
Plain34 = _plain_member(34)
