"""Network in Network (NIN), and the deeply supervised net (DSN) made of it.

Sources: Lin, Chen and Yan, "Network In Network" (2013), section 4.2; Lee, Xie, Gallagher, Zhang and Tu,
"Deeply-Supervised Nets" (2014), section 3. The papers do not print their layers: the table is that of the authors'
configurations for CIFAR-10 (mavenlin/cuda-convnet, NIN/cifar-10_def; s9xie/DSN, examples/best_cifar10_9.65).

Differences from the papers:
    Both configurations pool by the maximum after both blocks; the first authors' later one for Caffe averages after the
    second. The last average covers the whole map, so that other image sizes work; at 32 pixels that is their 8 x 8.
    DSN's authors train the classifier for CIFAR-10 with the squared hinge loss, and for data of more classes with
    softmax. Here it is softmax, and the companions give probabilities too; the difference of two classes' scores is
    that of the logarithms of their probabilities, which the squared hinge loss of a recipe takes.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.network import CommonArguments, Network, Outputs, Pooling, building
from kerascnn.layers import conv_unit


class Layer(NamedTuple):
    """A convolution of the configurations, with ReLU; "cccp" is their name for one of 1 x 1 pixels."""

    name: str
    filters: int | None  # None for one per class
    size: int
    pool: str | None = None  # the max pool after it, 3 x 3 with stride 2, followed by dropout


# fmt: off
TABLE = (
    #     name   filters size pool
    Layer("conv1", 192,  5),
    Layer("cccp1", 160,  1),
    Layer("cccp2",  96,  1, "pool1"),  # 32 x 32 x 96, 16 x 16 x 96
    Layer("conv2", 192,  5),
    Layer("cccp3", 192,  1),
    Layer("cccp4", 192,  1, "pool2"),  # 16 x 16 x 192, 8 x 8 x 192
    Layer("conv3", 192,  3),
    Layer("cccp5", 192,  1),           # 8 x 8 x 192
    Layer("cccp6", None, 1),           # 8 x 8 x classes
)
# fmt: on

# Their companions classify these convolutions' outputs before ReLU.
COMPANIONS = ("conv1", "conv2", "conv3")

MIN_SIZE = 4

INITIALIZER = {"class_name": "RandomNormal", "config": {"stddev": 0.05}}
# Caffe's "xavier", of the companions in the authors' configuration: uniform, with variance 1 / fan-in.
XAVIER = "lecun_uniform"
unit = functools.partial(conv_unit, kernel_initializer=INITIALIZER, activation=None)


def NIN(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "nin",
    *,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """NIN for 32 x 32 images (Lin, Chen and Yan, 2013, section 4.2): nine convolutions, no dense layer.

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: there are no public weights; None, a URL or a file.

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities: the softmax
        of each class's average map, or, without the last ReLU, its sigmoid. Initial weights are Gaussian with standard
        deviation 0.05; dropout is 50 % after both pools.

    Example:
        >>> model = kerascnn.applications.NIN()
    """
    with building("NIN", CommonArguments.of(locals())) as network:
        # A sigmoid per class behind ReLU could say of no class that it is absent.
        several = include_top and keras.activations.get(classifier_activation) is keras.activations.sigmoid
        return network.model(_layers(network, heads=False, last=None if several else "relu"))


def DSN(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    name: str = "dsn",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    aux_heads: bool = False,
) -> keras.Model:
    """DSN for 32 x 32 images (Lee et al., 2014, section 3): NIN with companion classifiers on hidden layers.

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: there are no public weights; None, a URL or a file.
        aux_heads: whether to add the three companions, for training; the outputs are then a dict of `main`,
            `aux_conv1`, `aux_conv2` and `aux_conv3`. The recipe `dsn` has their losses, weights and threshold.

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities, or to a dict
        of four of them. It is NIN without the last ReLU; initialization and dropout are the same, but for
        the companions' weights, which are uniform with variance 1 / fan-in.

    Example:
        >>> model = kerascnn.applications.DSN(aux_heads=True)
        >>> sorted(model.output)
        ['aux_conv1', 'aux_conv2', 'aux_conv3', 'main']
    """
    with building("DSN", CommonArguments.of(locals())) as network:
        return network.model(_layers(network, heads=include_top and aux_heads, last=None))


def _layers(network: Network, heads: bool, last: str | None) -> Outputs:
    """The table; `last` is the activation of its last row, `heads` whether there are companions."""
    x = network.images(min_size=MIN_SIZE, fixed_size=heads)
    outputs = {}
    for row in TABLE if network.include_top else TABLE[:-1]:
        x = unit(x, row.filters or network.common.classes, row.size, name=row.name)
        if heads and row.name in COMPANIONS:
            outputs[f"aux_{row.name}"] = _companion(x, network, f"aux_{row.name}")
        if activation := "relu" if row.filters else last:
            x = keras.layers.Activation(activation, name=f"{row.name}_{activation}")(x)
        if row.pool:
            x = keras.layers.MaxPooling2D(3, strides=2, padding="same", name=row.pool)(x)
            x = keras.layers.Dropout(0.5, name=f"{row.pool}_dropout")(x)
    if not network.include_top:
        return network.features(x)
    x = keras.layers.GlobalAveragePooling2D(dtype="float32", name="avg_pool")(x)
    main = keras.layers.Activation(network.common.classifier_activation, dtype="float32", name="predictions")(x)
    return {"main": main, **outputs} if heads else main


def _companion(x: keras.KerasTensor, network: Network, name: str) -> keras.KerasTensor:
    return network.classifier(keras.layers.Flatten(name=f"{name}_flatten")(x), XAVIER, name=f"{name}_fc")


preprocess_input, decode_predictions = preprocessing.of_family("nin")
