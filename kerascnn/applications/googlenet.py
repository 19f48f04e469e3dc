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
    `variant="torchvision"` is the network of PyTorch's public weights. It has batch normalization with epsilon 1e-3 in
    every convolution, and only there, whatever `batch_norm` says; 3 x 3 convolutions in the column "5x5", which keep
    its name; zeros on all sides before conv1; max pools whose windows overhang at the end only, the last of them
    2 x 2; auxiliary heads that average any map to 4 x 4; and dropout of 20 % before the classifier.
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


def halved(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """The max pool behind a stage."""
    return max_pool(strides=2, name=name)(x)


def torchvision_halved(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """As `halved`, with windows that begin at the first pixel."""
    if name == "pool4":
        return keras.layers.MaxPooling2D(2, padding="same", name=name)(x)
    # Zeros beside rectified maps never win a maximum that matters.
    x = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x)
    return keras.layers.MaxPooling2D(3, strides=2, name=name)(x)


class Form(NamedTuple):
    """What is made of the table.

    Attributes:
        unit: convolution, normalization where there is one, rectification.
        conv1_padding: see `conv_unit`.
        halved: the max pools with stride 2, from their input and name.
        local_response: whether local response normalization follows pool1 and conv2.
        kernel5x5: of the convolutions in the column "5x5".
        head_pool: of the auxiliary heads, from its name.
        head_normalization: of their fully connected layer, from its name.
        dropout: before the classifier.
    """

    unit: Callable[..., keras.KerasTensor]
    conv1_padding: str
    halved: Callable[[keras.KerasTensor, str], keras.KerasTensor]
    local_response: bool
    kernel5x5: int
    head_pool: Callable[..., keras.layers.Layer]
    head_normalization: Callable[..., keras.layers.Layer] | None
    dropout: float


head_pool = functools.partial(keras.layers.AveragePooling2D, 5, strides=3)
torchvision_unit = functools.partial(
    plain_unit, normalization=functools.partial(BatchNormalization, momentum=0.9, epsilon=1e-3)
)
adaptive_pool = functools.partial(keras.layers.AdaptiveAveragePooling2D, 4)

# fmt: off
#                  unit              conv1        pools               lrn   5x5 heads                            drop
PAPER = Form(      plain_unit,       "same",      halved,             True,  5, head_pool,        None,          0.4)
NORMALIZED = Form( normalized_unit,  "same",      halved,             False, 5, head_pool,        normalization, 0.4)
TORCHVISION = Form(torchvision_unit, "symmetric", torchvision_halved, False, 3, adaptive_pool,    None,          0.2)
# fmt: on

VARIANTS = ("paper", "torchvision")


def inception(x: keras.KerasTensor, row: Row, name: str, form: Form) -> keras.KerasTensor:
    """Figure 2 (b): four branches, each rectified, concatenated in the order of the table."""
    branch1 = form.unit(x, row.conv1x1, 1, name=f"{name}_1x1")
    branch3 = form.unit(x, row.reduce3x3, 1, name=f"{name}_3x3_reduce")
    branch3 = form.unit(branch3, row.conv3x3, 3, name=f"{name}_3x3")
    branch5 = form.unit(x, row.reduce5x5, 1, name=f"{name}_5x5_reduce")
    branch5 = form.unit(branch5, row.conv5x5, form.kernel5x5, name=f"{name}_5x5")
    branch_pool = max_pool(strides=1, name=f"{name}_pool")(x)
    branch_pool = form.unit(branch_pool, row.pool_proj, 1, name=f"{name}_pool_proj")
    return keras.layers.Concatenate(channel_axis(), name=name)([branch1, branch3, branch5, branch_pool])


def naive(x: keras.KerasTensor, row: Row, name: str, form: Form) -> keras.KerasTensor:
    """Figure 2 (a): as `inception`, without reductions and projection."""
    branch1 = form.unit(x, row.conv1x1, 1, name=f"{name}_1x1")
    branch3 = form.unit(x, row.conv3x3, 3, name=f"{name}_3x3")
    branch5 = form.unit(x, row.conv5x5, form.kernel5x5, name=f"{name}_5x5")
    branch_pool = max_pool(strides=1, name=f"{name}_pool")(x)
    return keras.layers.Concatenate(channel_axis(), name=name)([branch1, branch3, branch5, branch_pool])


MODULES = {"inception": inception, "naive": naive}


def auxiliary_head(x: keras.KerasTensor, network: Network, name: str, form: Form) -> keras.KerasTensor:
    """Section 5: a small classifier that feeds gradient into the middle of the network."""
    normalize = form.head_normalization
    x = form.head_pool(name=f"{name}_pool")(x)  # 4 x 4
    x = form.unit(x, 128, 1, name=f"{name}_conv")
    x = keras.layers.Flatten(name=f"{name}_flatten")(x)
    x = keras.layers.Dense(1024, use_bias=normalize is None, kernel_initializer=INITIALIZER, name=f"{name}_fc1")(x)
    if normalize is not None:
        x = normalize(name=f"{name}_fc1_bn")(x)
    x = keras.layers.Activation("relu", name=f"{name}_fc1_relu")(x)
    x = keras.layers.Dropout(0.7, name=f"{name}_dropout")(x)
    return network.classifier(x, INITIALIZER, logits=f"{name}_fc2", predictions=name)


@builder(size=224, min_size=MIN_SIZE)
def GoogLeNet(
    network: Network,
    *,
    aux_heads: bool = False,
    batch_norm: bool = False,
    module: str = "inception",
    variant: str = "paper",
) -> Outputs:
    """GoogLeNet (Szegedy et al., 2014, table 1): 22 layers with weights, nine Inception modules.

    Args:
        {common}
        aux_heads: whether the two auxiliary classifiers on 4a and 4d are there, for training; the outputs are
            then a dict of `main`, `aux_4a` and `aux_4d`, to be weighted 1, 0.3 and 0.3 in the loss.
        batch_norm: whether batch normalization before every rectification takes the place of local response
            normalization (BN-GoogLeNet).
        module: "inception", or "naive" for modules without reductions and projection, to compare with.
        variant: "paper", or "torchvision", as PyTorch's public weights need it: batch normalization in every
            convolution, 3 x 3 convolutions in the place of 5 x 5, other borders, dropout of 20 %. They take images
            scaled to [-1, 1], and were published with auxiliary heads that nobody had trained.

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities, or
        to the dict of three such. Weights are initialized after He et al. (2015, "Delving Deep"); dropout is 40 %
        before the classifier and 70 % in the auxiliary heads.

    Raises:
        InputError: images too small, an unknown module, variant, pooling or dtype, a weight file that does not fit.

    Example:
        >>> model = kerascnn.applications.GoogLeNet(classes=2, aux_heads=True)
        >>> sorted(model.output)
        ['aux_4a', 'aux_4d', 'main']
    """
    form = _form(module, batch_norm, variant)
    heads = network.include_top and aux_heads
    x = network.images(min_size=MIN_SIZE_WITH_HEADS if heads else MIN_SIZE, fixed_size=heads)
    x = form.unit(x, 64, 7, strides=2, padding=form.conv1_padding, name="conv1")  # 112 x 112 x 64
    x = form.halved(x, "pool1")  # 56 x 56 x 64
    if form.local_response:
        x = LocalResponseNormalization(name="norm1")(x)
    x = form.unit(x, 64, 1, name="conv2_reduce")
    x = form.unit(x, 192, 3, name="conv2")  # 56 x 56 x 192
    if form.local_response:
        x = LocalResponseNormalization(name="norm2")(x)
    x = form.halved(x, "pool2")  # 28 x 28 x 192

    outputs = {}
    for row in TABLE:
        x = MODULES[module](x, row, f"inception_{row.module}", form)
        if heads and row.module in AUXILIARY_HEADS:
            head = f"aux_{row.module}"
            outputs[head] = auxiliary_head(x, network, head, form)
        if row.module in POOL_AFTER:
            x = form.halved(x, f"pool{row.module[0]}")

    if not network.include_top:
        return network.features(x)
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)  # 1024
    x = keras.layers.Dropout(form.dropout, name="dropout")(x)
    main = network.classifier(x, INITIALIZER, predictions="main")
    return {"main": main, **outputs} if heads else main


def _form(module: str, batch_norm: bool, variant: str) -> Form:
    if module not in MODULES:
        raise InputError(f"GoogLeNet has modules 'inception' and 'naive', not {module!r}.")
    if variant not in VARIANTS:
        raise InputError(f"GoogLeNet has variants 'paper' and 'torchvision', not {variant!r}.")
    if variant == "torchvision":
        return TORCHVISION
    return NORMALIZED if batch_norm else PAPER


preprocess_input, decode_predictions = preprocessing.of_family("googlenet")
