"""What Inception v2 and v3 share: the modules of the paper's figures, its table, the auxiliary classifier.

Source: Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception Architecture for Computer Vision" (2015),
sections 2 to 6, figures 5 to 8 and 10 and table 1.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras

from kerascnn.applications.builder import Network, Outputs
from kerascnn.layers import HE_NORMAL, BatchNormalization, channel_axis, conv_unit

# Five halvings without padding must leave a pixel; the auxiliary head pools 5 x 5 of the last but one grid.
MIN_SIZE = 75
MIN_SIZE_WITH_HEAD = 107

INITIALIZER = HE_NORMAL
normalization = functools.partial(BatchNormalization, momentum=0.99, epsilon=1e-3, scale=False)
plain_unit = functools.partial(conv_unit, kernel_initializer=INITIALIZER)
unit = functools.partial(plain_unit, normalization=normalization)
halving_pool = functools.partial(keras.layers.MaxPooling2D, 3, strides=2)


class Parts(NamedTuple):
    """What the modules of a network are made of.

    Attributes:
        unit: convolution, normalization, rectification.
        average: an average pool of 3 x 3 that keeps its map's size, from its input and name.
        dropout: before the classifier.
    """

    unit: Callable[..., keras.KerasTensor]
    average: Callable[[keras.KerasTensor, str], keras.KerasTensor]
    dropout: float = 0.0


def average_inside(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """An average over the pixels that there are, fewer at the border."""
    return keras.layers.AveragePooling2D(3, strides=1, padding="same", name=name)(x)


PARTS = Parts(unit, average_inside)


def pooled(x: keras.KerasTensor, parts: Parts, filters: int, name: str) -> keras.KerasTensor:
    """The branch that every module ends in: average pool and projection."""
    x = parts.average(x, f"{name}_pool")
    return parts.unit(x, filters, 1, name=f"{name}_pool_proj")


def joined(branches: Sequence[keras.KerasTensor], name: str) -> keras.KerasTensor:
    """The branches, concatenated by depth."""
    return keras.layers.Concatenate(channel_axis(), name=name)(branches)


def figure5(
    x: keras.KerasTensor,
    parts: Parts,
    name: str,
    conv1x1: int,
    reduce: int,
    conv: int,
    reduce_double: int,
    double3x3: int,
    pool_proj: int,
    kernel: int = 3,
) -> keras.KerasTensor:
    """Figure 5: a convolution of `kernel` beside two of 3 x 3."""
    size = f"{kernel}x{kernel}"
    branch1 = parts.unit(x, conv1x1, 1, name=f"{name}_1x1")
    branch = parts.unit(x, reduce, 1, name=f"{name}_{size}_reduce")
    branch = parts.unit(branch, conv, kernel, name=f"{name}_{size}")
    double = parts.unit(x, reduce_double, 1, name=f"{name}_double_3x3_reduce")
    double = parts.unit(double, double3x3, 3, name=f"{name}_double_3x3_1")
    double = parts.unit(double, double3x3, 3, name=f"{name}_double_3x3_2")
    return joined([branch1, branch, double, pooled(x, parts, pool_proj, name)], name)


def to_17(
    x: keras.KerasTensor, parts: Parts, name: str, conv3x3: int, reduce_double: int, double3x3: int
) -> keras.KerasTensor:
    """Figure 10: strided convolutions beside a pool, so that halving the grid loses nothing."""
    branch = parts.unit(x, conv3x3, 3, strides=2, padding="valid", name=f"{name}_3x3")
    double = parts.unit(x, reduce_double, 1, name=f"{name}_double_3x3_reduce")
    double = parts.unit(double, double3x3, 3, name=f"{name}_double_3x3_1")
    double = parts.unit(double, double3x3, 3, strides=2, padding="valid", name=f"{name}_double_3x3_2")
    return joined([branch, double, halving_pool(name=f"{name}_pool")(x)], name)


def figure6(x: keras.KerasTensor, parts: Parts, name: str, width: int, filters: int) -> keras.KerasTensor:
    """Figure 6 with n = 7: one and two 7 x 7 convolutions, factorized, of `width`; every branch ends in `filters`."""
    branch1 = parts.unit(x, filters, 1, name=f"{name}_1x1")
    branch = parts.unit(x, width, 1, name=f"{name}_7x7_reduce")
    branch = parts.unit(branch, width, (1, 7), name=f"{name}_1x7")
    branch = parts.unit(branch, filters, (7, 1), name=f"{name}_7x1")
    double = parts.unit(x, width, 1, name=f"{name}_double_7x7_reduce")
    double = parts.unit(double, width, (7, 1), name=f"{name}_double_7x1_1")
    double = parts.unit(double, width, (1, 7), name=f"{name}_double_1x7_1")
    double = parts.unit(double, width, (7, 1), name=f"{name}_double_7x1_2")
    double = parts.unit(double, filters, (1, 7), name=f"{name}_double_1x7_2")
    return joined([branch1, branch, double, pooled(x, parts, filters, name)], name)


def to_8(x: keras.KerasTensor, parts: Parts, name: str, width: int, conv3x3: int) -> keras.KerasTensor:
    """As figure 10, with a factorized 7 x 7 convolution before the second strided one."""
    branch = parts.unit(x, width, 1, name=f"{name}_3x3_reduce")
    branch = parts.unit(branch, conv3x3, 3, strides=2, padding="valid", name=f"{name}_3x3")
    second = parts.unit(x, width, 1, name=f"{name}_7x7_reduce")
    second = parts.unit(second, width, (1, 7), name=f"{name}_1x7")
    second = parts.unit(second, width, (7, 1), name=f"{name}_7x1")
    second = parts.unit(second, width, 3, strides=2, padding="valid", name=f"{name}_7x7_3x3")
    return joined([branch, second, halving_pool(name=f"{name}_pool")(x)], name)


def figure7(
    x: keras.KerasTensor, parts: Parts, name: str, conv1x1: int, reduce_double: int, width: int, pool_proj: int
) -> keras.KerasTensor:
    """Figure 7: expanded filter banks, each a 1 x 3 convolution beside a 3 x 1 one, of `width`."""
    branch1 = parts.unit(x, conv1x1, 1, name=f"{name}_1x1")
    branch = parts.unit(x, width, 1, name=f"{name}_3x3_reduce")
    double = parts.unit(x, reduce_double, 1, name=f"{name}_double_3x3_reduce")
    double = parts.unit(double, width, 3, name=f"{name}_double_3x3")
    expanded = [
        joined(
            [parts.unit(y, width, (1, 3), name=f"{bank}_1x3"), parts.unit(y, width, (3, 1), name=f"{bank}_3x1")], bank
        )
        for y, bank in ((branch, f"{name}_bank"), (double, f"{name}_double_bank"))
    ]
    return joined([branch1, *expanded, pooled(x, parts, pool_proj, name)], name)


class Row(NamedTuple):
    """A module: its name, its figure, and filters in the order of the figure's function."""

    module: str
    figure: Callable[..., keras.KerasTensor]
    filters: tuple[int, ...]


