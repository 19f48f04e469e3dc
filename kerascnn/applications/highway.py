"""The highway networks for CIFAR-10.

Sources: Srivastava, Greff and Schmidhuber, "Highway Networks" (2015), section 4, and "Training Very Deep Networks"
(2015), section 3.3. The papers do not print their layers. The 19 layers are those of the authors' configuration
(flukeskywalker/highway-networks, examples/highways/cifar10-19layers).

Differences from the papers:
    None in the 19 layers; the average covers the whole map, so that other image sizes work. The filler that the
    configuration calls "xavier" is a Gaussian with variance 2 / fan-in in the authors' program. That of the first layer
    has 0.05 as its value, which the program does not read; here it is the standard deviation, as of the classifier.
    Of the 32 layers only their number, about 1.25 million parameters and 3 x 3 and 1 x 1 convolutions in turn are
    published, and neither could be checked against the text: their widths are chosen here for that count, and give
    1,264,502. The later paper's network A, of 11 layers and 236,000 parameters, is not here: no configuration of it was
    found that has that count. Its B and C are the 19 and the 32 layers.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.network import CommonArguments, Pooling, building
from kerascnn.layers import HE_NORMAL, conv_unit, highway_conv


class Stage(NamedTuple):
    """A convolution with ReLU, 3 x 3, and the highway layers after it, of as many filters."""

    filters: int
    sizes: tuple[int, ...]  # the kernel size of each highway layer


# After each row, its output. Two layers follow: a 1 x 1 convolution of 100 filters, and the classifier.
# fmt: off
HIGHWAY_19 = (
    Stage(32,  (3, 3, 3, 3)),     # 32 x 32 x 32
    Stage(80,  (3, 3, 3, 3, 3)),  # 16 x 16 x 80
    Stage(128, (3, 3, 3, 3, 3)),  # 8 x 8 x 128
)
HIGHWAY_32 = (
    Stage(32, (1, 3, 1, 3, 1, 3, 1, 3, 1)),  # 32 x 32 x 32
    Stage(64, (1, 3, 1, 3, 1, 3, 1, 3, 1)),  # 16 x 16 x 64
    Stage(96, (1, 3, 1, 3, 1, 3, 1, 3, 1)),  # 8 x 8 x 96
)
# fmt: on

LAST_FILTERS = 100
GATE_BIAS = -2.0
DROPOUT = 0.2

INITIALIZER = HE_NORMAL
GAUSSIAN = {"class_name": "RandomNormal", "config": {"stddev": 0.05}}  # of the first layer and the classifier
unit = functools.partial(conv_unit, kernel_initializer=INITIALIZER)
highway = functools.partial(highway_conv, gate_bias=GATE_BIAS, kernel_initializer=INITIALIZER)


def Highway19(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "highway19",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """The highway network of 19 layers for 32 x 32 images (Srivastava et al., 2015, section 4).

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: there are no public weights; None, a URL or a file.

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities. Weights are
        initialized after He et al. (2015), the gates' biases with -2, so that layers begin by passing most of their
        input on; dropout is 20 % of the input, after both pools and before the classifier.

    Example:
        >>> model = kerascnn.applications.Highway19()
    """
    return _highway("Highway19", CommonArguments.of(locals()), HIGHWAY_19)


def Highway32(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "highway32",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """The thin highway network of 32 layers for 32 x 32 images ("Training Very Deep Networks", section 3.3).

    Otherwise as `Highway19`.

    Example:
        >>> model = kerascnn.applications.Highway32()
    """
    return _highway("Highway32", CommonArguments.of(locals()), HIGHWAY_32)


def _highway(builder: str, common: CommonArguments, stages: tuple[Stage, ...]) -> keras.Model:
    with building(builder, common) as network:
        x = keras.layers.Dropout(DROPOUT, name="pixels_dropout")(network.images(min_size=4))
        layers = 0
        for stage, (filters, sizes) in enumerate(stages, start=1):
            if stage > 1:
                x = keras.layers.MaxPooling2D(2, name=f"pool{stage - 1}")(x)
                x = keras.layers.Dropout(DROPOUT, name=f"pool{stage - 1}_dropout")(x)
            first = layers + 1
            x = unit(x, filters, 3, name=f"conv{first}", kernel_initializer=INITIALIZER if layers else GAUSSIAN)
            for number, size in enumerate(sizes, start=first + 1):
                x = highway(x, filters, size, name=f"conv{number}")
            layers += 1 + len(sizes)
        x = unit(x, LAST_FILTERS, 1, name=f"conv{layers + 1}")
        return network.model(network.head(x, GAUSSIAN, dropout=DROPOUT))


preprocess_input, decode_predictions = preprocessing.of_family("highway19")
