"""Cuts a network after one of its blocks: global pooling and a new classifier take the place of the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import keras

from kerascnn.applications.deep import functional
from kerascnn.applications.stages import classifier_node, main_nodes, whole_maps
from kerascnn.errors import InputError, closest
from kerascnn.keras_internals import producing_node
from kerascnn.layers import ClassLabels

POOL = "cut_pool"  # The name of the layer with the features of a cut network
MOST_PLACES = 16  # Of deeper networks, blocks are left out evenly

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
POOLED = (keras.layers.GlobalAveragePooling2D, keras.layers.Dropout)


class Place(NamedTuple):
    """Where a network can be cut."""

    name: str  # of the layer that returns the map
    stage: str  # of the map's stride: "C4" for 16
    tensor: keras.KerasTensor  # the map, (batch, height, width, channels)


def places(model: keras.Model, more: str = "") -> list[Place]:
    """The ends of a network's blocks from the image on, at most 16 of them, each stage's last among them.

    The place named `more`, if any, is added to them; see `place_named`.

    A block ends where all later layers depend on one map: at an Inception module's concatenation, a residual block's
    sum, and in a chain of layers after each convolution, its normalization and activation included.

    Example:
        >>> [place.name for place in places(keras.applications.InceptionV3(weights=None))][-2:]
        ['mixed9', 'mixed10']
    """
    nodes = _below_classifier(model)
    found: list[tuple[int, str]] = []
    begin = 0
    for index, stage in whole_maps(nodes):
        if any(isinstance(node.operation, CONVOLUTIONS) for node in nodes[begin : index + 1]):
            found.append((index, stage))
        elif found and found[-1][1] == stage:
            found[-1] = index, stage
        begin = index + 1
    last = {stage: index for index, stage in found}
    others = [index for index, _ in found if index not in last.values()]
    # Evenly, from the end on: the last blocks are more often the best.
    step = max(len(others) / max(MOST_PLACES - len(last), 1), 1)
    kept = {*last.values(), *(others[-1 - int(number * step)] for number in range(int(len(others) / step)))}
    if more:
        named = place_named(model, more).tensor
        found = sorted({*found, *(one for one in whole_maps(nodes) if nodes[one[0]].outputs[0] is named)})
        kept |= {index for index, _ in found if nodes[index].outputs[0] is named}
    return [_place(nodes, index, stage) for index, stage in found if index in kept]


def place_named(model: keras.Model, name: str) -> Place:
    """The place of a stage ("C4": its last map), of a layer or of a block whose layers begin with that name.

    Raises:
        InputError: the network cannot be cut there.

    Example:
        >>> place_named(GoogLeNet(), "inception_4e").tensor.shape
        (None, 14, 14, 832)
    """
    nodes = _below_classifier(model)
    others = [_place(nodes, index, stage) for index, stage in whole_maps(nodes)]
    if found := [place for place in others if name.upper() == place.stage]:
        return found[-1]
    # A block has often the name of its convolution, whose map is not yet normalized.
    for known in (places(model), others):
        if found := [place for place in known if f"{place.name}_".startswith(f"{name}_")]:
            return found[-1]
    names = dict.fromkeys(word for place in places(model) for word in (place.name, place.stage))
    if any(layer.name == name for layer in model.layers):
        raise InputError(
            f"{model.name} cannot be cut at '{name}', because later layers need other maps too; "
            f"it can at {', '.join(names)}."
        )
    raise InputError(f"{model.name} has no stage or layer '{name}' to cut at; {closest(name, names)}")


def classifier_of(model: keras.Model) -> keras.layers.Dense | keras.layers.Conv2D:
    """The layer of the main classifier, dense or a convolution (NIN's); InputError if the network has none."""
    if node := classifier_node(main_nodes(model)):
        return node.operation
    raise InputError(f"{model.name} does not end in a classifier that could be replaced.")


def last_features(model: keras.Model) -> keras.KerasTensor | None:
    """What a dense classifier gets, (batch, count): before dropout, and the last map where that is merely pooled.

    None of a convolution that classifies: what follows it keeps it from being fitted as a dense layer is. None of a
    cut network: it gets what its last place has.
    """
    classifier = classifier_of(model)
    if not isinstance(classifier, keras.layers.Dense) or producing_node(classifier.input).operation.name == POOL:
        return None
    tensor = classifier.input
    while isinstance(producing_node(tensor).operation, POOLED):
        [tensor] = producing_node(tensor).input_tensors
    return tensor


def cut(model: keras.Model, name: str) -> keras.Model:
    """The model up to a place, with a new classifier of the same name there; it shares the other layers.

    Auxiliary classifiers are left out, class names are kept.

    Args:
        model: a network, or an assembled model.
        name: see `place_named`.

    Raises:
        InputError: the network cannot be cut there, or has no classifier.

    Example:
        >>> cut(ResNet50(classes=3), "C4").count_params()
        8599939
    """
    outputs = _new_classifier(model)(pooled(place_named(model, name).tensor))
    for layer in _labels(model):
        outputs = ClassLabels.from_config(layer.get_config())(outputs)
    return functional(model.inputs[0], outputs, name=model.name)


def pooled(maps: keras.KerasTensor) -> keras.KerasTensor:
    """The features of a cut network, (batch, 2 x channels): the mean and the maximum of each channel, in float32.

    Below its top, a network's maps say where something is: the maximum adds one or two points of accuracy to the mean.
    """
    mean = keras.layers.GlobalAveragePooling2D(dtype="float32", name=f"{POOL}_mean")(maps)
    largest = keras.layers.GlobalMaxPooling2D(dtype="float32", name=f"{POOL}_max")(maps)
    return keras.layers.Concatenate(dtype="float32", name=POOL)([mean, largest])


def _new_classifier(model: keras.Model) -> keras.layers.Dense:
    """A dense layer in place of the main classifier, with its classes, activation and initial values."""
    old = classifier_of(model)
    if isinstance(old, keras.layers.Dense):
        return type(old).from_config(old.get_config())
    last = next(node.operation for node in reversed(main_nodes(model)) if not isinstance(node.operation, ClassLabels))
    softmax = isinstance(last, keras.layers.Softmax)
    activation = keras.activations.softmax if softmax else getattr(last, "activation", None)
    if activation is None:
        raise InputError(f"{model.name} ends in '{last.name}', no activation, so its classifier cannot be replaced.")
    values = {name: getattr(old, name) for name in ("kernel_initializer", "bias_initializer")}
    return keras.layers.Dense(old.filters, activation, dtype="float32", name=last.name, **values)


def _below_classifier(model: keras.Model) -> list:
    """Keras' nodes from the image to the main classifier, which is no place to cut."""
    nodes = main_nodes(model)
    classifier = classifier_node(nodes)
    return nodes[: nodes.index(classifier)] if classifier else nodes


def _labels(model: keras.Model) -> Iterable[ClassLabels]:
    return [layer for layer in model.layers if isinstance(layer, ClassLabels)]


def _place(nodes: list, index: int, stage: str) -> Place:
    return Place(nodes[index].operation.name, stage, nodes[index].outputs[0])