# fmt: off
TABLE = (
    # "3 x Inception, as in figure 5":  1x1 3x3r  3x3 dblr  dbl proj
    Row("mixed0",  figure5,            (64,  48,  64,  64,  96,  64)),  # 35 x 35 x 288
    Row("mixed1",  figure5,            (64,  48,  64,  64,  96,  64)),  # 35 x 35 x 288
    Row("mixed2",  figure5,            (64,  48,  64,  64,  96,  64)),  # 35 x 35 x 288
    #                                   3x3 dblr  dbl
    Row("mixed3",  to_17,              (384,  64,  96)),                # 17 x 17 x 768
    # "5 x Inception, as in figure 6":  7x7  out
    Row("mixed4",  figure6,            (128, 192)),                     # 17 x 17 x 768
    Row("mixed5",  figure6,            (160, 192)),                     # 17 x 17 x 768
    Row("mixed6",  figure6,            (160, 192)),                     # 17 x 17 x 768
    Row("mixed7",  figure6,            (192, 192)),                     # 17 x 17 x 768
    Row("mixed8",  figure6,            (192, 192)),                     # 17 x 17 x 768
    #                                   7x7  3x3
    Row("mixed9",  to_8,               (192, 320)),                     # 8 x 8 x 1280
    # "2 x Inception, as in figure 7":  1x1 dblr bank proj
    Row("mixed10", figure7,            (320, 448, 384, 192)),           # 8 x 8 x 2048
    Row("mixed11", figure7,            (320, 448, 384, 192)),           # 8 x 8 x 2048
)
# fmt: on


