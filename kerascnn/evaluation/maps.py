"""The maps of a network, found in its graph: which tensors still know where in the image they look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import keras

from kerascnn.applications.deep import functional
from kerascnn.errors import InputError
from kerascnn.layers import ClassLabels

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)

# What these make of a map shows nothing that the map does not show better.
PASSING = (
    keras.layers.AveragePooling2D,
    keras.layers.Dropout,
    keras.layers.MaxPooling2D,
    keras.layers.SpatialDropout2D,
    keras.layers.ZeroPadding2D,
)

PROBABILITIES = (keras.activations.softmax, keras.activations.sigmoid)


class Map(NamedTuple):
    """A tensor (batch, rows, columns, channels) with more than one place, and the layer that makes it."""

    layer: keras.Operation
    tensor: keras.KerasTensor


def flat(model: keras.Model) -> keras.Model:
    """The model with the layers of models inside it as its own; itself where there are none inside."""
    while any(_is_nested(layer) for layer in model.layers):
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        model = keras.models.clone_model(
            copy,
            input_tensors=keras.Input(model.inputs[0].shape[1:], name="pixels"),
            clone_function=lambda layer: layer,
            call_function=lambda layer, *args, **kwargs: (layer.call if _is_nested(layer) else layer)(*args, **kwargs),
        )
    return model


def _is_nested(layer: keras.Operation) -> bool:
    return isinstance(layer, keras.Model) and bool(getattr(layer, "inputs", None))


def scores_before(probabilities: keras.KerasTensor) -> keras.KerasTensor:
    """What a classifier's softmax takes, or its output where it has none.

    A dense layer that ends in a softmax itself is repeated without it.
    """
    tensor = probabilities
    while True:
        layer, _, inputs = _origin(tensor)
        if isinstance(layer, keras.layers.Dense) and layer.activation in PROBABILITIES:
            return _linear(layer, inputs[0])
        passing = isinstance(layer, ClassLabels | keras.layers.Softmax)
        if not passing and not (isinstance(layer, keras.layers.Activation) and layer.activation in PROBABILITIES):
            return tensor
        tensor = inputs[0]


def classifier_input(model: keras.Model) -> keras.KerasTensor | None:
    """What the last dense layer of a model classifies, (batch, count); None where the model does not end in one.

    Example:
        >>> classifier_input(kerascnn.applications.ResNet50()).shape
        (None, 2048)
    """
    tensor = model.outputs[0]
    while True:
        layer, _, inputs = _origin(tensor)
        if len(inputs) != 1:
            return None
        if isinstance(layer, keras.layers.Dense):
            return inputs[0] if len(inputs[0].shape) == 2 else None
        tensor = inputs[0]


def _origin(tensor: keras.KerasTensor):
    layer, node, _ = tensor._keras_history
    return layer, node, layer._inbound_nodes[node].input_tensors


def _linear(dense: keras.layers.Dense, tensor: keras.KerasTensor) -> keras.KerasTensor:
    linear = keras.layers.Dense(
        dense.units, use_bias=dense.use_bias, dtype=dense.dtype_policy, name=f"{dense.name}_scores"
    )
    scores = linear(tensor)
    linear.set_weights(dense.get_weights())
    return scores


def maps_between(pixels: keras.KerasTensor, scores: keras.KerasTensor) -> list[Map]:
    """The maps from the first convolution on, in the order of the graph, with more than one place each.

    Raises:
        InputError: the network has no convolution, or none whose output has more than one place.
    """
    found, convolved = [], False
    for layer, tensor in _in_order(functional(pixels, scores)):
        convolved = convolved or isinstance(layer, CONVOLUTIONS)
        if convolved and len(tensor.shape) == 4 and tensor.shape[1] * tensor.shape[2] > 1:
            found.append(Map(layer, tensor))
    if not convolved:
        raise InputError("the network has no convolution, so nothing in it knows where in an image it looks.")
    if not found:
        raise InputError("the network's convolutions all end in a single place, so there is nothing to draw.")
    return found


def _in_order(model: keras.Model) -> Iterator[tuple[keras.Operation, keras.KerasTensor]]:
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            yield node.operation, node.outputs[0]


def last_map(maps: list[Map]) -> Map:
    """The last one that is more than a pooling, a padding or a dropout of another.

    Example:
        >>> last_map(maps_between(vgg16.inputs[0], vgg16.outputs[0])).layer.name
        'conv5_3_relu'
    """
    return _made(maps)[-1]


def last_of_every_size(maps: list[Map]) -> list[Map]:
    """Of every number of rows and columns the last such map, which has seen most of the image."""
    return list({one.tensor.shape[1:3]: one for one in _made(maps)}.values())


def _made(maps: list[Map]) -> list[Map]:
    return [one for one in maps if not isinstance(one.layer, PASSING)]
