"""Translates between keras.applications' weight files and the layers of this package.

The published files, `…_weights_tf_dim_ordering_tf_kernels.h5` with and without top, and the files that
keras.applications' models write hold the same layers. VGG and ResNet layers are matched by name with the tables in
keras_names.yaml; InceptionV3's layers are numbered and are matched by order, which is the same here.

Two differences of keras.applications' ResNets are absorbed into the moving statistics, so that inference is the same:
their convolutions have biases, which batch normalization subtracts again as part of the mean (mean - bias), and their
epsilon is 1.001e-5 instead of 1e-5 (variance + 1.001e-5 - 1e-5). In training, which uses the batch's statistics, a bias
has no effect, and the difference of 1e-8 remains. Their bottlenecks stride in the first convolution, here
`stride_in="1x1"`; the files also fit "3x3", which is another function, useful for fine-tuning at best.

`to_keras` goes the other way, with zero biases and in the layer order of keras.applications' models, by which their
files are read: there, a block's projection comes before its last convolution.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import yaml

from kerascnn.applications.weights.tensor_files import written_whole
from kerascnn.applications.weights.variants import ArchitectureVariant
from kerascnn.errors import InputError

# The prefix of auxiliary heads' layers, which keras.applications' networks do not have.
AUXILIARY = "aux"

# The arrays of each layer, in the order of `layer.weights`.
Stored = dict[str, list[np.ndarray]]

# Names of a layer's arrays by their number: batch normalization has four, or three without a scale.
KERNEL = ("kernel", "bias")
NORMALIZATION = {4: ("gamma", "beta", "moving_mean", "moving_variance"), 3: ("beta", "moving_mean", "moving_variance")}

VGG, RESNET = yaml.safe_load(Path(__file__).with_name("keras_names.yaml").read_text(encoding="utf-8")).values()


class KerasLayout(NamedTuple):
    """How keras.applications stores a network."""

    # Our layer names by keras.applications', with numbers in braces; None if layers are matched by order.
    names: dict[str, str] | None
    epsilon: float | None = None  # of its batch normalization
    biases: bool = False  # whether convolutions before batch normalization have biases
    variant: ArchitectureVariant = ArchitectureVariant()  # the variant that keras.applications has


BOTTLENECKS = ArchitectureVariant(
    {"shortcut": "B", "stride_in": "1x1"},
    {"conv3_1_1.strides": (2, 2), "conv3_1_shortcut.strides": (2, 2)},
)
RELEASED = ArchitectureVariant(
    {"variant": "released", "stem": "released"},
    {"conv1_bn.scale": False, "conv4.kernel_size": (1, 1)},
)
LAYOUTS = {
    **dict.fromkeys(("VGG16", "VGG19"), KerasLayout(VGG)),
    **dict.fromkeys(("ResNet50", "ResNet101", "ResNet152"), KerasLayout(RESNET, 1.001e-5, True, BOTTLENECKS)),
    "InceptionV3": KerasLayout(None, 1e-3, variant=RELEASED),
}


def from_keras(network: str, stored: Stored, layers: Sequence[keras.layers.Layer]) -> Stored:
    """Translates the layers of a keras.applications file, in its order, into those of this package.

    For networks that are not in `LAYOUTS`, `stored` is returned as it is. `layers` are the network's, in the model's
    order. InputError if a layer's name is in no table.
    """
    layout = LAYOUTS.get(network)
    if layout is None:
        return stored
    if layout.names is None:
        renamed = _match_by_order(stored, layers)
    else:
        renamed = {}
        for name, arrays in stored.items():
            ours = _renamed(name, layout.names.items())
            if ours is None:
                raise InputError(f"its layer '{name}' has no counterpart.")
            renamed[ours] = arrays
    for layer in layers:
        complete = len(renamed.get(layer.name, ())) == len(layer.weights)
        if isinstance(layer, keras.layers.BatchNormalization) and complete:
            _absorb_bias_and_epsilon(renamed, layer, layout.epsilon)
    return renamed


def to_keras(network: str, layers: Sequence[keras.layers.Layer]) -> Stored:
    """Translates the layers of this package into those of a keras.applications file, the inverse of `from_keras`.

    Auxiliary heads, which keras.applications does not have, are left out. The arrays are in float32 by
    keras.applications' layer names, in its order. InputError if keras.applications has no such network, or another
    variant of it.
    """
    layout = LAYOUTS.get(network)
    if layout is None:
        raise InputError(f"keras.applications has no {network}; of the networks here it has {', '.join(LAYOUTS)}.")
    layers = [layer for layer in layers if layer.weights and not layer.name.startswith(AUXILIARY)]
    layout.variant.check("keras.applications", network, layers)
    names = _keras_names(network, layers, layout.names)
    order = {layer.name: index for index, layer in enumerate(layers)}
    # A projection comes before the last convolution of its block, and so do their batch normalizations.
    before = {name: name.replace("_shortcut", "_3") for name in order if "_shortcut" in name}
    order |= {projection: order[last] - 0.5 for projection, last in before.items()}
    stored = {}
    for layer in sorted(layers, key=lambda layer: order[layer.name]):
        arrays = [keras.ops.convert_to_numpy(weight).astype("float32") for weight in layer.weights]
        if isinstance(layer, keras.layers.BatchNormalization):
            arrays[-1] = arrays[-1] - np.float32(layout.epsilon - layer.epsilon)
        elif layout.biases and len(arrays) == 1:
            arrays.append(np.zeros(arrays[0].shape[-1], "float32"))
        stored[names[layer.name]] = arrays
    return stored


def write_keras(path: Path, stored: Stored) -> None:
    """Writes the layers of `to_keras`, completely or not at all, for `weights=path` of keras.applications.

    InputError if the file cannot be written.
    """
    import h5py

    with written_whole(path) as partial, h5py.File(partial, "w") as file:
        file.attrs["layer_names"] = [layer.encode() for layer in stored]
        file.attrs["backend"] = b"tensorflow"
        for layer, arrays in stored.items():
            names = [f"{layer}/{name}:0" for name in NORMALIZATION.get(len(arrays), KERNEL[: len(arrays)])]
            group = file.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, arrays, strict=True):
                group[name] = array


def _keras_names(network: str, layers: Sequence[keras.layers.Layer], table: dict[str, str] | None) -> dict[str, str]:
    """Names in keras.applications by ours; without a table, those that Keras gives to unnamed layers."""
    names, counts = {}, Counter()
    for layer in layers:
        if table is not None:
            name = _renamed(layer.name, ((ours, theirs) for theirs, ours in table.items()))
            if name is None:
                raise InputError(f"keras.applications' {network} has no counterpart of the layer '{layer.name}'.")
        elif isinstance(layer, keras.layers.Dense):
            name = "predictions"
        else:
            kind = "conv2d" if isinstance(layer, keras.layers.Conv2D) else "batch_normalization"
            name = f"{kind}_{counts[kind]}" if counts[kind] else kind
            counts[kind] += 1
        names[layer.name] = name
    return names


def _renamed(name: str, rows: Iterable[tuple[str, str]]) -> str | None:
    """The right side of the row whose left side matches the name, with the name's numbers; None if none matches."""
    for before, after in rows:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>\\d+)", before)
        if match := re.fullmatch(pattern, name):
            return after.format(**match.groupdict())
    return None


def _match_by_order(stored: Stored, layers: Sequence[keras.layers.Layer]) -> Stored:
    """Gives the first convolution the name of ours, and so on; additional layers keep their names."""
    ours: dict[tuple[int, ...], list[str]] = {}
    for layer in layers:
        if not layer.name.startswith(AUXILIARY):
            ours.setdefault(tuple(len(weight.shape) for weight in layer.weights), []).append(layer.name)
    renamed = {}
    for name, arrays in stored.items():
        same_kind = ours.get(tuple(array.ndim for array in arrays))
        renamed[same_kind.pop(0) if same_kind else name] = arrays
    return renamed


def _absorb_bias_and_epsilon(weights: Stored, layer: keras.layers.BatchNormalization, epsilon: float) -> None:
    """Moves the bias before a batch normalization, and the difference in epsilon, into its moving statistics."""
    convolution = layer.name.removesuffix("_bn")
    *scale_and_offset, mean, variance = weights[layer.name]
    kernel, *biases = weights.get(convolution, [None])
    if biases:
        mean = mean - biases[0]
        weights[convolution] = [kernel]
    weights[layer.name] = [*scale_and_offset, mean, variance + np.float32(epsilon - layer.epsilon)]
