"""The residual and plain networks for ImageNet.

Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition" (2015), section 3.3 and table 1.

Differences from the paper:
    None in the layers. The paper does not state the momentum and epsilon of batch normalization; they are 0.9 and 1e-5.
    Strided convolutions and the max pool have the same padding on every side, as in the authors' program;
    TensorFlow's padding="same" is one-sided there. In a bottleneck, the paper has the stride in the first 1 x 1
    convolution; `stride_in="3x3"` has it in the 3 x 3 convolution, as is common today ("v1.5").
    Some printings give 51 and 151 layers; they are 50 and 152.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.network import CommonArguments, Pooling, building
from kerascnn.applications.residual import (
    INITIALIZER,
    Shortcut,
    add_shortcut,
    basic_block,
    check_shortcut,
    plain_block,
    unit,
)

# Table 1: the number of blocks of conv2_x, conv3_x, conv4_x and conv5_x, at 56, 28, 14 and 7 pixels. `_stages` has the
# rest of the table.
# 18-layer and 34-layer: basic blocks, of two 3 x 3 convolutions.
RESNET18_BLOCKS = (2, 2, 2, 2)
RESNET34_BLOCKS = (3, 4, 6, 3)
# 50-layer, 101-layer and 152-layer: bottlenecks, of 1 x 1, 3 x 3 and 1 x 1 convolutions.
RESNET50_BLOCKS = (3, 4, 6, 3)
RESNET101_BLOCKS = (3, 4, 23, 3)
RESNET152_BLOCKS = (3, 8, 36, 3)

# Table 1: filters of the 3 x 3 convolutions; the last convolution of a bottleneck has four times as many.
FILTERS = {"conv2": 64, "conv3": 128, "conv4": 256, "conv5": 512}
EXPANSION = 4

StrideIn = Literal["1x1", "3x3"]


def ResNet18(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "resnet18",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    shortcut: Shortcut = "B",
) -> keras.Model:
    """ResNet-18 (He et al., 2015, table 1), made of basic blocks.

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: None, "torchvision" (69.758 % top-1), "timm/resnet18.a1_in1k" (71.504 % top-1), a URL or a file.
        shortcut: "A" (zeros for new channels), "B" (projections where dimensions change) or "C" (projections only).

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities.
        Weights are initialized after He et al. (2015, "Delving Deep"); there is no dropout.

    Example:
        >>> model = kerascnn.applications.ResNet18(classes=10)
    """
    return _of_basic_blocks("ResNet18", CommonArguments.of(locals()), RESNET18_BLOCKS, shortcut)


def ResNet34(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "resnet34",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    shortcut: Shortcut = "B",
) -> keras.Model:
    """ResNet-34 (He et al., 2015, table 1), made of basic blocks.

    As `ResNet18`, but for the public weights: `weights` is None, "torchvision" (73.314 % top-1),
    "timm/resnet34.a1_in1k" (76.42 % top-1), a URL or a file.

    Example:
        >>> model = kerascnn.applications.ResNet34(classes=10)
    """
    return _of_basic_blocks("ResNet34", CommonArguments.of(locals()), RESNET34_BLOCKS, shortcut)


def ResNet50(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "resnet50",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    shortcut: Shortcut = "B",
    stride_in: StrideIn | None = None,
) -> keras.Model:
    """ResNet-50 (He et al., 2015, table 1), made of bottlenecks.

    As `ResNet18`, but for the public weights and the stride.

    Args:
        weights: None, "keras" (74.9 % top-1, with stride_in="1x1"), or, with stride_in="3x3", "torchvision" (76.13 %
            top-1), "torchvision-v2" (80.858 % top-1) or "timm/resnet50.a1_in1k" (80.382 % top-1), a URL or a file.
        stride_in: the convolution of a bottleneck that has the stride, "1x1" (the paper's) or "3x3"; None for what the
            weights need, or else "1x1".

    Example:
        >>> model = kerascnn.applications.ResNet50(classes=10)
    """
    return _of_bottlenecks("ResNet50", CommonArguments.of(locals()), RESNET50_BLOCKS, shortcut, stride_in)


def ResNet101(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "resnet101",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    shortcut: Shortcut = "B",
    stride_in: StrideIn | None = None,
) -> keras.Model:
    """ResNet-101 (He et al., 2015, table 1), made of bottlenecks.

    As `ResNet50`, but for the public weights: `weights` is None, "keras" (76.4 % top-1, with stride_in="1x1"),
    or, with stride_in="3x3", "torchvision" (77.374 % top-1), "torchvision-v2" (81.886 % top-1) or
    "timm/resnet101.a1h_in1k" (81.95 % top-1), a URL or a file.

    Example:
        >>> model = kerascnn.applications.ResNet101(classes=10)
    """
    return _of_bottlenecks("ResNet101", CommonArguments.of(locals()), RESNET101_BLOCKS, shortcut, stride_in)


def ResNet152(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "resnet152",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    shortcut: Shortcut = "B",
    stride_in: StrideIn | None = None,
) -> keras.Model:
    """ResNet-152 (He et al., 2015, table 1), made of bottlenecks.

    As `ResNet50`, but for the public weights: `weights` is None, "keras" (76.6 % top-1, with stride_in="1x1"),
    or, with stride_in="3x3", "torchvision" (78.312 % top-1), "torchvision-v2" (82.284 % top-1) or
    "timm/resnet152.a1h_in1k" (82.818 % top-1), a URL or a file.

    Example:
        >>> model = kerascnn.applications.ResNet152(classes=10)
    """
    return _of_bottlenecks("ResNet152", CommonArguments.of(locals()), RESNET152_BLOCKS, shortcut, stride_in)


def Plain18(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "plain18",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """The 18-layer plain network (He et al., 2015, table 1): ResNet-18 without shortcuts, and without public weights.

    Example:
        >>> model = kerascnn.applications.Plain18(classes=10)
    """
    return _plain("Plain18", CommonArguments.of(locals()), RESNET18_BLOCKS)


def Plain34(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "plain34",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """The 34-layer plain network (He et al., 2015, table 1): ResNet-34 without shortcuts, and without public weights.

    Example:
        >>> model = kerascnn.applications.Plain34(classes=10)
    """
    return _plain("Plain34", CommonArguments.of(locals()), RESNET34_BLOCKS)


def _of_basic_blocks(builder: str, common: CommonArguments, blocks: tuple[int, ...], shortcut: Shortcut) -> keras.Model:
    check_shortcut(builder, shortcut)
    with building(builder, common, shortcut=shortcut) as network:
        x = _stages(network.images(min_size=32), blocks, functools.partial(basic_block, shortcut=shortcut))
        return network.model(network.head(x, INITIALIZER))


def _of_bottlenecks(
    builder: str, common: CommonArguments, blocks: tuple[int, ...], shortcut: Shortcut, stride_in: StrideIn | None
) -> keras.Model:
    check_shortcut(builder, shortcut)
    with building(builder, common, shortcut=shortcut, stride_in=stride_in) as network:
        stride_in = network.option("stride_in", get_args(StrideIn))
        block = functools.partial(bottleneck, shortcut=shortcut, stride_in=stride_in)
        return network.model(network.head(_stages(network.images(min_size=32), blocks, block), INITIALIZER))


def _plain(builder: str, common: CommonArguments, blocks: tuple[int, ...]) -> keras.Model:
    with building(builder, common) as network:
        return network.model(network.head(_stages(network.images(min_size=32), blocks, plain_block), INITIALIZER))


def _stages(
    x: keras.KerasTensor, blocks: tuple[int, ...], block: Callable[..., keras.KerasTensor]
) -> keras.KerasTensor:
    """Table 1 without its last row; `block` makes a block from its input, filters, strides and name."""
    x = unit(x, 64, 7, strides=2, name="conv1")  # 112 x 112 x 64
    x = keras.layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool1")(x)  # 56 x 56 x 64
    for (stage, filters), count in zip(FILTERS.items(), blocks, strict=True):
        for number in range(1, count + 1):
            x = block(x, filters, 2 if number == 1 and stage != "conv2" else 1, name=f"{stage}_{number}")
    return x


def bottleneck(
    x: keras.KerasTensor, filters: int, strides: int, name: str, *, shortcut: Shortcut, stride_in: StrideIn
) -> keras.KerasTensor:
    """Figure 5, right: 1 x 1, 3 x 3 and 1 x 1 convolutions, and a shortcut."""
    first, second = (strides, 1) if stride_in == "1x1" else (1, strides)
    y = unit(x, filters, 1, strides=first, name=f"{name}_1")
    y = unit(y, filters, 3, strides=second, name=f"{name}_2")
    y = unit(y, EXPANSION * filters, 1, activation=None, name=f"{name}_3")
    return add_shortcut(x, y, strides, shortcut, name)


preprocess_input, decode_predictions = preprocessing.of_family("resnet50")
