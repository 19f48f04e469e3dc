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

import functools
from collections.abc import Callable
from typing import NamedTuple

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.builder import Builder, Network, builder
from kerascnn.applications.residual import DOCUMENTATION, basic_block, check_shortcut, ended, residual, unit
from kerascnn.errors import InputError


class Row(NamedTuple):
    """A column of table 1: blocks of each stage."""

    conv2: int
    conv3: int
    conv4: int
    conv5: int


# fmt: off
TABLE = {
    #         56  28  14   7
    18:  Row( 2,  2,  2,  2),  # basic blocks
    34:  Row( 3,  4,  6,  3),  # basic blocks
    50:  Row( 3,  4,  6,  3),  # bottlenecks
    101: Row( 3,  4, 23,  3),  # bottlenecks
    152: Row( 3,  8, 36,  3),  # bottlenecks
}
# fmt: on

# Filters of the 3 x 3 convolutions of each stage; a bottleneck ends in four times as many.
FILTERS = {"conv2": 64, "conv3": 128, "conv4": 256, "conv5": 512}
EXPANSION = 4

STRIDES_IN = ("1x1", "3x3")


def bottleneck(
    x: keras.KerasTensor, filters: int, strides: int, shortcut: str, stride_in: str, name: str
) -> keras.KerasTensor:
    """Figure 5, right: 1 x 1 down, 3 x 3, 1 x 1 up, beside a shortcut."""
    first, second = (strides, 1) if stride_in == "1x1" else (1, strides)
    y = unit(x, filters, 1, strides=first, name=f"{name}_1")
    y = unit(y, filters, 3, strides=second, name=f"{name}_2")
    y = unit(y, EXPANSION * filters, 1, activation=None, name=f"{name}_3")
    return residual(x, y, strides, shortcut, name)


def _layers(network: Network, depth: int, block: Callable[..., keras.KerasTensor]) -> keras.KerasTensor:
    """A column of the table, of `block`s that take their input, filters, strides and name."""
    x = unit(network.images(), 64, 7, strides=2, name="conv1")  # 112 x 112 x 64
    x = keras.layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool1")(x)  # 56 x 56 x 64
    for stage, filters in FILTERS.items():
        for number in range(1, getattr(TABLE[depth], stage) + 1):
            x = block(x, filters, 2 if number == 1 and stage != "conv2" else 1, name=f"{stage}_{number}")
    return ended(x, network)


_SHORTCUT = """
        shortcut: "A" (zeros for new channels), "B" (projections where dimensions change) or "C" (projections only)."""

_STRIDE_IN = """
        stride_in: "1x1", the paper's, or "3x3": the convolution of a bottleneck that carries the stride."""

described = functools.partial(DOCUMENTATION.format, what="for 224 x 224 images", where="table 1")
for_imagenet = functools.partial(builder, size=224, min_size=32)


def _of_basic_blocks(depth: int) -> Builder:
    def layers(network: Network, *, shortcut: str = "B") -> keras.KerasTensor:
        check_shortcut(network.public, shortcut)
        return _layers(network, depth, functools.partial(basic_block, shortcut=shortcut))

    layers.__doc__ = described(extras=_SHORTCUT)
    return for_imagenet(public=f"ResNet{depth}")(layers)


def _of_bottlenecks(depth: int) -> Builder:
    def layers(network: Network, *, shortcut: str = "B", stride_in: str = "1x1") -> keras.KerasTensor:
        check_shortcut(network.public, shortcut)
        if stride_in not in STRIDES_IN:
            raise InputError(f"{network.public} has its stride in '1x1' or '3x3', not {stride_in!r}.")
        return _layers(network, depth, functools.partial(bottleneck, shortcut=shortcut, stride_in=stride_in))

    layers.__doc__ = described(extras=_SHORTCUT + _STRIDE_IN)
    return for_imagenet(public=f"ResNet{depth}")(layers)


def _plain(depth: int) -> Builder:
    def layers(network: Network) -> keras.KerasTensor:
        return _layers(network, depth, functools.partial(basic_block, shortcut=None))

    layers.__doc__ = described(extras="")
    return for_imagenet(public=f"Plain{depth}")(layers)


ResNet18 = _of_basic_blocks(18)
ResNet34 = _of_basic_blocks(34)
ResNet50 = _of_bottlenecks(50)
ResNet101 = _of_bottlenecks(101)
ResNet152 = _of_bottlenecks(152)
Plain18 = _plain(18)
Plain34 = _plain(34)

preprocess_input, decode_predictions = preprocessing.of_family("resnet50")
