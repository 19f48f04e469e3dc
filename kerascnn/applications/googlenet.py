"""GoogLeNet, the first Inception network, with its two auxiliary classifiers.

Source: Szegedy et al., "Going Deeper with Convolutions" (2014), table 1 and section 5.

Differences from the paper:
    The paper states neither the constants of local response normalization, which are those of Krizhevsky et al.
    (2012), nor the initialization of weights, which is that of He et al. (2015). The average pool before the
    classifier covers the whole feature map, so that other image sizes work; at 224 pixels that is the table's 7 x 7.
    For conv1, 4c and 5a, the "params" and "ops" that table 1 prints do not follow from the filters of the same row;
    the network has these filters.
    `batch_norm=True` is the later BN-GoogLeNet of Szegedy et al. (2015, "Rethinking the Inception Architecture"):
    batch normalization before every ReLU, also in the auxiliary heads, replaces local response normalization. Its
    momentum of 0.9 and epsilon of 1e-5 are not from a paper.
    `module="naive"` is figure 2 (a), for which the paper gives no filters: those of table 1 are used. Its max pool has
    no projection, so that each module's output has all channels of its input besides its own.
    The network of torchvision's public weights differs; it is in `googlenet_torchvision.py`.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import keras

from kerascnn.applications import preprocessing, registry
from kerascnn.applications.network import CommonArguments, Network, Pooling, building, check_option
from kerascnn.layers import HE_NORMAL, BatchNormalization, LocalResponseNormalization, channel_axis, conv_unit


class InceptionModule(NamedTuple):
    """An inception row of table 1, with the paper's columns: the number of filters of each convolution."""

    name: str  # the row's, "3a" for "inception (3a)"
    conv1x1: int  # "#1x1"
    reduce3x3: int  # "#3x3 reduce", the 1 x 1 convolution before the 3 x 3 one
    conv3x3: int  # "#3x3"
    reduce5x5: int  # "#5x5 reduce", the 1 x 1 convolution before the 5 x 5 one
    conv5x5: int  # "#5x5"
    pool_proj: int  # "pool proj", the 1 x 1 convolution after the max pool


# Table 1: the inception rows; `_layers` has the others. After each row, its "output size".
# fmt: off
TABLE_1 = (
    #                     #1x1 #3x3 #3x3 #5x5 #5x5 pool
    #                          red.      red.      proj
    InceptionModule("3a",   64,  96, 128,  16,  32,  32),  # 28 x 28 x 256
    InceptionModule("3b",  128, 128, 192,  32,  96,  64),  # 28 x 28 x 480
    InceptionModule("4a",  192,  96, 208,  16,  48,  64),  # 14 x 14 x 512
    InceptionModule("4b",  160, 112, 224,  24,  64,  64),  # 14 x 14 x 512
    InceptionModule("4c",  128, 128, 256,  24,  64,  64),  # 14 x 14 x 512
    InceptionModule("4d",  112, 144, 288,  32,  64,  64),  # 14 x 14 x 528
    InceptionModule("4e",  256, 160, 320,  32, 128, 128),  # 14 x 14 x 832
    InceptionModule("5a",  256, 160, 320,  32, 128, 128),  # 7 x 7 x 832
    InceptionModule("5b",  384, 192, 384,  48, 128, 128),  # 7 x 7 x 1024
)
# fmt: on

POOL_AFTER = ("3b", "4e")
AUXILIARY_HEADS = ("4a", "4d")

# Pixels: one is left after five strides of 2; the 5 x 5 pool of the auxiliary heads is on a map of stride 16.
MIN_SIZE = 32
MIN_SIZE_WITH_HEADS = 65

INITIALIZER = HE_NORMAL
Unit = Callable[..., keras.KerasTensor]
normalization = functools.partial(BatchNormalization, momentum=0.9, epsilon=1e-5)
plain_unit = functools.partial(conv_unit, kernel_initializer=INITIALIZER)
normalized_unit = functools.partial(plain_unit, normalization=normalization)
max_pool = functools.partial(keras.layers.MaxPooling2D, 3, padding="same")


