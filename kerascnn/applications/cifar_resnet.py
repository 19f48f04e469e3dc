"""The residual networks for CIFAR.

Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition" (2015), section 4.2 and its table:

    output map size   32 x 32   16 x 16   8 x 8
    # layers            1+2n      2n        2n
    # filters            16       32        64

Differences from the paper:
    None in the layers. The moving averages of batch normalization, which the paper does not state, decay by
    0.9 a step with epsilon 1e-5; strided convolutions pad one zero on every side, as the authors' program
    does, and not by TensorFlow's "same" rule.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import keras

from kerascnn.applications.model_ends import check_arguments, classifier, image_input, pool_features, source
from kerascnn.errors import InputError
from kerascnn.layers import BatchNormalization, SubsampledIdentity, conv_unit


class Row(NamedTuple):
    """A column of the table: map size halves where the stride is 2."""

    stage: str
    filters: int
    strides: int


STAGES = (
    Row("conv2", 16, 1),  # 32 x 32 x 16
    Row("conv3", 32, 2),  # 16 x 16 x 32
    Row("conv4", 64, 2),  # 8 x 8 x 64
)

# Depth is 6n + 2: two layers a block, n blocks a stage, conv1 and the dense layer.
BLOCKS_OF_DEPTH = {20: 3, 32: 5, 44: 7, 56: 9, 110: 18}

SHORTCUTS = ("A", "B", "C")

normalization = functools.partial(BatchNormalization, momentum=0.9, epsilon=1e-5)
unit = functools.partial(
    conv_unit, padding="symmetric", normalization=normalization, kernel_initializer="he_normal", use_bias=False
)


def shortcut_of(x: keras.KerasTensor, filters: int, strides: int, option: str, name: str) -> keras.KerasTensor:
    """Option A: identity, zeros for new channels. B: projection where dimensions change. C: projections."""
    channels = x.shape[3 if keras.config.image_data_format() == "channels_last" else 1]
    changes = strides != 1 or channels != filters
    if option == "C" or (option == "B" and changes):
        return unit(x, filters, 1, strides=strides, activation=None, name=f"{name}_shortcut")
    if changes:
        return SubsampledIdentity(filters, strides, name=f"{name}_shortcut")(x)
    return x


def block(x: keras.KerasTensor, filters: int, strides: int, option: str, name: str) -> keras.KerasTensor:
    """Two 3 x 3 convolutions beside a shortcut; the last rectification follows the addition."""
    y = unit(x, filters, 3, strides=strides, name=f"{name}_1")
    y = unit(y, filters, 3, activation=None, name=f"{name}_2")
    y = keras.layers.Add(name=f"{name}_add")([y, shortcut_of(x, filters, strides, option, name)])
    return keras.layers.Activation("relu", name=f"{name}_relu")(y)


def _cifar_resnet(
    depth: int,
    include_top,
    weights,
    input_tensor,
    input_shape,
    pooling,
    classes,
    classifier_activation,
    name,
    shortcut,
) -> keras.Model:
    network = f"ResNet{depth}"
    check_arguments(network, weights, pooling, classes)
    if shortcut not in SHORTCUTS:
        raise InputError(f"{network} has shortcuts 'A', 'B' and 'C', not {shortcut!r}.")
    inputs = image_input(network, input_tensor, input_shape, default_size=32, min_size=4)
    x = unit(inputs, 16, 3, name="conv1")
    for stage, filters, strides in STAGES:
        for number in range(1, BLOCKS_OF_DEPTH[depth] + 1):
            x = block(x, filters, strides if number == 1 else 1, shortcut, f"{stage}_{number}")
    if include_top:
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)  # 64
        x = classifier(
            x, classes, classifier_activation, logits="fc", predictions="predictions", initializer="he_normal"
        )
    else:
        x = pool_features(x, pooling)
    return keras.Model(source(inputs), x, name=name)


_ARGUMENTS = """

    Args:
        include_top: whether the average pooling and the dense layer end the network.
        weights: None; there are no public weights of this network.
        input_tensor: a Keras tensor of images to build on.
        input_shape: (height, width, channels), (32, 32, 3) by default; at least 4 pixels, None is a size too.
        pooling: without the top, None (feature maps), "avg" or "max".
        classes: the number of classes.
        classifier_activation: the activation of the dense layer; None gives logits.
        name: the model's name.
        shortcut: "A" (no parameters, the paper's choice on CIFAR), "B" or "C".

    Returns:
        A `keras.Model` from images, scaled to about zero mean, to (batch, classes) float32 probabilities.
        Weights are initialized after He et al. (2015, "Delving Deep"); there is no dropout.

    Raises:
        InputError: images too small, an unknown shortcut or pooling, weights that do not exist.

    Example:
        >>> model = kerascnn.applications.{name}(classes=10)
"""


def _member(depth: int):
    """The public builder of one depth: its signature is that of keras.applications."""

    def build(
        include_top: bool = True,
        weights: str | None = None,
        input_tensor: keras.KerasTensor | None = None,
        input_shape: tuple[int | None, ...] | None = None,
        pooling: str | None = None,
        classes: int = 10,
        classifier_activation: str | None = "softmax",
        name: str = f"resnet{depth}",
        *,
        shortcut: str = "A",
    ) -> keras.Model:
        return _cifar_resnet(
            depth,
            include_top,
            weights,
            input_tensor,
            input_shape,
            pooling,
            classes,
            classifier_activation,
            name,
            shortcut,
        )

    n = BLOCKS_OF_DEPTH[depth]
    build.__name__ = build.__qualname__ = f"ResNet{depth}"
    first_line = f"ResNet-{depth} for 32 x 32 images (He et al., 2015, section 4.2, n = {n})."
    build.__doc__ = first_line + _ARGUMENTS.format(name=f"ResNet{depth}")
    return build


ResNet20 = _member(20)
ResNet32 = _member(32)
ResNet44 = _member(44)
ResNet56 = _member(56)
ResNet110 = _member(110)
