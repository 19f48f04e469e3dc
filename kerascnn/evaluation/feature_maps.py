"""Finds the feature maps in a network's graph: the tensors that still have positions."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from kerascnn.applications.deep import functional
from kerascnn.errors import InputError
from kerascnn.keras_internals import nodes_in_order, producing_node
from kerascnn.layers import ClassLabels

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)

# Their output shows nothing that their input does not show better.
PASS_THROUGH = (
    keras.layers.AveragePooling2D,
    keras.layers.Dropout,
    keras.layers.MaxPooling2D,
    keras.layers.SpatialDropout2D,
    keras.layers.ZeroPadding2D,
)

# The layer that makes two probabilities of one.
TWO_CLASSES = "two_classes"

PROBABILITIES = (keras.activations.softmax, keras.activations.sigmoid)


class FeatureMap(NamedTuple):
    """A tensor (batch, rows, columns, channels) with more than one position, and its layer."""

    layer: keras.Operation
    tensor: keras.KerasTensor


def flatten_model(model: keras.Model) -> keras.Model:
    """A functional model of one input with nested models replaced by copies of their layers; itself if there are none.

    A nested model without a graph, such as a subclassed one, is traced. One that calls functions of TensorFlow instead
    of Keras cannot be traced and stays a layer.
    """
    opaque: set[str] = set()

    def call(layer: keras.Operation, *arguments, **named):
        if isinstance(layer, keras.Model) and layer.name not in opaque:
            if "training" in inspect.signature(layer.call).parameters:
                named = {**named, "training": False}
            try:
                return layer.call(*arguments, **named)
            except (ValueError, TypeError, AttributeError, NotImplementedError):
                opaque.add(layer.name)
        return layer(*arguments, **named)

    while any(isinstance(layer, keras.Model) and layer.name not in opaque for layer in model.layers):
        copy = keras.models.clone_model(model, clone_function=copied, recursive=True)
        copy.set_weights(model.get_weights())
        _rename_twins(copy)
        pixels = keras.Input(model.inputs[0].shape[1:], name="pixels")
        model = keras.models.clone_model(copy, pixels, clone_function=lambda layer: layer, call_function=call)
    return model


def copied(
    layer: keras.Operation, change: Callable[[dict[str, Any]], dict[str, Any]] = lambda config: config
) -> keras.Operation:
    """A copy without weights and with a changed config; the layer itself if its class does not say how it was made."""
    try:
        return type(layer).from_config(change(layer.get_config()))
    # What Keras raises for a class without its own `get_config`, and for the code of a `Lambda` layer.
    except (NotImplementedError, TypeError, ValueError):
        return layer


def _rename_twins(model: keras.Model, taken: set[str] | None = None) -> None:
    """Gives layers of nested models other names if another layer has the same."""
    taken = {"pixels"} if taken is None else taken
    for layer in getattr(model, "operations", model.layers):
        if isinstance(layer, keras.Model):
            _rename_twins(layer, taken)
        elif not isinstance(layer, keras.layers.InputLayer):
            free = (f"{layer.name}_{number}" for number in itertools.count(2))
            if layer.name in taken:
                layer.name = next(name for name in free if name not in taken)
            taken.add(layer.name)


def logits_of(probabilities: keras.KerasTensor) -> keras.KerasTensor:
    """The input of a classifier's softmax, or its output if it has none.

    A dense layer with a softmax activation is copied without it.
    """
    tensor = probabilities
    while True:
        layer, inputs = _layer_and_inputs(tensor)
        if layer.name == TWO_CLASSES:
            logit = logits_of(inputs[-1])
            return keras.layers.Concatenate(dtype="float32")([keras.layers.Rescaling(-1.0)(logit), logit])
        if isinstance(layer, keras.layers.Dense) and layer.activation in PROBABILITIES:
            dtype, name = layer.dtype_policy, f"{layer.name}_logits"
            linear = keras.layers.Dense(layer.units, use_bias=layer.use_bias, dtype=dtype, name=name)
            logits = linear(inputs[0])
            linear.set_weights(layer.get_weights())
            return logits
        passes = isinstance(layer, ClassLabels | keras.layers.Softmax)
        if not passes and not (isinstance(layer, keras.layers.Activation) and layer.activation in PROBABILITIES):
            return tensor
        tensor = inputs[0]


def classifier_input(model: keras.Model) -> keras.KerasTensor | None:
    """The input of a model's last dense layer, (batch, count); None if the model does not end in one.

    Example:
        >>> classifier_input(kerascnn.applications.ResNet50()).shape
        (None, 2048)
    """
    tensor = model.outputs[0]
    while True:
        layer, inputs = _layer_and_inputs(tensor)
        inputs = inputs[-1:] if layer.name == TWO_CLASSES else inputs
        if len(inputs) != 1:
            return None
        if isinstance(layer, keras.layers.Dense):
            return inputs[0] if len(inputs[0].shape) == 2 else None
        tensor = inputs[0]


def _layer_and_inputs(tensor: keras.KerasTensor) -> tuple[keras.Operation, list[keras.KerasTensor]]:
    node = producing_node(tensor)
    return node.operation, node.input_tensors


def feature_maps(pixels: keras.KerasTensor, outputs: keras.KerasTensor) -> list[FeatureMap]:
    """The feature maps from the first convolution on, in the order of the graph; InputError if there are none."""
    found, convolved = [], False
    for node in nodes_in_order(functional(pixels, outputs)):
        layer, tensor = node.operation, node.outputs[0]
        # A wrapper, such as spectral normalization, has the layer inside.
        convolved = convolved or isinstance(getattr(layer, "layer", layer), CONVOLUTIONS)
        if convolved and len(tensor.shape) == 4 and tensor.shape[1] * tensor.shape[2] > 1:
            found.append(FeatureMap(layer, tensor))
    if not convolved:
        raise InputError("the network has no convolution, so it has no feature maps.")
    if not found:
        raise InputError("the output of every convolution has a single position, so there is nothing to draw.")
    return found


def last_map(maps: list[FeatureMap]) -> FeatureMap:
    """The last feature map that is not merely a pooling, padding or dropout of another.

    Example:
        >>> last_map(feature_maps(vgg16.inputs[0], vgg16.outputs[0])).layer.name
        'conv5_3_relu'
    """
    return _without_pass_through(maps)[-1]


def last_of_every_size(maps: list[FeatureMap]) -> list[FeatureMap]:
    """The last such feature map of each size."""
    return list({one.tensor.shape[1:3]: one for one in _without_pass_through(maps)}.values())


def _without_pass_through(maps: list[FeatureMap]) -> list[FeatureMap]:
    return [one for one in maps if not isinstance(one.layer, PASS_THROUGH)]
