"""The FitNets, thin and deep maxout networks that a wider teacher trains.

Source: Romero, Ballas, Ebrahimi Kahou, Chassang, Gatta and Bengio, "FitNets: Hints for Thin Deep Nets" (2014), section
4.1 and appendix. Column 4, and the dense layer of all, are those of the authors' configuration (adri-romsor/FitNets,
yaml/cifar10_fitnet19_all.yaml), and column 1 that of public programs; columns 2 and 3 could not be checked against the
paper's text.

Differences from the paper:
    The authors begin with weights between -0.005 and 0.005. Through so many layers gradients of these vanish: it takes
    the authors' first stage, hints of a teacher (docs/distillation.md), to train them. Here they are Gaussian with
    variance 1 / fan-in: the mean square of the larger of two such sums is that of one. The last pool covers the whole
    map, so that other image sizes work; at 32 pixels that is the paper's 8 x 8. With the configuration's 500 units of 5
    pieces in the dense layer, the networks have more parameters than the paper prints.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.network import CommonArguments, Pooling, building
from kerascnn.layers import HE_NORMAL, maxout_conv, maxout_dense


class Column(NamedTuple):
    """A column of the appendix: the filters of every 3 x 3 convolution from one max pool to the next."""

    block1: tuple[int, ...]  # 32 x 32
    block2: tuple[int, ...]  # 16 x 16
    block3: tuple[int, ...]  # 8 x 8


# fmt: off
TABLE = {
    1: Column((16, 16, 16),         (32, 32, 32),             (48, 48, 64)),
    2: Column((16, 32, 32),         (48, 64, 80),             (96, 96, 128)),
    3: Column((32, 48, 64, 64),     (80, 80, 80, 80),         (128, 128, 128)),
    4: Column((32, 32, 32, 48, 48), (80, 80, 80, 80, 80, 80), (128, 128, 128, 128, 128, 128)),
}
# fmt: on
PIECES, UNITS, DENSE_PIECES = 2, 500, 5

INITIALIZER = HE_NORMAL | {"config": HE_NORMAL["config"] | {"scale": 1.0}}
unit = functools.partial(maxout_conv, kernel_size=3, pieces=PIECES, kernel_initializer=INITIALIZER)


def FitNet1(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "fitnet1",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """FitNet 1 for 32 x 32 images (Romero et al., 2014, appendix): 11 layers.

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: there are no public weights; None, a URL or a file.

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities. Layers are
        `conv1`, `conv2`, … and `fc`, all maxout, and the classifier; there is no dropout. The authors' hint for FitNet
        4 is Maxout's `conv2`, for its `conv11`, each with its pool: `pool2`.

    Example:
        >>> model = kerascnn.applications.FitNet1()
    """
    return _fitnet("FitNet1", CommonArguments.of(locals()), TABLE[1])


def FitNet2(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "fitnet2",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """FitNet 2 for 32 x 32 images (Romero et al., 2014, appendix): 11 layers.

    Otherwise as `FitNet1`.

    Example:
        >>> model = kerascnn.applications.FitNet2()
    """
    return _fitnet("FitNet2", CommonArguments.of(locals()), TABLE[2])


def FitNet3(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "fitnet3",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """FitNet 3 for 32 x 32 images (Romero et al., 2014, appendix): 13 layers.

    Otherwise as `FitNet1`.

    Example:
        >>> model = kerascnn.applications.FitNet3()
    """
    return _fitnet("FitNet3", CommonArguments.of(locals()), TABLE[3])


def FitNet4(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "fitnet4",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """FitNet 4 for 32 x 32 images (Romero et al., 2014, appendix): 19 layers.

    Otherwise as `FitNet1`.

    Example:
        >>> model = kerascnn.applications.FitNet4()
    """
    return _fitnet("FitNet4", CommonArguments.of(locals()), TABLE[4])


def _fitnet(builder: str, common: CommonArguments, column: Column) -> keras.Model:
    with building(builder, common) as network:
        x, layers = network.images(min_size=4), 0
        for block, filters in enumerate(column, start=1):
            for number, count in enumerate(filters, start=layers + 1):
                x = unit(x, count, name=f"conv{number}")
            layers += len(filters)
            if block < len(column):
                x = keras.layers.MaxPooling2D(2, name=f"pool{block}")(x)
        if not network.include_top:
            return network.model(network.features(x))
        x = keras.layers.GlobalMaxPooling2D(name="pool3")(x)
        x = maxout_dense(x, UNITS, DENSE_PIECES, name="fc", kernel_initializer=INITIALIZER)
        return network.model(network.classifier(x, INITIALIZER))


preprocess_input, decode_predictions = preprocessing.of_family("fitnet1")
