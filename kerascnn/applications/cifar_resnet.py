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

import functools
from typing import NamedTuple

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.builder import Builder, Network, builder
from kerascnn.applications.residual import DOCUMENTATION, basic_block, check_shortcut, ended, unit


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
BLOCKS_OF_DEPTH = {20: 3, 32: 5, 44: 7, 56: 9, 110: 18, 1202: 200}


def _layers(network: Network, depth: int, shortcut: str | None) -> keras.KerasTensor:
    x = unit(network.images(), 16, 3, name="conv1")
    for stage, filters, strides in STAGES:
        for number in range(1, BLOCKS_OF_DEPTH[depth] + 1):
            x = basic_block(x, filters, strides if number == 1 else 1, shortcut, f"{stage}_{number}")
    return ended(x, network)


_SHORTCUT = """
        shortcut: "A" (no parameters, the paper's choice on CIFAR), "B" or "C"."""

WHERE = "section 4.2, n = "

for_cifar = functools.partial(builder, size=32, min_size=4, classes=10)


def _residual(depth: int) -> Builder:
    def layers(network: Network, *, shortcut: str = "A") -> keras.KerasTensor:
        check_shortcut(network.public, shortcut)
        return _layers(network, depth, shortcut)

    layers.__doc__ = DOCUMENTATION.format(
        what="for 32 x 32 images", where=f"{WHERE}{BLOCKS_OF_DEPTH[depth]}", extras=_SHORTCUT
    )
    return for_cifar(public=f"ResNet{depth}")(layers)


def _plain(depth: int) -> Builder:
    def layers(network: Network) -> keras.KerasTensor:
        return _layers(network, depth, None)

    layers.__doc__ = DOCUMENTATION.format(
        what="without shortcuts for 32 x 32 images", where=f"{WHERE}{BLOCKS_OF_DEPTH[depth]}", extras=""
    )
    return for_cifar(public=f"Plain{depth}")(layers)


ResNet20 = _residual(20)
ResNet32 = _residual(32)
ResNet44 = _residual(44)
ResNet56 = _residual(56)
ResNet110 = _residual(110)
ResNet1202 = _residual(1202)
Plain20 = _plain(20)
Plain32 = _plain(32)
Plain44 = _plain(44)
Plain56 = _plain(56)

preprocess_input, decode_predictions = preprocessing.of_family("resnet20")
