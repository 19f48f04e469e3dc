"""BN-Inception, the Inception network of the paper on batch normalization.

Source: Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
Shift" (2015), section 4.2 and figure 5.

Differences from the paper:
    Figure 5 prints 128 filters for the pool projections of 4c and 4d, but an output of 576 channels, which needs
    96; they have 96. The paper's first convolution is separable with a depth multiplier of 8, to save computation;
    figure 5 does not show that, and here it is an ordinary one. There are no auxiliary classifiers, as in figure 5.
    The paper does not state the initialization, which is that of He et al. (2015), nor the momentum and epsilon of
    batch normalization, which are 0.9 and 1e-5. The moving variance averages the biased variances of batches, the
    paper's the unbiased ones. The average pool before the classifier covers the whole feature map, so that other
    image sizes work; at 224 pixels that is the figure's 7 x 7.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.network import CommonArguments, Pooling, building
from kerascnn.layers import HE_NORMAL, BatchNormalization, channel_axis, conv_unit

AVERAGE, MAX = keras.layers.AveragePooling2D, keras.layers.MaxPooling2D


class InceptionModule(NamedTuple):
    """An inception row of figure 5, with the paper's columns: the number of filters of each convolution, and the pool.

    A row without a 1 x 1 convolution has stride 2, and its pool has no projection ("pass through").
    """

    module: str  # the row's name, "3a" for "inception (3a)"
    conv1x1: int | None  # "#1x1"
    reduce3x3: int  # "#3x3 reduce", the 1 x 1 convolution before the 3 x 3 one
    conv3x3: int  # "#3x3"
    reduce_double: int  # "double #3x3 reduce", the 1 x 1 convolution before the two of 3 x 3
    double3x3: int  # "double #3x3", of both
    pool: type[keras.layers.Layer]  # the layer of the pool
    pool_proj: int | None  # the filters of the 1 x 1 convolution after the pool


# Figure 5: the inception rows; `BNInception` has the others. After each row, its "output size".
# fmt: off
FIGURE_5 = (
    #                     #1x1 #3x3 #3x3  dbl  dbl   pool     pool
    #                          red.      red. #3x3            proj
    InceptionModule("3a",   64,  64,  64,  64,  96, AVERAGE,   32),  # 28 x 28 x 256
    InceptionModule("3b",   64,  64,  96,  64,  96, AVERAGE,   64),  # 28 x 28 x 320
    InceptionModule("3c", None, 128, 160,  64,  96, MAX,     None),  # 14 x 14 x 576
    InceptionModule("4a",  224,  64,  96,  96, 128, AVERAGE,  128),  # 14 x 14 x 576
    InceptionModule("4b",  192,  96, 128,  96, 128, AVERAGE,  128),  # 14 x 14 x 576
    InceptionModule("4c",  160, 128, 160, 128, 160, AVERAGE,   96),  # 14 x 14 x 576
    InceptionModule("4d",   96, 128, 192, 160, 192, AVERAGE,   96),  # 14 x 14 x 576
    InceptionModule("4e", None, 128, 192, 192, 256, MAX,     None),  # 7 x 7 x 1024
    InceptionModule("5a",  352, 192, 320, 160, 224, AVERAGE,  128),  # 7 x 7 x 1024
    InceptionModule("5b",  352, 192, 320, 192, 224, MAX,      128),  # 7 x 7 x 1024
)
# fmt: on

INITIALIZER = HE_NORMAL
normalization = functools.partial(BatchNormalization, momentum=0.9, epsilon=1e-5)
unit = functools.partial(conv_unit, normalization=normalization, kernel_initializer=INITIALIZER)


def BNInception(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "bninception",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """BN-Inception (Ioffe and Szegedy, 2015, figure 5): ten Inception modules, batch normalization throughout.

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: there are no public weights; None, a URL or a file.

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities. Weights are
        initialized after He et al. (2015, "Delving Deep"); there is no dropout.

    Example:
        >>> model = kerascnn.applications.BNInception(classes=10)
    """
    common = CommonArguments.of(locals())
    with building("BNInception", common) as network:
        x = unit(network.images(min_size=32), 64, 7, strides=2, name="conv1")  # 112 x 112 x 64
        x = MAX(3, strides=2, padding="same", name="pool1")(x)  # 56 x 56 x 64
        x = unit(x, 64, 1, name="conv2_reduce")
        x = unit(x, 192, 3, name="conv2")  # 56 x 56 x 192
        x = MAX(3, strides=2, padding="same", name="pool2")(x)  # 28 x 28 x 192
        for row in FIGURE_5:
            x = inception(x, row, f"inception_{row.module}")
        return network.model(network.head(x, INITIALIZER))


def inception(x: keras.KerasTensor, row: InceptionModule, name: str) -> keras.KerasTensor:
    """Figure 5's module: up to four branches, with two 3 x 3 convolutions instead of GoogLeNet's 5 x 5."""
    strides = 2 if row.conv1x1 is None else 1
    branches = []
    if row.conv1x1 is not None:
        branches.append(unit(x, row.conv1x1, 1, name=f"{name}_1x1"))
    branch = unit(x, row.reduce3x3, 1, name=f"{name}_3x3_reduce")
    branches.append(unit(branch, row.conv3x3, 3, strides=strides, name=f"{name}_3x3"))
    branch = unit(x, row.reduce_double, 1, name=f"{name}_double_3x3_reduce")
    branch = unit(branch, row.double3x3, 3, name=f"{name}_double_3x3_1")
    branches.append(unit(branch, row.double3x3, 3, strides=strides, name=f"{name}_double_3x3_2"))
    branch = row.pool(3, strides=strides, padding="same", name=f"{name}_pool")(x)
    if row.pool_proj is not None:
        branch = unit(branch, row.pool_proj, 1, name=f"{name}_pool_proj")
    return keras.layers.Concatenate(channel_axis(), name=name)([*branches, branch])


preprocess_input, decode_predictions = preprocessing.of_family("bninception")
