"""GoogLeNet, the first Inception network, with its two auxiliary classifiers.

Source: Szegedy et al., "Going Deeper with Convolutions" (2014), table 1 and section 5.

Differences from the paper:
    Local response normalization takes the constants of Krizhevsky et al. (2012), and weights are initialized
    after He et al. (2015), because the paper states neither. The average pool before the classifier covers the
    whole feature map, which is the table's 7 x 7 at 224 pixels, so that other sizes work. Table 1 prints
    parameters and operations that its own rows do not give for conv1, 4c and 5a; the rows are built.
    `batch_norm=True` is the later BN-GoogLeNet of Szegedy et al. (2015, "Rethinking the Inception Architecture"):
    batch normalization before every rectification, in the auxiliary heads too, in place of local response
    normalization. Its moving averages, which no paper states, decay by 0.9 a step with epsilon 1e-5.
    `module="naive"` is figure 2 (a), for which the paper gives no filters: it has those of the table, and each module
    grows by all the channels that its max pool passes through.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.builder import Network, Outputs, builder
from kerascnn.errors import InputError
from kerascnn.layers import HE_NORMAL, BatchNormalization, LocalResponseNormalization, channel_axis, conv_unit


class Row(NamedTuple):
    """A row of table 1: filters of each convolution."""

    module: str
    conv1x1: int
    reduce3x3: int
    conv3x3: int
    reduce5x5: int
    conv5x5: int
    pool_proj: int


# fmt: off
TABLE = (
    #          1x1  3x3r 3x3  5x5r 5x5  proj
    Row("3a",   64,  96, 128,  16,  32,  32),  # 28 x 28 x 256
    Row("3b",  128, 128, 192,  32,  96,  64),  # 28 x 28 x 480
    Row("4a",  192,  96, 208,  16,  48,  64),  # 14 x 14 x 512
    Row("4b",  160, 112, 224,  24,  64,  64),  # 14 x 14 x 512
    Row("4c",  128, 128, 256,  24,  64,  64),  # 14 x 14 x 512
    Row("4d",  112, 144, 288,  32,  64,  64),  # 14 x 14 x 528
    Row("4e",  256, 160, 320,  32, 128, 128),  # 14 x 14 x 832
    Row("5a",  256, 160, 320,  32, 128, 128),  # 7 x 7 x 832
    Row("5b",  384, 192, 384,  48, 128, 128),  # 7 x 7 x 1024
)
# fmt: on

POOL_AFTER = ("3b", "4e")
AUXILIARY_HEADS = ("4a", "4d")

# Five halvings must leave a pixel; the auxiliary heads pool 5 x 5 of a map sixteen times smaller than the image.
MIN_SIZE = 32
MIN_SIZE_WITH_HEADS = 65

INITIALIZER = HE_NORMAL
normalization = functools.partial(BatchNormalization, momentum=0.9, epsilon=1e-5)
plain_unit = functools.partial(conv_unit, kernel_initializer=INITIALIZER)
normalized_unit = functools.partial(plain_unit, normalization=normalization)
max_pool = functools.partial(keras.layers.MaxPooling2D, 3, padding="same")


def inception(x: keras.KerasTensor, row: Row, name: str, unit: Callable) -> keras.KerasTensor:
    """Figure 2 (b): four branches, each rectified, concatenated in the order of the table."""
    branch1 = unit(x, row.conv1x1, 1, name=f"{name}_1x1")
    branch3 = unit(x, row.reduce3x3, 1, name=f"{name}_3x3_reduce")
    branch3 = unit(branch3, row.conv3x3, 3, name=f"{name}_3x3")
    branch5 = unit(x, row.reduce5x5, 1, name=f"{name}_5x5_reduce")
    branch5 = unit(branch5, row.conv5x5, 5, name=f"{name}_5x5")
    branch_pool = max_pool(strides=1, name=f"{name}_pool")(x)
    branch_pool = unit(branch_pool, row.pool_proj, 1, name=f"{name}_pool_proj")
    return keras.layers.Concatenate(channel_axis(), name=name)([branch1, branch3, branch5, branch_pool])


def naive(x: keras.KerasTensor, row: Row, name: str, unit: Callable) -> keras.KerasTensor:
    """Figure 2 (a): as `inception`, without reductions and projection."""
    branch1 = unit(x, row.conv1x1, 1, name=f"{name}_1x1")
    branch3 = unit(x, row.conv3x3, 3, name=f"{name}_3x3")
    branch5 = unit(x, row.conv5x5, 5, name=f"{name}_5x5")
    branch_pool = max_pool(strides=1, name=f"{name}_pool")(x)
    return keras.layers.Concatenate(channel_axis(), name=name)([branch1, branch3, branch5, branch_pool])


MODULES = {"inception": inception, "naive": naive}


def auxiliary_head(x: keras.KerasTensor, network: Network, name: str, batch_norm: bool) -> keras.KerasTensor:
    """Section 5: a small classifier that feeds gradient into the middle of the network."""
    x = keras.layers.AveragePooling2D(5, strides=3, name=f"{name}_pool")(x)  # 4 x 4
    x = (normalized_unit if batch_norm else plain_unit)(x, 128, 1, name=f"{name}_conv")
    x = keras.layers.Flatten(name=f"{name}_flatten")(x)
    x = keras.layers.Dense(1024, use_bias=not batch_norm, kernel_initializer=INITIALIZER, name=f"{name}_fc1")(x)
    if batch_norm:
        x = normalization(name=f"{name}_fc1_bn")(x)
    x = keras.layers.Activation("relu", name=f"{name}_fc1_relu")(x)
    x = keras.layers.Dropout(0.7, name=f"{name}_dropout")(x)
    return network.classifier(x, INITIALIZER, logits=f"{name}_fc2", predictions=name)


@builder(size=224, min_size=MIN_SIZE)
def GoogLeNet(
    network: Network, *, aux_heads: bool = False, batch_norm: bool = False, module: str = "inception"
) -> Outputs:
    """GoogLeNet (Szegedy et al., 2014, table 1): 22 layers with weights, nine Inception modules.

    Args:
        {common}
        aux_heads: whether the two auxiliary classifiers on 4a and 4d are there, for training; the outputs are
            then a dict of `main`, `aux_4a` and `aux_4d`, to be weighted 1, 0.3 and 0.3 in the loss.
        batch_norm: whether batch normalization before every rectification takes the place of local response
            normalization (BN-GoogLeNet).
        module: "inception", or "naive" for modules without reductions and projection, to compare with.

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities, or
        to the dict of three such. Weights are initialized after He et al. (2015, "Delving Deep"); dropout is 40 %
        before the classifier and 70 % in the auxiliary heads.

    Raises:
        InputError: images too small, an unknown module, pooling or dtype, a weight file that does not fit.

    Example:
        >>> model = kerascnn.applications.GoogLeNet(classes=2, aux_heads=True)
        >>> sorted(model.output)
        ['aux_4a', 'aux_4d', 'main']
    """
    if module not in MODULES:
        raise InputError(f"GoogLeNet has modules 'inception' and 'naive', not {module!r}.")
    heads = network.include_top and aux_heads
    unit = normalized_unit if batch_norm else plain_unit
    x = network.images(min_size=MIN_SIZE_WITH_HEADS if heads else MIN_SIZE, fixed_size=heads)
    x = unit(x, 64, 7, strides=2, name="conv1")  # 112 x 112 x 64
    x = max_pool(strides=2, name="pool1")(x)  # 56 x 56 x 64
    if not batch_norm:
        x = LocalResponseNormalization(name="norm1")(x)
    x = unit(x, 64, 1, name="conv2_reduce")
    x = unit(x, 192, 3, name="conv2")  # 56 x 56 x 192
    if not batch_norm:
        x = LocalResponseNormalization(name="norm2")(x)
    x = max_pool(strides=2, name="pool2")(x)  # 28 x 28 x 192

    outputs = {}
    for row in TABLE:
        x = MODULES[module](x, row, f"inception_{row.module}", unit)
        if heads and row.module in AUXILIARY_HEADS:
            head = f"aux_{row.module}"
            outputs[head] = auxiliary_head(x, network, head, batch_norm)
        if row.module in POOL_AFTER:
            x = max_pool(strides=2, name=f"pool{row.module[0]}")(x)

    if not network.include_top:
        return network.features(x)
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)  # 1024
    x = keras.layers.Dropout(0.4, name="dropout")(x)
    main = network.classifier(x, INITIALIZER, predictions="main")
    return {"main": main, **outputs} if heads else main


preprocess_input, decode_predictions = preprocessing.of_family("googlenet")
