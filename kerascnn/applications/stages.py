"""The stages of a network: what lies between one resolution of its feature maps and the next.

A stage is called after its stride, C2 for maps four times smaller than the image, C5 for maps 32 times smaller (the
names of Lin et al., "Feature Pyramid Networks for Object Detection", 2016, section 3). It ends with the last map of its
resolution that everything after it depends on, so that a block, or a module that halves the grid, is never cut in two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import keras

from kerascnn.applications.deep import functional
from kerascnn.errors import InputError
from kerascnn.layers import Preprocessing

# What comes behind the last feature map: dense layers before the classifier, and what is made for the classes.
DENSE, HEAD = "dense", "head"

PYRAMID = ("C2", "C3", "C4", "C5")


class Stage(NamedTuple):
    """Layers that are trained, or left alone, together.

    Attributes:
        name: "C0" to "C5", "dense" or "head".
        layers: those with weights, from the image on.
    """

    name: str
    layers: tuple[keras.layers.Layer, ...]


class _Map(NamedTuple):
    """The last feature map of a resolution, and its place in the walk from the image on."""

    name: str
    place: int
    tensor: keras.KerasTensor


def features(model: keras.Model, levels: Sequence[str] = PYRAMID) -> keras.Model:
    """A network's feature maps at several strides, as detectors and segmenters want them.

    Args:
        model: any network of `kerascnn.applications`, with or without its top, or a trained model.
        levels: names of strides, "C2" for 4, "C3" for 8, "C4" for 16, "C5" for 32.

    Returns:
        A model from what `model` takes to a dict of the maps by their level, (batch, height, width, channels), which
        shares the layers of `model`.

    Raises:
        InputError: the network has no maps of a level.

    Example:
        >>> pyramid = features(ResNet50(include_top=False, input_shape=(512, 512, 3)), ["C3", "C4", "C5"])
        >>> pyramid.output["C5"].shape
        (None, 16, 16, 2048)
    """
    maps = {found.name: found.tensor for found in _maps(_walk(model))}
    for level in levels:
        if level not in maps:
            raise InputError(f"{model.name} has no feature maps '{level}'; it has {', '.join(maps)}.")
    return functional(model.inputs[0], {level: maps[level] for level in levels}, name=f"{model.name}_features")


def stages(model: keras.Model) -> list[Stage]:
    """All layers that have weights to train, from the image to the classes.

    The classifier is the `head`, and with it auxiliary classifiers, which stand beside the way to the main one.

    Example:
        >>> [stage.name for stage in stages(VGG16())]
        ['C0', 'C1', 'C2', 'C3', 'C4', 'dense', 'head']
    """
    walk = _walk(model)
    found = {feature.name: [] for feature in _maps(walk)} | {DENSE: [], HEAD: []}
    ends = [(feature.place, feature.name) for feature in _maps(walk)]
    main = [(place, node.operation) for place, node in enumerate(walk) if _trained(node.operation)]
    for place, layer in main:
        found[next((name for end, name in ends if place <= end), DENSE)].append(layer)
    if found[DENSE] and isinstance(found[DENSE][-1], keras.layers.Dense):
        found[HEAD].append(found[DENSE].pop())
    on_the_way = {id(layer) for _, layer in main}
    found[HEAD] += [layer for layer in model.layers if _trained(layer) and id(layer) not in on_the_way]
    return [Stage(name, tuple(layers)) for name, layers in found.items() if layers]


def _trained(layer: keras.Operation) -> bool:
    return bool(getattr(layer, "weights", ())) and not isinstance(layer, Preprocessing)


def _walk(model: keras.Model) -> list:
    """Keras' nodes from the input to the main output, each after those that it needs."""
    output = model.output.get("main") if isinstance(model.output, dict) else model.output
    by_depth = functional(model.inputs[0], model.output if output is None else output)._nodes_by_depth
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def _maps(walk: list) -> list[_Map]:
    """The last map of every resolution, the largest first.

    A map is passed by everything when nothing that came before it is used after it.
    """
    maker: dict[int, int] = {}
    strides: list[int] = []
    last_use = [0] * len(walk)
    for place, node in enumerate(walk):
        inputs = [maker[id(tensor)] for tensor in node.input_tensors]
        for one in inputs:
            last_use[one] = place
        strides.append(max((strides[one] for one in inputs), default=1) * _stride(node.operation))
        maker.update((id(tensor), place) for tensor in node.outputs)
    found: dict[str, _Map] = {}
    used_until = 0
    for place, (node, stride) in enumerate(zip(walk, strides, strict=True)):
        tensor = node.outputs[0]
        # A border of zeros belongs to the layer behind it.
        whole = len(tensor.shape) == 4 and not isinstance(node.operation, keras.layers.ZeroPadding2D)
        if whole and used_until <= place and math.log2(stride).is_integer():
            name = f"C{round(math.log2(stride))}"
            found[name] = _Map(name, place, tensor)
        used_until = max(used_until, last_use[place])
    return list(found.values())


def _stride(operation: keras.Operation) -> int:
    strides = getattr(operation, "strides", 1)
    return strides if isinstance(strides, int) else strides[0]
