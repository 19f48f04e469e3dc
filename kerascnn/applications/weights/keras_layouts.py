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

`to_keras` goes the other way, with zeros for those biases, and in the order of keras.applications' models, which is
what their files are read by: there, a block has its projection before its last convolution, and not behind it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import keras
import numpy as np

from kerascnn.applications.weights.variants import ArchitectureVariant, VariantCheck
from kerascnn.errors import InputError

# How the names of auxiliary heads' layers begin, which keras.applications' networks have not.
AUXILIARY = "aux"

# The arrays of each layer, in the order of `layer.weights`.
Stored = dict[str, list[np.ndarray]]

# fmt: off
VGG = {
    # theirs                               ours
    "block{stage}_conv{number}":           "conv{stage}_{number}",
    "fc1":                                 "fc6",
    "fc2":                                 "fc7",
    "predictions":                         "fc8",
}
RESNET = {
    # theirs                               ours
    "conv1_conv":                          "conv1",
    "conv1_bn":                            "conv1_bn",
    "conv{stage}_block{block}_0_conv":     "conv{stage}_{block}_shortcut",
    "conv{stage}_block{block}_0_bn":       "conv{stage}_{block}_shortcut_bn",
    "conv{stage}_block{block}_{row}_conv": "conv{stage}_{block}_{row}",
    "conv{stage}_block{block}_{row}_bn":   "conv{stage}_{block}_{row}_bn",
    "predictions":                         "fc",
    "probs":                               "fc",  # in files of 2019
}
# fmt: on


class KerasLayout(NamedTuple):
    """How keras.applications stores a network.

    Attributes:
        names: of its layers, and ours, braces standing for a number; None where order tells them.
        epsilon: of its batch normalization.
        biases: whether the convolutions before that have them.
        form: which one keras.applications has, of the networks that our builder makes.
    """

    names: dict[str, str] | None
    epsilon: float | None = None
    biases: bool = False
    form: ArchitectureVariant = ArchitectureVariant()


BOTTLENECKS = KerasLayout(
    RESNET,
    epsilon=1.001e-5,
    biases=True,
    form=ArchitectureVariant(
        {"shortcut": "B", "stride_in": "1x1"},
        (VariantCheck("conv3_1_1", "strides", (2, 2)), VariantCheck("conv3_1_shortcut", "strides", (2, 2))),
    ),
)
LAYOUTS = {
    "VGG16": KerasLayout(VGG),
    "VGG19": KerasLayout(VGG),
    "ResNet50": BOTTLENECKS,
    "ResNet101": BOTTLENECKS,
    "ResNet152": BOTTLENECKS,
    "InceptionV3": KerasLayout(
        None,
        epsilon=1e-3,
        form=ArchitectureVariant(
            {"variant": "released", "stem": "released"},
            (VariantCheck("conv1_bn", "scale", False), VariantCheck("conv4", "kernel_size", (1, 1))),
        ),
    ),
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


def to_keras(network: str, layers: Sequence[keras.layers.Layer]) -> Stored:
    """What keras.applications' network would store, had it the weights of ours; `translated` the other way.

    Args:
        network: the builder's name.
        layers: the network's; those of auxiliary heads, which keras.applications has not, are left out.

    Returns:
        Arrays in float32 by its layers' names, in its order.

    Raises:
        InputError: keras.applications has no such network, or another form of it.

    Example:
        >>> list(to_keras("VGG16", VGG16().layers))[:2]
        ['block1_conv1', 'block1_conv2']
    """
    layout = LAYOUTS.get(network)
    if layout is None:
        raise InputError(f"keras.applications has no {network}; of the networks here it has {', '.join(LAYOUTS)}.")
    layers = [layer for layer in layers if layer.weights and not layer.name.startswith(AUXILIARY)]
    layout.form.check("keras.applications'", network, layers)
    if layout.names is None:
        names = _numbered(layers)
    else:
        names = {layer.name: _their_name(network, layer.name, layout.names) for layer in layers}
    stored = {}
    for layer in _in_their_order(layers):
        arrays = [keras.ops.convert_to_numpy(weight).astype("float32") for weight in layer.weights]
        if isinstance(layer, keras.layers.BatchNormalization):
            arrays[-1] = arrays[-1] - np.float32(layout.epsilon - layer.epsilon)
        elif layout.biases and len(arrays) == 1:
            arrays.append(np.zeros(arrays[0].shape[-1], "float32"))
        stored[names[layer.name]] = arrays
    return stored


def _in_their_order(layers: Sequence[keras.layers.Layer]) -> list[keras.layers.Layer]:
    """A projection before the last convolution of its block, and so their batch normalizations."""
    places = {layer.name: place for place, layer in enumerate(layers)}

    def place(layer: keras.layers.Layer) -> float:
        beside = layer.name.replace("_shortcut", "_3")
        return places[layer.name] if beside == layer.name else places[beside] - 0.5

    return sorted(layers, key=place)


def _numbered(layers: Sequence[keras.layers.Layer]) -> dict[str, str]:
    """The names that Keras gives to layers that nobody names."""
    names, counts = {}, Counter()
    for layer in layers:
        if isinstance(layer, keras.layers.Dense):
            names[layer.name] = "predictions"
            continue
        kind = "conv2d" if isinstance(layer, keras.layers.Conv2D) else "batch_normalization"
        names[layer.name] = f"{kind}_{counts[kind]}" if counts[kind] else kind
        counts[kind] += 1
    return names


def _renamed(name: str, rows: Iterable[tuple[str, str]]) -> str | None:
    """The right side of the row whose left side the name is, with the name's numbers; None where there is none."""
    for before, after in rows:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>\\d+)", before)
        if match := re.fullmatch(pattern, name):
            return after.format(**match.groupdict())
    return None


def _our_name(theirs: str, names: dict[str, str]) -> str:
    name = _renamed(theirs, names.items())
    if name is None:
        raise InputError(f"its layer '{theirs}' has no counterpart.")
    return name


def _their_name(network: str, ours: str, names: dict[str, str]) -> str:
    name = _renamed(ours, ((right, left) for left, right in names.items()))
    if name is None:
        raise InputError(f"keras.applications' {network} has nothing like the layer '{ours}'.")
    return name


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