def GoogLeNet(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "googlenet",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    aux_heads: bool = False,
    batch_norm: bool | None = None,
    module: Literal["inception", "naive"] = "inception",
) -> keras.Model:
    """GoogLeNet (Szegedy et al., 2014, table 1): 22 layers with weights, nine Inception modules.

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: None, "torchvision" (69.778 % top-1), a URL or a file. torchvision's weights are of another network:
            with them, `GoogLeNetTorchvision` is returned. batch_norm=False and module="naive" do not fit them.
        aux_heads: whether to add the two auxiliary classifiers on 4a and 4d, for training; the outputs are
            then a dict of `main`, `aux_4a` and `aux_4d`, to be weighted 1, 0.3 and 0.3 in the loss.
        batch_norm: True for batch normalization before every ReLU instead of local response normalization
            (BN-GoogLeNet); False for the paper's network; None for what the weights need, or else the paper's.
        module: "inception" (figure 2 (b)), or "naive" (figure 2 (a)), without reductions and projection.

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities, or
        to a dict of three of them. Weights are initialized after He et al. (2015, "Delving Deep"); dropout is 40 %
        before the classifier and 70 % in the auxiliary heads.

    Example:
        >>> model = kerascnn.applications.GoogLeNet(classes=2, aux_heads=True)
        >>> sorted(model.output)
        ['aux_4a', 'aux_4d', 'main']
    """
    common = CommonArguments.of(locals())
    check_option("GoogLeNet", "module", module, MODULES)
    with building("GoogLeNet", common, batch_norm=batch_norm, module=module) as network:
        of_torchvision = network.weights is not None and network.weights.builder != "GoogLeNet"
        if of_torchvision and batch_norm is not False and module == "inception":
            return registry.create(network.weights.builder, **common._asdict(), aux_heads=aux_heads)
        normalized = network.option("batch_norm", (True, False))
        return network.model(_layers(network, include_top and aux_heads, normalized, MODULES[module]))


def _layers(
    network: Network, heads: bool, batch_norm: bool, module: Callable[..., keras.KerasTensor]
) -> keras.KerasTensor | dict[str, keras.KerasTensor]:
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
    for row in TABLE_1:
        x = module(x, row, f"inception_{row.name}", unit)
        if heads and row.name in AUXILIARY_HEADS:
            outputs[f"aux_{row.name}"] = auxiliary_head(x, network, f"aux_{row.name}", batch_norm)
        if row.name in POOL_AFTER:
            x = max_pool(strides=2, name=f"pool{row.name[0]}")(x)
    main = network.head(x, INITIALIZER, dropout=0.4)
    return {"main": main, **outputs} if heads else main


def inception(
    x: keras.KerasTensor, row: InceptionModule, name: str, unit: Unit, kernel5x5: int = 5
) -> keras.KerasTensor:
    """Figure 2 (b): four branches, concatenated in the order of the table."""
    branch1 = unit(x, row.conv1x1, 1, name=f"{name}_1x1")
    branch3 = unit(x, row.reduce3x3, 1, name=f"{name}_3x3_reduce")
    branch3 = unit(branch3, row.conv3x3, 3, name=f"{name}_3x3")
    branch5 = unit(x, row.reduce5x5, 1, name=f"{name}_5x5_reduce")
    branch5 = unit(branch5, row.conv5x5, kernel5x5, name=f"{name}_5x5")
    pool_branch = max_pool(strides=1, name=f"{name}_pool")(x)
    pool_branch = unit(pool_branch, row.pool_proj, 1, name=f"{name}_pool_proj")
    return keras.layers.Concatenate(channel_axis(), name=name)([branch1, branch3, branch5, pool_branch])


def naive(x: keras.KerasTensor, row: InceptionModule, name: str, unit: Unit) -> keras.KerasTensor:
    """Figure 2 (a): the same without reductions and projection."""
    branch1 = unit(x, row.conv1x1, 1, name=f"{name}_1x1")
    branch3 = unit(x, row.conv3x3, 3, name=f"{name}_3x3")
    branch5 = unit(x, row.conv5x5, 5, name=f"{name}_5x5")
    pool_branch = max_pool(strides=1, name=f"{name}_pool")(x)
    return keras.layers.Concatenate(channel_axis(), name=name)([branch1, branch3, branch5, pool_branch])


MODULES = {"inception": inception, "naive": naive}


def auxiliary_head(x: keras.KerasTensor, network: Network, name: str, batch_norm: bool) -> keras.KerasTensor:
    """Section 5: a small classifier that feeds gradient into the middle of the network."""
    unit = normalized_unit if batch_norm else plain_unit
    x = keras.layers.AveragePooling2D(5, strides=3, name=f"{name}_pool")(x)  # 4 x 4
    x = unit(x, 128, 1, name=f"{name}_conv")
    x = keras.layers.Flatten(name=f"{name}_flatten")(x)
    x = keras.layers.Dense(1024, use_bias=not batch_norm, kernel_initializer=INITIALIZER, name=f"{name}_fc1")(x)
    if batch_norm:
        x = normalization(name=f"{name}_fc1_bn")(x)
    return auxiliary_classifier(x, network, name)


def auxiliary_classifier(x: keras.KerasTensor, network: Network, name: str) -> keras.KerasTensor:
    """The layers of an auxiliary head after its first dense layer."""
    x = keras.layers.Activation("relu", name=f"{name}_fc1_relu")(x)
    x = keras.layers.Dropout(0.7, name=f"{name}_dropout")(x)
    return network.classifier(x, INITIALIZER, name=f"{name}_fc2")


preprocess_input, decode_predictions = preprocessing.of_family("googlenet")
