"""Inception v3: the network that its authors released, and the one of table 1.

Source: Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception Architecture for Computer Vision" (2015),
sections 2 to 6, table 1 and figures 5 to 8 and 10; for the released network, its public weights as keras.applications
reads them.

Differences from the paper:
    The released network, `stem="released"`, is not that of table 1. Instead of the table's last three 3 x 3
    convolutions it has one of 1 x 1, one of 3 x 3 and a max pool; its modules at 35 x 35 have a 5 x 5 convolution
    instead of the 3 x 3 one in the branch of figure 5 that has only one, and the first two of these modules take
    192 and 256 channels; and it has four modules of figure 6, not five.
    `stem="paper"` is the network of table 1. The table gives only the sizes of maps and the figures of modules. The
    filters inside the modules and the two grid reductions between them are those of the released network; the fifth
    module of figure 6 has the filters of the fourth.
    The 5 x 5 convolution of the auxiliary head is smaller where its map is, for images of less than 299 pixels, as
    in the authors' program; for larger images, its outputs are averaged.
    The paper does not state the initialization, the constants of batch normalization and the dropout. Weights are
    initialized after He et al. (2015), as in the authors' program, which truncates the Gaussian. As in the program,
    batch normalization has no scale, and epsilon is 1e-3. Its momentum is 0.99, as in keras.applications; the
    program's 0.9997 needs many thousands of steps. The program's dropout of 20 % before the classifier is left out,
    as in keras.applications. The average pool before the classifier covers the whole feature map, so that other
    image sizes work; at 299 pixels that is the table's 8 x 8.
    `variant="torchvision"` is the released network as torchvision has it: batch normalization has a scale and a
    momentum of 0.9; average pools inside the modules count the zeros of their padding, which those of the released
    network do not; dropout of 50 % precedes the classifier.
    The paper's 4.8 billion multiply-adds are of neither network: the released one has 5.71, the table's 6.48
    billion.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.network import CommonArguments, Network, Outputs, Pooling, building, check_option
from kerascnn.layers import HE_NORMAL, BatchNormalization, channel_axis, conv_unit


class InceptionA(NamedTuple):
    """Filters of a module of figure 5."""

    conv1x1: int  # of the 1 x 1 convolution ("1x1")
    # reduce, conv: of the branch with one convolution, and of the 1 x 1 convolution before it ("3x3r", "3x3").
    reduce: int
    conv: int
    # reduce_double, double3x3: of the branch with two, and of the 1 x 1 convolution before them ("dblr", "dbl").
    reduce_double: int
    double3x3: int
    pool_proj: int  # of the 1 x 1 convolution after the pool ("proj")
    kernel: int = 3  # the size of `conv`, 3 in the paper


class ReductionA(NamedTuple):
    """Filters of the first grid reduction (figure 10), from 35 x 35 to 17 x 17."""

    conv3x3: int
    reduce_double: int
    double3x3: int


class InceptionB(NamedTuple):
    """Filters of a module of figure 6: `conv7x7` inside its branches, `out` at their ends."""

    conv7x7: int
    out: int


class ReductionB(NamedTuple):
    """Filters of the second grid reduction, from 17 x 17 to 8 x 8."""

    conv7x7: int
    conv3x3: int


class InceptionC(NamedTuple):
    """Filters of a module of figure 7."""

    conv1x1: int  # of the 1 x 1 convolution
    reduce_double: int  # of the 1 x 1 convolution before the 3 x 3 one
    bank: int  # of each convolution of the expanded filter banks, and of the one before them
    pool_proj: int  # of the 1 x 1 convolution after the pool


Module = InceptionA | ReductionA | InceptionB | ReductionB | InceptionC

# Table 1: the rows of modules, with the grid reductions before the rows whose maps are smaller; `factorized_stem` and
# `end_of_paper_stem` have the rows before. Layers have the names of keras.applications. After each row, its output.
# fmt: off
TABLE_1: dict[str, Module] = {
    # "3 x Inception, as in figure 5":
    #                    1x1 3x3r  3x3 dblr  dbl proj
    "mixed0":  InceptionA(64,  48,  64,  64,  96,  64),            # 35 x 35 x 288
    "mixed1":  InceptionA(64,  48,  64,  64,  96,  64),            # 35 x 35 x 288
    "mixed2":  InceptionA(64,  48,  64,  64,  96,  64),            # 35 x 35 x 288
    #                    3x3 dblr  dbl
    "mixed3":  ReductionA(384, 64,  96),                           # 17 x 17 x 768
    # "5 x Inception, as in figure 6":
    #                    7x7  out
    "mixed4":  InceptionB(128, 192),                               # 17 x 17 x 768
    "mixed5":  InceptionB(160, 192),                               # 17 x 17 x 768
    "mixed6":  InceptionB(160, 192),                               # 17 x 17 x 768
    "mixed7":  InceptionB(192, 192),                               # 17 x 17 x 768
    "mixed8":  InceptionB(192, 192),                               # 17 x 17 x 768
    #                    7x7  3x3
    "mixed9":  ReductionB(192, 320),                               # 8 x 8 x 1280
    # "2 x Inception, as in figure 7":
    #                    1x1 dblr bank proj
    "mixed10": InceptionC(320, 448, 384, 192),                     # 8 x 8 x 2048
    "mixed11": InceptionC(320, 448, 384, 192),                     # 8 x 8 x 2048
}
# Not in the paper.
RELEASED: dict[str, Module] = {
    #                    1x1 5x5r  5x5 dblr  dbl proj
    "mixed0":  InceptionA(64,  48,  64,  64,  96,  32, kernel=5),  # 35 x 35 x 256
    "mixed1":  InceptionA(64,  48,  64,  64,  96,  64, kernel=5),  # 35 x 35 x 288
    "mixed2":  InceptionA(64,  48,  64,  64,  96,  64, kernel=5),  # 35 x 35 x 288
    #                    3x3 dblr  dbl
    "mixed3":  ReductionA(384, 64,  96),                           # 17 x 17 x 768
    #                    7x7  out
    "mixed4":  InceptionB(128, 192),                               # 17 x 17 x 768
    "mixed5":  InceptionB(160, 192),                               # 17 x 17 x 768
    "mixed6":  InceptionB(160, 192),                               # 17 x 17 x 768
    "mixed7":  InceptionB(192, 192),                               # 17 x 17 x 768
    #                    7x7  3x3
    "mixed8":  ReductionB(192, 320),                               # 8 x 8 x 1280
    #                    1x1 dblr bank proj
    "mixed9":  InceptionC(320, 448, 384, 192),                     # 8 x 8 x 2048
    "mixed10": InceptionC(320, 448, 384, 192),                     # 8 x 8 x 2048
}
# fmt: on

# Pixels: one is left after five strides of 2 without padding; the auxiliary head's 5 x 5 pool needs more.
MIN_SIZE = 75
MIN_SIZE_WITH_HEAD = 107

Stem = Literal["released", "paper"]
Variant = Literal["released", "torchvision"]
Unit = Callable[..., keras.KerasTensor]

INITIALIZER = HE_NORMAL
normalization = functools.partial(BatchNormalization, momentum=0.99, epsilon=1e-3, scale=False)
plain_unit = functools.partial(conv_unit, kernel_initializer=INITIALIZER)
max_pool = functools.partial(keras.layers.MaxPooling2D, 3, strides=2)


def average_pool(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """A 3 x 3 average pool that does not count the zeros of its padding."""
    return keras.layers.AveragePooling2D(3, strides=1, padding="same", name=name)(x)


def average_pool_with_zeros(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """A 3 x 3 average pool that counts the zeros of its padding."""
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return keras.layers.AveragePooling2D(3, strides=1, name=name)(x)


class Layers(NamedTuple):
    """What differs between variants of the network."""

    unit: Unit  # makes a convolution, batch normalization and ReLU
    # Makes a 3 x 3 average pool of stride 1, from its input and name.
    average_pool: Callable[[keras.KerasTensor, str], keras.KerasTensor]
    dropout: float = 0.0  # the rate before the classifier


RELEASED_LAYERS = Layers(functools.partial(plain_unit, normalization=normalization), average_pool)
TORCHVISION_LAYERS = Layers(
    functools.partial(plain_unit, normalization=functools.partial(BatchNormalization, momentum=0.9, epsilon=1e-3)),
    average_pool_with_zeros,
    dropout=0.5,
)


def InceptionV3(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "inception_v3",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    aux_heads: bool = False,
    stem: Stem = "released",
    variant: Variant | None = None,
) -> keras.Model:
    """Inception v3 (Szegedy et al., 2015, "Rethinking", section 6), as it was released.

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: None, "keras" (77.9 % top-1, variant="released", no auxiliary head), "torchvision" (77.294 % top-1,
            variant="torchvision"), a URL or a file; the public weights need stem="released".
        aux_heads: whether to add the batch-normalized auxiliary classifier on the last 17 x 17 module, for training;
            the outputs are then a dict of `main` and `aux`. It needs images of at least 107 x 107 pixels.
        stem: "released", the network that has public weights, or "paper", the network of table 1.
        variant: "released", or "torchvision", which torchvision's public weights need: batch normalization has a
            scale, average pools count the zeros of their padding, and dropout of 50 % precedes the classifier. None for
            what the weights need, or else "released".

    Returns:
        A `keras.Model` from images, scaled to [-1, 1], to (batch, classes) float32 probabilities, or to a dict of
        two of them. Weights are initialized after He et al. (2015, "Delving Deep"), the auxiliary head's last two
        layers with a standard deviation of 0.01 and 0.001; the released variant has no dropout.

    Example:
        >>> model = kerascnn.applications.InceptionV3(classes=10, aux_heads=True)
        >>> sorted(model.output)
        ['aux', 'main']
    """
    common = CommonArguments.of(locals())
    check_option("InceptionV3", "stem", stem, get_args(Stem))
    with building("InceptionV3", common, aux_heads=aux_heads, stem=stem, variant=variant) as network:
        variant = network.option("variant", get_args(Variant))
        layers = TORCHVISION_LAYERS if variant == "torchvision" else RELEASED_LAYERS
        unit = layers.unit
        x = factorized_stem(images(network, aux_heads), unit)  # 147 x 147 x 64
        if stem == "paper":
            x = end_of_paper_stem(x, unit)  # 35 x 35 x 288
        else:
            x = max_pool(name="pool1")(x)  # 73 x 73 x 64
            x = unit(x, 80, 1, name="conv4")  # 73 x 73 x 80
            x = unit(x, 192, 3, padding="valid", name="conv5")  # 71 x 71 x 192
            x = max_pool(name="pool2")(x)  # 35 x 35 x 192
        table = TABLE_1 if stem == "paper" else RELEASED
        return network.model(modules_and_heads(x, network, table, unit if aux_heads else None, layers))


def images(network: Network, aux_heads: bool) -> keras.KerasTensor:
    """The input tensor, which must be large enough for the auxiliary head."""
    head = network.include_top and aux_heads
    return network.images(min_size=MIN_SIZE_WITH_HEAD if head else MIN_SIZE, fixed_size=head)


def factorized_stem(x: keras.KerasTensor, unit: Unit) -> keras.KerasTensor:
    """The first three rows of table 1, instead of a 7 x 7 convolution."""
    x = unit(x, 32, 3, strides=2, padding="valid", name="conv1")  # 149 x 149 x 32
    x = unit(x, 32, 3, padding="valid", name="conv2")  # 147 x 147 x 32
    return unit(x, 64, 3, name="conv3")  # 147 x 147 x 64


def end_of_paper_stem(x: keras.KerasTensor, unit: Unit) -> keras.KerasTensor:
    """The next four rows of table 1."""
    x = max_pool(name="pool1")(x)  # 73 x 73 x 64
    x = unit(x, 80, 3, padding="valid", name="conv4")  # 71 x 71 x 80
    x = unit(x, 192, 3, strides=2, padding="valid", name="conv5")  # 35 x 35 x 192
    return unit(x, 288, 3, name="conv6")  # 35 x 35 x 288


def modules_and_heads(
    x: keras.KerasTensor,
    network: Network,
    table: Mapping[str, Module],
    head_unit: Unit | None,
    layers: Layers = RELEASED_LAYERS,
) -> Outputs:
    """The modules of `table`, applied to the stem's output `x`, and the classifiers.

    `head_unit` makes the convolutions of the auxiliary head; None for a network without it.
    """
    last_17 = [name for name, row in table.items() if isinstance(row, InceptionB)][-1]
    outputs = {}
    for name, row in table.items():
        x = MODULES[type(row)](x, row, name, layers)
        if name == last_17 and head_unit is not None and network.include_top:
            outputs["aux"] = auxiliary_head(x, network, head_unit)
    main = network.head(x, INITIALIZER, dropout=layers.dropout)
    return {"main": main, **outputs} if outputs else main


def inception_a(x: keras.KerasTensor, row: InceptionA, name: str, layers: Layers) -> keras.KerasTensor:
    """Figure 5, at 35 x 35: one convolution of `row.kernel` and two of 3 x 3 in parallel."""
    unit, size = layers.unit, f"{row.kernel}x{row.kernel}"
    branch1 = unit(x, row.conv1x1, 1, name=f"{name}_1x1")
    branch = unit(x, row.reduce, 1, name=f"{name}_{size}_reduce")
    branch = unit(branch, row.conv, row.kernel, name=f"{name}_{size}")
    double = unit(x, row.reduce_double, 1, name=f"{name}_double_3x3_reduce")
    double = unit(double, row.double3x3, 3, name=f"{name}_double_3x3_1")
    double = unit(double, row.double3x3, 3, name=f"{name}_double_3x3_2")
    return concat([branch1, branch, double, pool_branch(x, layers, row.pool_proj, name)], name)


def reduction_a(x: keras.KerasTensor, row: ReductionA, name: str, layers: Layers) -> keras.KerasTensor:
    """Figure 10, from 35 x 35 to 17 x 17: strided convolutions and a max pool in parallel."""
    unit = layers.unit
    branch = unit(x, row.conv3x3, 3, strides=2, padding="valid", name=f"{name}_3x3")
    double = unit(x, row.reduce_double, 1, name=f"{name}_double_3x3_reduce")
    double = unit(double, row.double3x3, 3, name=f"{name}_double_3x3_1")
    double = unit(double, row.double3x3, 3, strides=2, padding="valid", name=f"{name}_double_3x3_2")
    return concat([branch, double, max_pool(name=f"{name}_pool")(x)], name)


def inception_b(x: keras.KerasTensor, row: InceptionB, name: str, layers: Layers) -> keras.KerasTensor:
    """Figure 6 with n = 7, at 17 x 17: one and two 7 x 7 convolutions, factorized, in parallel."""
    unit = layers.unit
    branch1 = unit(x, row.out, 1, name=f"{name}_1x1")
    branch = unit(x, row.conv7x7, 1, name=f"{name}_7x7_reduce")
    branch = unit(branch, row.conv7x7, (1, 7), name=f"{name}_1x7")
    branch = unit(branch, row.out, (7, 1), name=f"{name}_7x1")
    double = unit(x, row.conv7x7, 1, name=f"{name}_double_7x7_reduce")
    double = unit(double, row.conv7x7, (7, 1), name=f"{name}_double_7x1_1")
    double = unit(double, row.conv7x7, (1, 7), name=f"{name}_double_1x7_1")
    double = unit(double, row.conv7x7, (7, 1), name=f"{name}_double_7x1_2")
    double = unit(double, row.out, (1, 7), name=f"{name}_double_1x7_2")
    return concat([branch1, branch, double, pool_branch(x, layers, row.out, name)], name)


def reduction_b(x: keras.KerasTensor, row: ReductionB, name: str, layers: Layers) -> keras.KerasTensor:
    """As figure 10, from 17 x 17 to 8 x 8, with a factorized 7 x 7 convolution before the second strided one."""
    unit = layers.unit
    branch = unit(x, row.conv7x7, 1, name=f"{name}_3x3_reduce")
    branch = unit(branch, row.conv3x3, 3, strides=2, padding="valid", name=f"{name}_3x3")
    second = unit(x, row.conv7x7, 1, name=f"{name}_7x7_reduce")
    second = unit(second, row.conv7x7, (1, 7), name=f"{name}_1x7")
    second = unit(second, row.conv7x7, (7, 1), name=f"{name}_7x1")
    second = unit(second, row.conv7x7, 3, strides=2, padding="valid", name=f"{name}_7x7_3x3")
    return concat([branch, second, max_pool(name=f"{name}_pool")(x)], name)


def inception_c(x: keras.KerasTensor, row: InceptionC, name: str, layers: Layers) -> keras.KerasTensor:
    """Figure 7, at 8 x 8: expanded filter banks, each a 1 x 3 and a 3 x 1 convolution in parallel."""
    unit = layers.unit
    branch1 = unit(x, row.conv1x1, 1, name=f"{name}_1x1")
    branch = unit(x, row.bank, 1, name=f"{name}_3x3_reduce")
    double = unit(x, row.reduce_double, 1, name=f"{name}_double_3x3_reduce")
    double = unit(double, row.bank, 3, name=f"{name}_double_3x3")
    banks = [
        concat([unit(y, row.bank, (1, 3), name=f"{bank}_1x3"), unit(y, row.bank, (3, 1), name=f"{bank}_3x1")], bank)
        for y, bank in ((branch, f"{name}_bank"), (double, f"{name}_double_bank"))
    ]
    return concat([branch1, *banks, pool_branch(x, layers, row.pool_proj, name)], name)


MODULES = {
    InceptionA: inception_a,
    ReductionA: reduction_a,
    InceptionB: inception_b,
    ReductionB: reduction_b,
    InceptionC: inception_c,
}


def pool_branch(x: keras.KerasTensor, layers: Layers, filters: int, name: str) -> keras.KerasTensor:
    """The last branch of the modules: average pool and projection."""
    return layers.unit(layers.average_pool(x, f"{name}_pool"), filters, 1, name=f"{name}_pool_proj")


def concat(branches: Sequence[keras.KerasTensor], name: str) -> keras.KerasTensor:
    """The branches, concatenated over their channels."""
    return keras.layers.Concatenate(channel_axis(), name=name)(branches)


def auxiliary_head(x: keras.KerasTensor, network: Network, unit: Unit) -> keras.KerasTensor:
    """Figure 8: a small classifier on the last 17 x 17 module."""
    x = keras.layers.AveragePooling2D(5, strides=3, name="aux_pool")(x)  # 5 x 5 x 768
    x = unit(x, 128, 1, name="aux_conv1")  # 5 x 5 x 128
    height, width = (x.shape[axis] for axis in range(1, 4) if axis != channel_axis())
    kernel = min(height, 5), min(width, 5)
    initializer = keras.initializers.TruncatedNormal(stddev=0.01)
    x = unit(x, 768, kernel, padding="valid", kernel_initializer=initializer, name="aux_conv2")  # 1 x 1 x 768
    x = keras.layers.GlobalAveragePooling2D(name="aux_avg_pool")(x)
    initializer = keras.initializers.TruncatedNormal(stddev=0.001)
    return network.classifier(x, initializer, name="aux_fc")


preprocess_input, decode_predictions = preprocessing.of_family("inceptionv3")
