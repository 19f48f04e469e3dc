"""The VGG networks.

Source: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition" (2014), section 2.1
and table 1.

Differences from the paper:
    None in the layers; `batch_norm=True` adds batch normalization after each convolution and before its
    rectification, which is younger than the paper and in common use. Weights are initialized after Glorot and Bengio
    (2010), which the paper names as the better alternative to its own pre-training of shallower nets (section 3.1).
    One reprint of table 1 gives 4094 for the second dense layer; it is 4096.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import keras

from kerascnn.applications import preprocessing
from kerascnn.applications.builder import Builder, Network, builder
from kerascnn.layers import BatchNormalization, conv_unit


class Row(NamedTuple):
    """A column of table 1: the kernel sizes of each stage's convolutions."""

    conv1: tuple[int, ...]
    conv2: tuple[int, ...]
    conv3: tuple[int, ...]
    conv4: tuple[int, ...]
    conv5: tuple[int, ...]


# fmt: off
TABLE = {
    #                     224     112     56            28            14
    "VGG11":  Row(       (3,),   (3,),   (3, 3),       (3, 3),       (3, 3)),        # A
    "VGG13":  Row(       (3, 3), (3, 3), (3, 3),       (3, 3),       (3, 3)),        # B
    "VGG16C": Row(       (3, 3), (3, 3), (3, 3, 1),    (3, 3, 1),    (3, 3, 1)),     # C
    "VGG16":  Row(       (3, 3), (3, 3), (3, 3, 3),    (3, 3, 3),    (3, 3, 3)),     # D
    "VGG19":  Row(       (3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),  # E
}
# fmt: on

FILTERS = {"conv1": 64, "conv2": 128, "conv3": 256, "conv4": 512, "conv5": 512}

INITIALIZER = "glorot_uniform"
normalization = functools.partial(BatchNormalization, momentum=0.9, epsilon=1e-5)


def _column(public: str) -> Builder:
    """The builder of one column of the table."""

    @builder(public=public, size=224, min_size=32)
    def layers(network: Network, *, batch_norm: bool = False) -> keras.KerasTensor:
        """{name} (Simonyan and Zisserman, 2014, table 1).

        Args:
            {common}
            batch_norm: whether batch normalization follows each convolution.

        Returns:
            A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities.
            Weights are initialized after Glorot and Bengio (2010); dropout is 50 % after both dense layers of 4096.

        Raises:
            InputError: images too small, an unknown pooling or dtype, a weight file that does not fit.

        Example:
            >>> model = kerascnn.applications.{name}(classes=10)
        """
        unit = functools.partial(
            conv_unit,
            normalization=normalization if batch_norm else None,
            # Public weights of the normalized networks have biases before the normalization.
            use_bias=True,
            kernel_initializer=INITIALIZER,
        )
        x = network.images(fixed_size=network.include_top)
        for stage, filters in FILTERS.items():
            for number, kernel_size in enumerate(getattr(TABLE[public], stage), start=1):
                x = unit(x, filters, kernel_size, name=f"{stage}_{number}")
            x = keras.layers.MaxPooling2D(2, strides=2, name=f"pool{stage[-1]}")(x)
        if not network.include_top:
            return network.features(x)
        return _dense_layers(x, network)

    return layers


def _dense_layers(x: keras.KerasTensor, network: Network) -> keras.KerasTensor:
    x = keras.layers.Flatten(name="pool5_flatten")(x)  # 7 x 7 x 512
    for name in ("fc6", "fc7"):
        x = keras.layers.Dense(4096, activation="relu", kernel_initializer=INITIALIZER, name=name)(x)
        x = keras.layers.Dropout(0.5, name=f"{name}_dropout")(x)
    return network.classifier(x, INITIALIZER, logits="fc8")


VGG11 = _column("VGG11")
VGG13 = _column("VGG13")
VGG16 = _column("VGG16")
VGG16C = _column("VGG16C")
VGG19 = _column("VGG19")

preprocess_input, decode_predictions = preprocessing.of_family("vgg16")
