"""What the layers of keras.applications' networks are called here.

Its published files, `…_weights_tf_dim_ordering_tf_kernels.h5` with and without top, and the files that its models
write hold the same layers. VGG and ResNet are known by their layers' names, of which the tables below tell the
counterparts; InceptionV3's layers are numbered, and known by their order, which is the same here.

keras.applications' ResNets differ in two ways, which are absorbed into the moving statistics, so that inference is
the same: their convolutions have biases, which the batch normalization behind them subtracts again as a part of the
mean (mean - bias), and their epsilon is 1.001e-5 and not 1e-5 (variance + 1.001e-5 - 1e-5). In training, where the
statistics are the batch's, a bias has no effect, and the epsilons' difference of 1e-8 remains. Their bottlenecks have
the stride in the first convolution, `stride_in="1x1"` here; the files fit "3x3" as well, where they give another
network, which is for fine-tuning at best.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from kerascnn.errors import InputError

# How the names of auxiliary heads' layers begin, which keras.applications' networks have not.
AUXILIARY = "aux"

# The arrays of each layer, in the order of `layer.weights`.
Stored = dict[str, list[np.ndarray]]

# fmt: off
VGG = {
    # theirs                          ours
    r"block(\d)_conv(\d)":            r"conv\1_\2",
    r"fc1":                           r"fc6",
    r"fc2":                           r"fc7",
    r"predictions":                   r"fc8",
}
RESNET = {
    # theirs                          ours
    r"conv1_conv":                    r"conv1",
    r"conv1_bn":                      r"conv1_bn",
    r"conv(\d)_block(\d+)_0_conv":    r"conv\1_\2_shortcut",
    r"conv(\d)_block(\d+)_0_bn":      r"conv\1_\2_shortcut_bn",
    r"conv(\d)_block(\d+)_(\d)_conv": r"conv\1_\2_\3",
    r"conv(\d)_block(\d+)_(\d)_bn":   r"conv\1_\2_\3_bn",
    r"predictions":                   r"fc",
    r"probs":                         r"fc",  # in files of 2019
}
# fmt: on


class Layout(NamedTuple):
    """How keras.applications stores a network.

    Attributes:
        names: patterns of its layers' names, and ours; None where order tells them.
        epsilon: of its batch normalization.
    """

    names: dict[str, str] | None
    epsilon: float | None = None


LAYOUTS = {
    "VGG16": Layout(VGG),
    "VGG19": Layout(VGG),
    "ResNet50": Layout(RESNET, epsilon=1.001e-5),
    "ResNet101": Layout(RESNET, epsilon=1.001e-5),
    "ResNet152": Layout(RESNET, epsilon=1.001e-5),
    "InceptionV3": Layout(None, epsilon=1e-3),
}


def translated(network: str, stored: Stored, layers: Sequence[keras.layers.Layer]) -> Stored:
    """A file of keras.applications as this package would have written it.

    Args:
        network: the builder's name; of others than `LAYOUTS`, the file is returned as it is.
        stored: the file's layers, in its order.
        layers: the network's, in the order of the model.

    Raises:
        InputError: a layer's name is in no table.
    """
    layout = LAYOUTS.get(network)
    if layout is None:
        return stored
    if layout.names is None:
        renamed = _by_order(stored, layers)
    else:
        renamed = {_our_name(name, layout.names): arrays for name, arrays in stored.items()}
    for layer in layers:
        complete = len(renamed.get(layer.name, ())) == len(layer.weights)
        if isinstance(layer, keras.layers.BatchNormalization) and complete:
            _absorb(renamed, layer, layout.epsilon)
    return renamed


def _our_name(theirs: str, names: dict[str, str]) -> str:
    for pattern, ours in names.items():
        if match := re.fullmatch(pattern, theirs):
            return match.expand(ours)
    raise InputError(f"its layer '{theirs}' has no counterpart.")


def _by_order(stored: Stored, layers: Sequence[keras.layers.Layer]) -> Stored:
    """The first convolution for the first convolution, and so on; what is left over keeps its name."""
    ours: dict[tuple[int, ...], list[str]] = {}
    for layer in layers:
        if not layer.name.startswith(AUXILIARY):
            ours.setdefault(tuple(len(weight.shape) for weight in layer.weights), []).append(layer.name)
    renamed = {}
    for name, arrays in stored.items():
        same_kind = ours.get(tuple(array.ndim for array in arrays))
        renamed[same_kind.pop(0) if same_kind else name] = arrays
    return renamed


def _absorb(weights: Stored, layer: keras.layers.BatchNormalization, epsilon: float) -> None:
    """Moves the bias before a normalization, and the difference of the epsilons, into its moving statistics."""
    convolution = layer.name.removesuffix("_bn")
    *scale_and_offset, mean, variance = weights[layer.name]
    kernel, *biases = weights.get(convolution, [None])
    for bias in biases:
        mean = mean - bias
    if biases:
        weights[convolution] = [kernel]
    weights[layer.name] = [*scale_and_offset, mean, variance + np.float32(epsilon - layer.epsilon)]
