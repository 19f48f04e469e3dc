"""A thin and deep stack of convolutions, on which the experiments compare layers at a small scale; not a paper's.

Source: it has the three stages, and the filters, of the residual networks for CIFAR (He et al., "Deep Residual
Learning", 2015, section 4.2) without their shortcuts and normalization. Its highway layers are those of Srivastava et
al., "Highway Networks" (2015), and its auxiliary classifiers, after every stage but the last, those of Lee et al.,
"Deeply-Supervised Nets" (2014), with average pools.
"""

import functools
import numbers
from pathlib import Path
from typing import Literal

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.network import CommonArguments, Network, Pooling, building, check_option
from kerascnn.errors import InputError
from kerascnn.layers import HE_NORMAL, BatchNormalization, conv_unit, highway_conv

FILTERS = (16, 32, 64)

INITIALIZER = HE_NORMAL
unit = functools.partial(conv_unit, kernel_initializer=INITIALIZER)
normalization = functools.partial(BatchNormalization, momentum=0.9, epsilon=1e-5)
highway = functools.partial(highway_conv, gate_bias=-2.0, kernel_initializer=INITIALIZER)


def ThinNet(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "thinnet",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    aux_heads: bool = False,
    depth: int = 20,
    layer: Literal["plain", "highway"] = "plain",
    batch_norm: bool = False,
    activation: Literal["relu", "prelu"] = "relu",
) -> keras.Model:
    """A stack of 3 x 3 convolutions for 32 x 32 images, in three stages of 16, 32 and 64 filters with pools between.

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: there are no public weights; None, a URL or a file.
        aux_heads: whether to add a classifier after the first and the second stage, for training; the outputs are then
            a dict of `main`, `aux_conv1` and `aux_conv2`.
        depth: the number of layers with weights in sequence, the classifier among them; at least 4.
        layer: "plain", a convolution with its activation; or "highway", with a gate whose bias begins at -2, after the
            first convolution of each stage, which is plain.
        batch_norm: whether batch normalization follows each convolution of plain layers.
        activation: "relu", or "prelu" with a learned slope per channel.

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities, or to a dict
        of three of them. Weights are initialized after He et al. (2015, "Delving Deep"); there is no dropout.

    Raises:
        InputError: a depth below 4, or highway layers with batch normalization.

    Example:
        >>> model = kerascnn.applications.ThinNet(depth=50, layer="highway")
    """
    common = CommonArguments.of(locals())
    check_option("ThinNet", "layer", layer, ("plain", "highway"))
    check_option("ThinNet", "activation", activation, ("relu", "prelu"))
    if batch_norm and layer != "plain":
        raise InputError(
            "ThinNet has batch normalization in plain layers only: leave out batch_norm or layer='highway'."
        )
    if not isinstance(depth, numbers.Integral) or depth <= len(FILTERS):
        raise InputError(f"ThinNet takes a depth of at least {len(FILTERS) + 1} layers, not {depth!r}.")
    first = functools.partial(unit, activation=activation, normalization=normalization if batch_norm else None)
    later = first if layer == "plain" else functools.partial(highway, activation=activation)
    with building("ThinNet", common) as network:
        x = network.images(min_size=4)
        heads = {}
        each, more = divmod(depth - 1, len(FILTERS))
        for stage, filters in enumerate(FILTERS, start=1):
            if stage > 1:
                if aux_heads and include_top:
                    heads[f"aux_conv{stage - 1}"] = _companion(x, network, f"aux_conv{stage - 1}")
                x = keras.layers.MaxPooling2D(2, name=f"pool{stage - 1}")(x)
            x = first(x, filters, 3, name=f"conv{stage}_1")
            for number in range(2, each + (stage <= more) + 1):
                x = later(x, filters, 3, name=f"conv{stage}_{number}")
        main = network.head(x, INITIALIZER)
        return network.model({"main": main, **heads} if heads else main)


def _companion(x: keras.KerasTensor, network: Network, name: str) -> keras.KerasTensor:
    x = keras.layers.GlobalAveragePooling2D(name=f"{name}_pool")(x)
    return network.classifier(x, INITIALIZER, name=f"{name}_fc")


preprocess_input, decode_predictions = preprocessing.of_family("thinnet")
