"""The PReLU-nets for ImageNet.

Source: He, Zhang, Ren and Sun, "Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet
Classification" (2015), section 3 and table 3. The table is from memory and could not be checked against the paper's
text; its multiply-adds of B follow from it, those of A and C almost.

Differences from the paper:
    None in the layers that are known of. The paper prints neither the padding of the first convolution, which is 3
    pixels here, for the table's 112 x 112, nor the bins' borders of spatial pyramid pooling, which are those of He et
    al. (2014).
"""

import functools
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.network import CommonArguments, Pooling, building, check_option
from kerascnn.layers import HE_NORMAL, SpatialPyramidPooling, activation_layer, conv_unit

Rectifier = Literal["prelu", "relu"]


class Column(NamedTuple):
    """A column of table 3: the filters of the 3 x 3 convolutions of a size, and how many there are of each size."""

    filters: tuple[int, int, int]  # at 56 x 56, 28 x 28 and 14 x 14
    count: int


# Table 3. Before: a 7 x 7 convolution of 96 filters with stride 2, at 112 x 112, and a pool; after: spatial pyramid
# pooling and three dense layers.
A = Column((256, 512, 512), 5)
B = Column((256, 512, 512), 6)
C = Column((384, 768, 896), 6)
BINS = (7, 3, 2, 1)

# Pixels: the last map has at least as many positions per side as the finest level has bins.
MIN_SIZE = 16
MIN_SIZE_WITH_TOP = 112

INITIALIZER = HE_NORMAL


def PReLUNetA(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "preluneta",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    activation: Rectifier = "prelu",
) -> keras.Model:
    """PReLU-net A (He et al., 2015, "Delving Deep", table 3): 19 layers.

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: there are no public weights; None, a URL or a file.
        activation: of every layer but the classifier; "relu" is the network that the paper compares with (section 4).

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities. Every layer
        but the classifier has a PReLU with one slope per channel, initially 0.25 (section 2.1). Weights are initialized
        after section 2.2; dropout is 50 % after both dense layers of 4096.

    Example:
        >>> model = kerascnn.applications.PReLUNetA(classes=10)
    """
    return _prelu_net("PReLUNetA", CommonArguments.of(locals()), A, activation)


def PReLUNetB(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "prelunetb",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """PReLU-net B (He et al., 2015, "Delving Deep", table 3): 22 layers.

    Otherwise as `PReLUNetA`.

    Example:
        >>> model = kerascnn.applications.PReLUNetB(classes=10)
    """
    return _prelu_net("PReLUNetB", CommonArguments.of(locals()), B)


def PReLUNetC(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "prelunetc",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """PReLU-net C (He et al., 2015, "Delving Deep", table 3): 22 layers, wider.

    Otherwise as `PReLUNetA`.

    Example:
        >>> model = kerascnn.applications.PReLUNetC(classes=10)
    """
    return _prelu_net("PReLUNetC", CommonArguments.of(locals()), C)


def _prelu_net(builder: str, common: CommonArguments, column: Column, activation: Rectifier = "prelu") -> keras.Model:
    check_option(builder, "activation", activation, get_args(Rectifier))
    unit = functools.partial(conv_unit, padding="symmetric", kernel_initializer=INITIALIZER, activation=activation)
    top = common.include_top
    with building(builder, common) as network:
        x = network.images(min_size=MIN_SIZE_WITH_TOP if top else MIN_SIZE, fixed_size=top)
        x = unit(x, 96, 7, strides=2, name="conv1")
        for stage, filters in enumerate(column.filters, start=2):
            x = keras.layers.MaxPooling2D(2, name=f"pool{stage - 1}")(x)
            for number in range(1, column.count + 1):
                x = unit(x, filters, 3, name=f"conv{stage}_{number}")
        if not top:
            return network.model(network.features(x))
        x = SpatialPyramidPooling(BINS, name="spp")(x)
        for name in ("fc1", "fc2"):
            x = keras.layers.Dense(4096, kernel_initializer=INITIALIZER, name=name)(x)
            x = activation_layer(x, activation, name)
            x = keras.layers.Dropout(0.5, name=f"{name}_dropout")(x)
        return network.model(network.classifier(x, INITIALIZER))


preprocess_input, decode_predictions = preprocessing.of_family("preluneta")
