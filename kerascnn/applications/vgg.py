"""The VGG networks.

Source: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition" (2014), section 2.1
and table 1.

Differences from the paper:
    None in the layers. `batch_norm=True` adds batch normalization between each convolution and its ReLU, which is
    common, but not in the paper. Weights are initialized after Glorot and Bengio (2010); section 3.1 says that the
    authors' own way, to start from the trained weights of shallower networks, is then not needed.
    One reprint of table 1 gives 4094 for the second dense layer; it is 4096.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.network import CommonArguments, Network, Pooling, building
from kerascnn.layers import BatchNormalization, conv_unit


class Configuration(NamedTuple):
    """A column of table 1: the kernel size of every convolution, from one max pool to the next."""

    conv1: tuple[int, ...]
    conv2: tuple[int, ...]
    conv3: tuple[int, ...]
    conv4: tuple[int, ...]
    conv5: tuple[int, ...]


# Table 1: (3, 1) is "conv3" and "conv1". Above, the height and width of the maps at 224 pixels.
# fmt: off
#                 224     112     56            28            14
A = Configuration((3,),   (3,),   (3, 3),       (3, 3),       (3, 3))
B = Configuration((3, 3), (3, 3), (3, 3),       (3, 3),       (3, 3))
C = Configuration((3, 3), (3, 3), (3, 3, 1),    (3, 3, 1),    (3, 3, 1))
D = Configuration((3, 3), (3, 3), (3, 3, 3),    (3, 3, 3),    (3, 3, 3))
E = Configuration((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3))
# fmt: on

# Table 1: 64 for "conv3-64". The dense layers, "FC-4096", are in `_dense_layers`.
FILTERS = {"conv1": 64, "conv2": 128, "conv3": 256, "conv4": 512, "conv5": 512}

INITIALIZER = "glorot_uniform"
normalization = functools.partial(BatchNormalization, momentum=0.9, epsilon=1e-5)


def VGG11(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "vgg11",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    batch_norm: bool | None = None,
) -> keras.Model:
    """VGG-11 (Simonyan and Zisserman, 2014, table 1, column A).

    Args:
        include_top, weights, …, dtype, and errors: see `kerascnn.applications.network.CommonArguments`.
        weights: None, "torchvision", without (69.02 % top-1) or with batch normalization (70.37 % top-1), a URL
            or a file.
        batch_norm: whether batch normalization follows each convolution; None for what the weights need, or else
            False, as in the paper.

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities.
        Weights are initialized after Glorot and Bengio (2010); dropout is 50 % after both dense layers of 4096.

    Example:
        >>> model = kerascnn.applications.VGG11(classes=10)
    """
    return _vgg("VGG11", CommonArguments.of(locals()), A, batch_norm)


def VGG13(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "vgg13",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    batch_norm: bool | None = None,
) -> keras.Model:
    """VGG-13 (Simonyan and Zisserman, 2014, table 1, column B).

    As `VGG11`, but for the public weights: `weights` is None, "torchvision", without (69.928 % top-1) or with batch
    normalization (71.586 % top-1), a URL or a file.

    Example:
        >>> model = kerascnn.applications.VGG13(classes=10)
    """
    return _vgg("VGG13", CommonArguments.of(locals()), B, batch_norm)


def VGG16(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "vgg16",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    batch_norm: bool | None = None,
) -> keras.Model:
    """VGG-16 (Simonyan and Zisserman, 2014, table 1, column D).

    As `VGG11`, but for the public weights: `weights` is None, "keras" (71.3 % top-1), "torchvision", without (71.592 %
    top-1) or with batch normalization (73.36 % top-1), a URL or a file.

    Example:
        >>> model = kerascnn.applications.VGG16(classes=10)
    """
    return _vgg("VGG16", CommonArguments.of(locals()), D, batch_norm)


def VGG16C(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "vgg16c",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    batch_norm: bool | None = None,
) -> keras.Model:
    """VGG-16C (Simonyan and Zisserman, 2014, table 1, column C).

    As `VGG11`, but there are no public weights.

    Example:
        >>> model = kerascnn.applications.VGG16C(classes=10)
    """
    return _vgg("VGG16C", CommonArguments.of(locals()), C, batch_norm)


def VGG19(
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "vgg19",
    *,
    dtype: str | keras.DTypePolicy | None = None,
    batch_norm: bool | None = None,
) -> keras.Model:
    """VGG-19 (Simonyan and Zisserman, 2014, table 1, column E).

    As `VGG11`, but for the public weights: `weights` is None, "keras" (71.3 % top-1), "torchvision", without (72.376 %
    top-1) or with batch normalization (74.218 % top-1), a URL or a file.

    Example:
        >>> model = kerascnn.applications.VGG19(classes=10)
    """
    return _vgg("VGG19", CommonArguments.of(locals()), E, batch_norm)


def _vgg(builder: str, common: CommonArguments, column: Configuration, batch_norm: bool | None) -> keras.Model:
    with building(builder, common, batch_norm=batch_norm) as network:
        unit = functools.partial(
            conv_unit,
            normalization=normalization if network.option("batch_norm", (True, False)) else None,
            # Public weights of the normalized networks have biases before the normalization.
            use_bias=True,
            kernel_initializer=INITIALIZER,
        )
        x = network.images(min_size=32, fixed_size=common.include_top)
        for stage, filters in FILTERS.items():
            for number, kernel_size in enumerate(getattr(column, stage), start=1):
                x = unit(x, filters, kernel_size, name=f"{stage}_{number}")
            x = keras.layers.MaxPooling2D(2, strides=2, name=f"pool{stage[-1]}")(x)
        return network.model(_dense_layers(x, network) if common.include_top else network.features(x))


def _dense_layers(x: keras.KerasTensor, network: Network) -> keras.KerasTensor:
    x = keras.layers.Flatten(name="pool5_flatten")(x)  # 7 x 7 x 512
    for name in ("fc6", "fc7"):
        x = keras.layers.Dense(4096, activation="relu", kernel_initializer=INITIALIZER, name=name)(x)
        x = keras.layers.Dropout(0.5, name=f"{name}_dropout")(x)
    return network.classifier(x, INITIALIZER)


preprocess_input, decode_predictions = preprocessing.of_family("vgg16")
