"""AlexNet, in the form of 2012 and in that of 2014.

Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks" (2012), section
3.5 and figure 2; Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014), section 5.

Differences from the paper:
    The input is 227 x 227, which the paper's arithmetic needs; it prints 224. With one group, the default, the two
    halves that the paper spread over two GPUs are one tower; `groups=2` cuts conv2, conv4 and conv5 in two as
    there. Pooling comes before normalization, as CaffeNet has it; `pool_first=False` is the paper's order.
    `norm="batch"` is younger than the paper. AlexNetV2's convolutions pad as its public weights need.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.builder import Network, builder
from kerascnn.errors import InputError
from kerascnn.layers import BatchNormalization, LocalResponseNormalization, channel_axis, conv_unit


class Row(NamedTuple):
    """A convolution, and what follows it."""

    name: str
    filters: int
    kernel_size: int
    strides: int
    padding: int
    grouped: bool
    bias: str
    pool: str | None
    pool_padding: int = 0


# fmt: off
TABLE = (
    #   conv    filters size s  p  grouped bias     pool
    Row("conv1",  96, 11, 4, 0, False, "zeros", "pool1"),  # 55 x 55 x 96, 27 x 27 x 96
    Row("conv2", 256,  5, 1, 2, True,  "ones",  "pool2"),  # 27 x 27 x 256, 13 x 13 x 256
    Row("conv3", 384,  3, 1, 1, False, "zeros", None),     # 13 x 13 x 384
    Row("conv4", 384,  3, 1, 1, True,  "ones",  None),     # 13 x 13 x 384
    Row("conv5", 256,  3, 1, 1, True,  "ones",  "pool3"),  # 13 x 13 x 256, 6 x 6 x 256
)
TABLE_2014 = (
    Row("conv1",  64, 11, 4, 2, False, "zeros", "pool1"),  # 55 x 55 x 64, 27 x 27 x 64
    Row("conv2", 192,  5, 1, 2, False, "ones",  "pool2"),  # 27 x 27 x 192, 13 x 13 x 192
    Row("conv3", 384,  3, 1, 1, False, "zeros", None),     # 13 x 13 x 384
    Row("conv4", 256,  3, 1, 1, False, "ones",  None),     # 13 x 13 x 256
    Row("conv5", 256,  3, 1, 1, False, "ones",  "pool3"),  # 13 x 13 x 256, 6 x 6 x 256
)
# fmt: on

NORMALIZED = ("conv1", "conv2")
NORMS = ("lrn", "batch", None)

# Eleven pixels of kernel, then three pools of 3 x 3 that must leave one pixel.
MIN_SIZE = 67
MIN_SIZE_2014 = 63


def _initializer() -> keras.Initializer:
    """Section 5: zero-mean Gaussian with standard deviation 0.01, drawn anew for every layer."""
    return keras.initializers.RandomNormal(stddev=0.01)


def _normalization(norm: str | None, name: str) -> keras.layers.Layer:
    if norm == "lrn":
        return LocalResponseNormalization(name=name)
    return BatchNormalization(axis=channel_axis(), momentum=0.9, epsilon=1e-5, name=name)


def convolutions(
    x: keras.KerasTensor, table: tuple[Row, ...], *, groups: int, norm: str | None, pool_first: bool
) -> keras.KerasTensor:
    """The table's convolutions, each rectified, with their pools and normalizations."""
    for row in table:
        if row.padding:
            x = keras.layers.ZeroPadding2D(row.padding, name=f"{row.name}_pad")(x)
        unit = functools.partial(
            conv_unit, padding="valid", groups=groups if row.grouped else 1, bias_initializer=row.bias
        )
        x = unit(x, row.filters, row.kernel_size, strides=row.strides, kernel_initializer=_initializer(), name=row.name)
        normalize = [_normalization(norm, f"norm{row.name[-1]}")] if norm and row.name in NORMALIZED else []
        for layer in _pool(row) + normalize if pool_first else normalize + _pool(row):
            x = layer(x)
    return x


def _pool(row: Row) -> list[keras.layers.Layer]:
    if row.pool is None:
        return []
    # Zeros around rectified maps never win a maximum that matters.
    padding = [keras.layers.ZeroPadding2D(row.pool_padding, name=f"{row.pool}_pad")] if row.pool_padding else []
    return [*padding, keras.layers.MaxPooling2D(3, strides=2, name=row.pool)]


def dense_layers(x: keras.KerasTensor, network: Network, bias: str = "ones") -> keras.KerasTensor:
    """Section 3.5: two dense layers of 4096 with dropout 0.5 (section 4.2), and the classifier."""
    x = keras.layers.Flatten(name="pool3_flatten")(x)
    for name in ("fc6", "fc7"):
        dense = keras.layers.Dense(
            4096, activation="relu", kernel_initializer=_initializer(), bias_initializer=bias, name=name
        )
        x = keras.layers.Dropout(0.5, name=f"{name}_dropout")(dense(x))
    return network.classifier(x, _initializer(), logits="fc8")


@builder(size=227, min_size=MIN_SIZE)
def AlexNet(
    network: Network,
    *,
    groups: int = 1,
    norm: str | None = "lrn",
    pool_first: bool = True,
) -> keras.KerasTensor:
    """AlexNet (Krizhevsky et al., 2012, section 3.5): five convolutions, three dense layers.

    Args:
        {common}
        groups: 2 cuts conv2, conv4 and conv5 in two, as the paper's two GPUs did.
        norm: "lrn" (local response normalization, section 3.3), "batch" or None, after conv1 and conv2.
        pool_first: whether pooling comes before normalization; the paper normalizes first.

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities. Weights are
        drawn from N(0, 0.01), biases are 1 in conv2, conv4, conv5 and the dense layers of 4096 (section 5).

    Raises:
        InputError: images too small, other groups, an unknown norm or pooling, weights that do not exist.

    Example:
        >>> model = kerascnn.applications.AlexNet(groups=2, pool_first=False)  # the paper's
    """
    if groups not in (1, 2):
        raise InputError(f"AlexNet has groups=1 or 2, not {groups!r}.")
    if norm not in NORMS:
        raise InputError(f"AlexNet has norm='lrn', 'batch' or None, not {norm!r}.")
    x = network.images(fixed_size=network.include_top)
    x = convolutions(x, TABLE, groups=groups, norm=norm, pool_first=pool_first)
    if not network.include_top:
        return network.features(x)
    return dense_layers(x, network)


@builder(size=224, min_size=MIN_SIZE_2014)
def AlexNetV2(network: Network) -> keras.KerasTensor:
    """AlexNet's single tower of 2014 (Krizhevsky, "One weird trick", section 5): 64-192-384-256-256, no normalization.

    Args:
        {common}

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities. Weights and
        dropout are those of `AlexNet`.

    Raises:
        InputError: images too small, an unknown pooling, weights that do not exist.

    Example:
        >>> model = kerascnn.applications.AlexNetV2(classes=10)
    """
    x = network.images(fixed_size=network.include_top)
    x = convolutions(x, TABLE_2014, groups=1, norm=None, pool_first=True)
    if not network.include_top:
        return network.features(x)
    return dense_layers(x, network)


preprocess_input, decode_predictions = preprocessing.of_family("alexnet")
# The public weights of AlexNetV2 want the pixels in another scale.
preprocess_input_v2, _ = preprocessing.of_family("alexnetv2")