def three_3x3(x: keras.KerasTensor, parts: Parts = PARTS) -> keras.KerasTensor:
    """The first three rows of table 1: a 7 x 7 convolution, factorized."""
    x = parts.unit(x, 32, 3, strides=2, padding="valid", name="conv1")  # 149 x 149 x 32
    x = parts.unit(x, 32, 3, padding="valid", name="conv2")  # 147 x 147 x 32
    return parts.unit(x, 64, 3, name="conv3")  # 147 x 147 x 64


def rest_of_stem(x: keras.KerasTensor, parts: Parts = PARTS) -> keras.KerasTensor:
    """The next four rows of table 1."""
    x = halving_pool(name="pool1")(x)  # 73 x 73 x 64
    x = parts.unit(x, 80, 3, padding="valid", name="conv4")  # 71 x 71 x 80
    x = parts.unit(x, 192, 3, strides=2, padding="valid", name="conv5")  # 35 x 35 x 192
    return parts.unit(x, 288, 3, name="conv6")  # 35 x 35 x 288


def auxiliary_head(x: keras.KerasTensor, network: Network, unit: Callable) -> keras.KerasTensor:
    """Figure 8: a small classifier on the last 17 x 17 module, of convolutions made by `unit`."""
    x = keras.layers.AveragePooling2D(5, strides=3, name="aux_pool")(x)  # 5 x 5 x 768
    x = unit(x, 128, 1, name="aux_conv1")  # 5 x 5 x 128
    height, width = (x.shape[axis] for axis in range(1, 4) if axis != channel_axis())
    kernel = min(height, 5), min(width, 5)
    initializer = keras.initializers.TruncatedNormal(stddev=0.01)
    x = unit(x, 768, kernel, padding="valid", kernel_initializer=initializer, name="aux_conv2")  # 1 x 1 x 768
    x = keras.layers.GlobalAveragePooling2D(name="aux_avg_pool")(x)
    initializer = keras.initializers.TruncatedNormal(stddev=0.001)
    return network.classifier(x, initializer, logits="aux_fc", predictions="aux")


def images(network: Network, aux_heads: bool) -> keras.KerasTensor:
    """The tensor that the network starts from, large enough for the auxiliary head where there is one."""
    head = network.include_top and aux_heads
    return network.images(min_size=MIN_SIZE_WITH_HEAD if head else MIN_SIZE, fixed_size=head)


def modules_and_ends(
    x: keras.KerasTensor, network: Network, table: Sequence[Row], head: Callable | None, parts: Parts = PARTS
) -> Outputs:
    """The rows of `table` behind a stem `x`, and what the network ends in.

    Args:
        head: the auxiliary head's `unit`, or None for a network without one.

    Returns:
        Probabilities, a dict of them as `main` and `aux`, or feature maps.
    """
    last_17 = [row.module for row in table if row.figure is figure6][-1]
    outputs = {}
    for row in table:
        x = row.figure(x, parts, row.module, *row.filters)
        if row.module == last_17 and head is not None and network.include_top:
            outputs["aux"] = auxiliary_head(x, network, head)
    if not network.include_top:
        return network.features(x)
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)  # 2048
    if parts.dropout:
        x = keras.layers.Dropout(parts.dropout, name="dropout")(x)
    main = network.classifier(x, INITIALIZER, predictions="main")
    return {"main": main, **outputs} if outputs else main
