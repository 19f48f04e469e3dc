"""The residual and plain networks for CIFAR.

Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition" (2015), section 4.2 and its table:

    output map size   32 x 32   16 x 16   8 x 8
    # layers            1+2n      2n        2n
    # filters            16       32        64

Differences from the paper:
    None in the layers. The paper does not state the momentum and epsilon of batch normalization; they are 0.9 and 1e-5.
    Strided convolutions have the same padding on every side, as in the authors' program; TensorFlow's padding="same" is
    one-sided there.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.network import CommonArguments, Pooling, building
from kerascnn.applications.residual import INITIALIZER, Shortcut, basic_block, check_shortcut, plain_block, unit


class Stage(NamedTuple):
    """A column of the table, without conv1: the filters, and the stride of the first convolution."""

    name: str
    filters: int
    strides: int


# The table of section 4.2. After each row, its output.
STAGES = (
    Stage("conv2", 16, 1),  # 32 x 32 x 16
    Stage("conv3", 32, 2),  # 16 x 16 x 32
    Stage("conv4", 64, 2),  # 8 x 8 x 64
)

# n of the table, by the number of layers, 6n + 2: three stages of n blocks of two layers, conv1 and the dense layer.
BLOCKS_OF_DEPTH = {20: 3, 32: 5, 44: 7, 56: 9, 110: 18, 1202: 200}


def ResNet20(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "resnet20",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    shortcut: Shortcut = "A",
) -> keras.Model:
    """ResNet-20 for 32 x 32 images (He et al., 2015, section 4.2, n = 3).

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: there are no public weights; None, a URL or a file.
        shortcut: "A" (no parameters, the paper's choice on CIFAR), "B" (projections where dimensions change) or "C"
            (projections only).

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities. Weights are
        initialized after He et al. (2015, "Delving Deep"); there is no dropout.

    Example:
        >>> model = kerascnn.applications.ResNet20()
    """
    return _residual("ResNet20", CommonArguments.of(locals()), BLOCKS_OF_DEPTH[20], shortcut)


def ResNet32(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "resnet32",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    shortcut: Shortcut = "A",
) -> keras.Model:
    """ResNet-32 for 32 x 32 images (He et al., 2015, section 4.2, n = 5).

    Otherwise as `ResNet20`.

    Example:
        >>> model = kerascnn.applications.ResNet32()
    """
    return _residual("ResNet32", CommonArguments.of(locals()), BLOCKS_OF_DEPTH[32], shortcut)


def ResNet44(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "resnet44",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    shortcut: Shortcut = "A",
) -> keras.Model:
    """ResNet-44 for 32 x 32 images (He et al., 2015, section 4.2, n = 7).

    Otherwise as `ResNet20`.

    Example:
        >>> model = kerascnn.applications.ResNet44()
    """
    return _residual("ResNet44", CommonArguments.of(locals()), BLOCKS_OF_DEPTH[44], shortcut)


def ResNet56(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "resnet56",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    shortcut: Shortcut = "A",
) -> keras.Model:
    """ResNet-56 for 32 x 32 images (He et al., 2015, section 4.2, n = 9).

    Otherwise as `ResNet20`.

    Example:
        >>> model = kerascnn.applications.ResNet56()
    """
    return _residual("ResNet56", CommonArguments.of(locals()), BLOCKS_OF_DEPTH[56], shortcut)


def ResNet110(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "resnet110",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    shortcut: Shortcut = "A",
) -> keras.Model:
    """ResNet-110 for 32 x 32 images (He et al., 2015, section 4.2, n = 18).

    Otherwise as `ResNet20`.

    Example:
        >>> model = kerascnn.applications.ResNet110()
    """
    return _residual("ResNet110", CommonArguments.of(locals()), BLOCKS_OF_DEPTH[110], shortcut)


def ResNet1202(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "resnet1202",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    shortcut: Shortcut = "A",
) -> keras.Model:
    """ResNet-1202 for 32 x 32 images (He et al., 2015, section 4.2, n = 200).

    Otherwise as `ResNet20`.

    Example:
        >>> model = kerascnn.applications.ResNet1202()
    """
    return _residual("ResNet1202", CommonArguments.of(locals()), BLOCKS_OF_DEPTH[1202], shortcut)


def Plain20(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "plain20",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """The 20-layer plain network for 32 x 32 images (He et al., 2015, section 4.2, n = 3).

    As `ResNet20` without shortcuts.

    Example:
        >>> model = kerascnn.applications.Plain20()
    """
    return _cifar("Plain20", CommonArguments.of(locals()), BLOCKS_OF_DEPTH[20], plain_block)


def Plain32(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "plain32",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """The 32-layer plain network for 32 x 32 images (He et al., 2015, section 4.2, n = 5).

    Otherwise as `Plain20`.

    Example:
        >>> model = kerascnn.applications.Plain32()
    """
    return _cifar("Plain32", CommonArguments.of(locals()), BLOCKS_OF_DEPTH[32], plain_block)


def Plain44(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "plain44",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """The 44-layer plain network for 32 x 32 images (He et al., 2015, section 4.2, n = 7).

    Otherwise as `Plain20`.

    Example:
        >>> model = kerascnn.applications.Plain44()
    """
    return _cifar("Plain44", CommonArguments.of(locals()), BLOCKS_OF_DEPTH[44], plain_block)


def Plain56(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "plain56",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """The 56-layer plain network for 32 x 32 images (He et al., 2015, section 4.2, n = 9).

    Otherwise as `Plain20`.

    Example:
        >>> model = kerascnn.applications.Plain56()
    """
    return _cifar("Plain56", CommonArguments.of(locals()), BLOCKS_OF_DEPTH[56], plain_block)


def _residual(builder: str, common: CommonArguments, n: int, shortcut: Shortcut) -> keras.Model:
    check_shortcut(builder, shortcut)
    return _cifar(builder, common, n, functools.partial(basic_block, shortcut=shortcut))


def _cifar(builder: str, common: CommonArguments, n: int, block: Callable[..., keras.KerasTensor]) -> keras.Model:
    """The table, with `n` blocks per stage; `block` makes one from its input, filters, strides and name."""
    with building(builder, common) as network:
        x = unit(network.images(min_size=4), 16, 3, name="conv1")
        for stage in STAGES:
            for number in range(1, n + 1):
                x = block(x, stage.filters, stage.strides if number == 1 else 1, name=f"{stage.name}_{number}")
        return network.model(network.head(x, INITIALIZER))


preprocess_input, decode_predictions = preprocessing.of_family("resnet20")
