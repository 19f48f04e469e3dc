"""AlexNet of 2012 (`AlexNet`) and of 2014 (`AlexNetV2`).

Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks" (2012), section
3.5 and figure 2; Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014), section 5.

Differences from the papers:
    The input is 227 x 227: the paper prints 224, with which its layers do not have the sizes that it gives. The paper
    splits conv2, conv4 and conv5 over two GPUs, as `groups=2` does; the default does not. Pooling comes before
    normalization, as in CaffeNet; `pool_first=False` is the paper's order. The paper has no batch normalization
    (`norm="batch"`). AlexNetV2's convolutions have the padding of its public weights.
"""

from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.network import CommonArguments, Network, Pooling, building, check_option
from kerascnn.layers import BatchNormalization, LocalResponseNormalization, channel_axis, conv_unit

Norm = Literal["lrn", "batch"]


class ConvLayer(NamedTuple):
    """A convolution with ReLU, and the 3 x 3 max pool of stride 2 after it."""

    name: str
    filters: int
    kernel_size: int
    strides: int
    padding: int  # zeros on every side, in pixels
    grouped: bool  # whether it is split where `groups=2`
    bias: str  # the initializer of its biases
    pool: str | None  # the name of the pool; None where there is none
    pool_padding: int = 0  # as `padding`, before the pool


# Sections 3.5 and 5, and figure 2; s: strides, p: padding.
# After each row: the map after the convolution, and after its pool.
# fmt: off
ALEXNET_2012 = (
    #         conv   filters size s p  grouped  bias     pool
    ConvLayer("conv1",  96, 11, 4, 0, False, "zeros", "pool1"),  # 55 x 55 x 96, 27 x 27 x 96
    ConvLayer("conv2", 256,  5, 1, 2, True,  "ones",  "pool2"),  # 27 x 27 x 256, 13 x 13 x 256
    ConvLayer("conv3", 384,  3, 1, 1, False, "zeros", None),     # 13 x 13 x 384
    ConvLayer("conv4", 384,  3, 1, 1, True,  "ones",  None),     # 13 x 13 x 384
    ConvLayer("conv5", 256,  3, 1, 1, True,  "ones",  "pool3"),  # 13 x 13 x 256, 6 x 6 x 256
)
# "One weird trick", section 5.
ALEXNET_2014 = (
    ConvLayer("conv1",  64, 11, 4, 2, False, "zeros", "pool1"),  # 55 x 55 x 64, 27 x 27 x 64
    ConvLayer("conv2", 192,  5, 1, 2, False, "ones",  "pool2"),  # 27 x 27 x 192, 13 x 13 x 192
    ConvLayer("conv3", 384,  3, 1, 1, False, "zeros", None),     # 13 x 13 x 384
    ConvLayer("conv4", 256,  3, 1, 1, False, "ones",  None),     # 13 x 13 x 256
    ConvLayer("conv5", 256,  3, 1, 1, False, "ones",  "pool3"),  # 13 x 13 x 256, 6 x 6 x 256
)
# fmt: on

# Section 3.3.
NORMALIZED = ("conv1", "conv2")

# Pixels: the convolutions and pools leave at least one.
MIN_SIZE_2012 = 67
MIN_SIZE_2014 = 63

# Section 5: zero-mean Gaussian with standard deviation 0.01. A config, so that every layer gets a new seed.
INITIALIZER = {"class_name": "RandomNormal", "config": {"stddev": 0.01}}


