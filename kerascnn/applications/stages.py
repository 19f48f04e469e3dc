"""The stages of a network: the layers of one resolution of its feature maps.

A stage is named after its stride, C2 for maps four times smaller than the image, C5 for maps 32 times smaller (the
names of Lin et al., "Feature Pyramid Networks for Object Detection", 2016, section 3). It ends with the last map of its
resolution on which all later layers depend, so that no block or module is cut in two.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras

from kerascnn.applications.deep import functional
from kerascnn.errors import InputError
from kerascnn.keras_internals import nodes_in_order
from kerascnn.layers import Preprocessing

# Stages after the last feature map: dense layers before the classifier, and the classifiers.
DENSE, HEAD = "dense", "head"

PYRAMID = ("C2", "C3", "C4", "C5")


def features(model: keras.Model, levels: Sequence[str] = PYRAMID) -> keras.Model:
    """A network's feature maps at several strides, for detection and segmentation.

    Args:
        model: any network of `kerascnn.applications`, with or without its top, or a trained model.
        levels: names of strides, "C2" for 4, "C3" for 8, "C4" for 16, "C5" for 32.

    Returns:
        A model from the input of `model` to a dict of the maps by level, (batch, height, width, channels). It shares
        the layers of `model`.

    Raises:
        InputError: the network has no feature maps of a level.

    Example:
        >>> pyramid = features(ResNet50(include_top=False, input_shape=(512, 512, 3)), ["C3", "C4", "C5"])
        >>> pyramid.output["C5"].shape
        (None, 16, 16, 2048)
    """
    nodes = main_nodes(model)
    maps = _last_maps(nodes)
    for level in levels:
        if level not in maps:
            raise InputError(f"{model.name} has no feature maps '{level}'; it has {', '.join(maps)}.")
    outputs = {level: nodes[maps[level]].outputs[0] for level in levels}
    return functional(model.inputs[0], outputs, name=f"{model.name}_features")


def stages(model: keras.Model) -> dict[str, tuple[keras.layers.Layer, ...]]:
    """All layers that have weights to train, from the image to the classes, by stage: those that are frozen together.

    The main classifier and the auxiliary classifiers are the `head`.

    Example:
        >>> list(stages(VGG16()))
        ['C0', 'C1', 'C2', 'C3', 'C4', 'dense', 'head']
    """
    nodes = main_nodes(model)
    maps = _last_maps(nodes)
    found = {name: [] for name in (*maps, DENSE, HEAD)}
    main = [(index, node.operation) for index, node in enumerate(nodes) if _is_trained(node.operation)]
    for index, layer in main:
        found[next((name for name, last in maps.items() if index <= last), DENSE)].append(layer)
    if classifier := classifier_node(nodes):
        next(layers for layers in found.values() if classifier.operation in layers).remove(classifier.operation)
        found[HEAD].append(classifier.operation)
    main_layers = {id(layer) for _, layer in main}
    found[HEAD] += [layer for layer in model.layers if _is_trained(layer) and id(layer) not in main_layers]
    return {name: tuple(layers) for name, layers in found.items() if layers}


def classifier_node(nodes: list) -> Any | None:
    """The one among `main_nodes` that classifies: the last dense layer, or a convolution with a map for every class.

    None of a network without its top.
    """
    last = next((index for index in reversed(range(len(nodes))) if _is_trained(nodes[index].operation)), 0)
    if isinstance(nodes[last].operation, keras.layers.Dense):
        return nodes[last]
    pools = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
    pooled = [isinstance(node.operation, pools) for node in nodes[last:]]
    # Features of a network without its top are pooled last.
    is_classifier = isinstance(nodes[last].operation, keras.layers.Conv2D) and any(pooled) and not pooled[-1]
    return nodes[last] if is_classifier else None


def _is_trained(layer: keras.Operation) -> bool:
    return bool(getattr(layer, "weights", ())) and not isinstance(layer, Preprocessing)


def main_nodes(model: keras.Model) -> list:
    """Keras' nodes from the input to the main output, each after its inputs."""
    output = model.output.get("main") if isinstance(model.output, dict) else model.output
    return nodes_in_order(functional(model.inputs[0], model.output if output is None else output))


def whole_maps(nodes: list) -> list[tuple[int, str]]:
    """The index and the stage ("C4") of each node whose map all later layers depend on, in the order of the graph.

    No earlier output is used after such a map, so the network can be cut there.
    """
    producer: dict[int, int] = {}
    strides: list[int] = []
    last_use = [0] * len(nodes)
    for index, node in enumerate(nodes):
        inputs = [producer[id(tensor)] for tensor in node.input_tensors]
        for one in inputs:
            last_use[one] = index
        strides.append(max((strides[one] for one in inputs), default=1) * _stride(node.operation))
        producer.update((id(tensor), index) for tensor in node.outputs)
    found = []
    used_until = 0
    for index, (node, stride) in enumerate(zip(nodes, strides, strict=True)):
        tensor = node.outputs[0]
        # A zero padding belongs to the layer after it.
        whole = len(tensor.shape) == 4 and not isinstance(node.operation, keras.layers.ZeroPadding2D)
        if whole and used_until <= index and math.log2(stride).is_integer():
            found.append((index, f"C{round(math.log2(stride))}"))
        used_until = max(used_until, last_use[index])
    return found


def _last_maps(nodes: list) -> dict[str, int]:
    """The index of the node with the last map of every resolution, the largest first."""
    return {stage: index for index, stage in whole_maps(nodes)}


def _stride(operation: keras.Operation) -> int:
    strides = getattr(operation, "strides", 1)
    return strides if isinstance(strides, int) else strides[0]