def AlexNet(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "alexnet",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    groups: Literal[1, 2] = 1,
    norm: Norm | None = "lrn",
    pool_first: bool = True,
) -> keras.Model:
    """AlexNet (Krizhevsky et al., 2012, section 3.5): five convolutions, three dense layers.

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: there are no public weights; None, a URL or a file.
        groups: 2 splits conv2, conv4 and conv5 in two, as the paper's two GPUs did.
        norm: "lrn" (local response normalization, section 3.3), "batch" or None, after conv1 and conv2.
        pool_first: whether pooling comes before normalization; False, as in the paper, for the opposite.

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities. Initial
        weights are Gaussian with standard deviation 0.01; initial biases are 1 in conv2, conv4, conv5, fc6 and fc7, and
        else 0 (section 5). Dropout is 50 % after fc6 and fc7 (section 4.2).

    Example:
        >>> model = kerascnn.applications.AlexNet(groups=2, pool_first=False)  # the paper's
    """
    common = CommonArguments.of(locals())
    check_option("AlexNet", "groups", groups, (1, 2))
    check_option("AlexNet", "norm", norm, (*get_args(Norm), None))
    with building("AlexNet", common) as network:
        x = network.images(min_size=MIN_SIZE_2012, fixed_size=include_top)
        x = convolutions(x, ALEXNET_2012, groups=groups, norm=norm, pool_first=pool_first)
        return network.model(dense_layers(x, network) if include_top else network.features(x))


def AlexNetV2(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "alexnetv2",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """AlexNet as of 2014 (Krizhevsky, "One weird trick", section 5): not split over GPUs, and without normalization.

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: None, "torchvision" (56.522 % top-1), a URL or a file.

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities. Initial
        weights and dropout are those of `AlexNet`.

    Example:
        >>> model = kerascnn.applications.AlexNetV2(classes=10)
    """
    common = CommonArguments.of(locals())
    with building("AlexNetV2", common) as network:
        x = network.images(min_size=MIN_SIZE_2014, fixed_size=include_top)
        x = convolutions(x, ALEXNET_2014, groups=1, norm=None, pool_first=True)
        return network.model(dense_layers(x, network) if include_top else network.features(x))


def convolutions(
    x: keras.KerasTensor, table: tuple[ConvLayer, ...], *, groups: int, norm: Norm | None, pool_first: bool
) -> keras.KerasTensor:
    """The table's convolutions with their pools and normalizations."""
    for row in table:
        if row.padding:
            x = keras.layers.ZeroPadding2D(row.padding, name=f"{row.name}_pad")(x)
        x = conv_unit(
            x,
            row.filters,
            row.kernel_size,
            strides=row.strides,
            padding="valid",
            groups=groups if row.grouped else 1,
            kernel_initializer=INITIALIZER,
            bias_initializer=row.bias,
            name=row.name,
        )
        normalize = [_normalization(norm, f"norm{row.name[-1]}")] if norm and row.name in NORMALIZED else []
        for layer in _pool(row) + normalize if pool_first else normalize + _pool(row):
            x = layer(x)
    return x


def _normalization(norm: Norm, name: str) -> keras.layers.Layer:
    if norm == "lrn":
        return LocalResponseNormalization(name=name)
    return BatchNormalization(axis=channel_axis(), momentum=0.9, epsilon=1e-5, name=name)


def _pool(row: ConvLayer) -> list[keras.layers.Layer]:
    if row.pool is None:
        return []
    # Zeros do not change the maximum: the pool follows a ReLU, whose outputs are not negative.
    padding = [keras.layers.ZeroPadding2D(row.pool_padding, name=f"{row.pool}_pad")] if row.pool_padding else []
    return [*padding, keras.layers.MaxPooling2D(3, strides=2, name=row.pool)]


def dense_layers(x: keras.KerasTensor, network: Network, bias: Any = "ones") -> keras.KerasTensor:
    """Section 3.5: two dense layers of 4096 with dropout 0.5 (section 4.2), and the classifier."""
    x = keras.layers.Flatten(name="pool3_flatten")(x)
    for name in ("fc6", "fc7"):
        dense = keras.layers.Dense(
            4096, activation="relu", kernel_initializer=INITIALIZER, bias_initializer=bias, name=name
        )
        x = keras.layers.Dropout(0.5, name=f"{name}_dropout")(dense(x))
    return network.classifier(x, INITIALIZER)


preprocess_input, decode_predictions = preprocessing.of_family("alexnet")
# The public weights of AlexNetV2 need another scale of the pixels.
preprocess_input_v2, _ = preprocessing.of_family("alexnetv2")
