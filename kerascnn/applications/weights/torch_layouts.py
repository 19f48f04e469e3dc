"""PyTorch's layout of weights, for the networks that torchvision has.

| what              | PyTorch's tensor                         | the array here                              |
|-------------------|------------------------------------------|---------------------------------------------|
| convolution       | `weight`: out, in, height, width         | kernel: height, width, in, out              |
|                   | `bias`                                   | bias                                        |
| dense layer       | `weight`: out, in                        | kernel: in, out                             |
| dense layer       | `weight`: out, then channels, height,    | kernel: height, width, channels, then out   |
| behind flattening | width                                    |                                             |
| batch             | `weight`, `bias`                         | gamma, beta                                 |
| normalization     | `running_mean`, `running_var`            | moving mean, moving variance                |
|                   | `num_batches_tracked`                    | none; nothing is computed from it           |

Both take channels in the order red, green, blue, so none are exchanged. Both compute variances with the same epsilon,
1e-5, and 1e-3 in GoogLeNet and Inception v3, so these stay as they are. Names are in `torchvision_names`. Dense layers
fit only at the image size at which they were trained: torchvision's of AlexNet and VGG at about 224 pixels.

Some of torchvision's networks are not the papers'; the `form` of a layout says with which of its builder's arguments
ours is the same function.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import keras
import numpy as np

from kerascnn.applications.weights import torchvision_names
from kerascnn.applications.weights.keras_layouts import Stored
from kerascnn.applications.weights.variants import ArchitectureVariant, VariantCheck
from kerascnn.errors import InputError

# Of torchvision's batch normalization: how many batches its statistics have seen.
COUNTER = "num_batches_tracked"


class TorchLayout(NamedTuple):
    """How torchvision stores a network.

    Attributes:
        names: of its modules, by the names of our layers; more than there are in any one network.
        top: what the names of those begin with that `include_top=False` leaves out.
        auxiliary: what those of auxiliary heads begin with.
        flattened: dense layers behind a flattening, and the channels that were flattened.
        form: which one torchvision has, of the networks that our builder makes.
    """

    names: dict[str, str]
    top: str = "fc."
    auxiliary: tuple[str, ...] = ()
    flattened: Mapping[str, int] = MappingProxyType({})
    form: ArchitectureVariant = ArchitectureVariant()


PROJECTION = VariantCheck("conv3_1_shortcut", "strides", (2, 2))
RESNET = TorchLayout(torchvision_names.RESNET, form=ArchitectureVariant({"shortcut": "B"}, (PROJECTION,)))
BOTTLENECKS = RESNET._replace(
    form=ArchitectureVariant(
        {"shortcut": "B", "stride_in": "3x3"}, (VariantCheck("conv3_1_2", "strides", (2, 2)), PROJECTION)
    )
)

GOOGLENET = TorchLayout(
    torchvision_names.GOOGLENET,
    auxiliary=("aux1.", "aux2."),
    flattened={"aux_4a_fc1": 128, "aux_4d_fc1": 128},
    form=ArchitectureVariant(
        marks=(VariantCheck("inception_3a_5x5", "kernel_size", (3, 3)),), builder="GoogLeNetTorchvision"
    ),
)

LAYOUTS = {
    "AlexNetV2": TorchLayout(torchvision_names.ALEXNET, top="classifier.", flattened={"fc6": 256}),
    **{
        network + suffix: TorchLayout(
            torchvision_names.vgg(stages, bool(suffix)), top="classifier.", flattened={"fc6": 512}
        )
        for network, stages in torchvision_names.VGG_STAGES.items()
        for suffix in ("", "_BN")
    },
    **dict.fromkeys(("GoogLeNet", "GoogLeNetTorchvision"), GOOGLENET),
    "InceptionV3": TorchLayout(
        torchvision_names.INCEPTION_V3,
        auxiliary=("AuxLogits.",),
        form=ArchitectureVariant(
            {"variant": "torchvision", "stem": "released"},
            (VariantCheck("conv1_bn", "scale", True), VariantCheck("conv4", "kernel_size", (1, 1))),
        ),
    ),
    **dict.fromkeys(("ResNet18", "ResNet34"), RESNET),
    **dict.fromkeys(("ResNet50", "ResNet101", "ResNet152"), BOTTLENECKS),
}


def from_torch(network: str, tensors: dict[str, np.ndarray], layers: Sequence[keras.layers.Layer]) -> Stored:
    """The weights of a network's layers, of a file that torchvision publishes or that its network writes.

    A network without its top, or without auxiliary heads, takes what it has; everything else must fit, both ways.

    Args:
        network: the builder's name, such as "ResNet50"; "VGG16" with and without batch normalization.
        tensors: the state dict's, in PyTorch's layout.
        layers: the network's, which say what is wanted.

    Returns:
        Each layer's arrays in float32, in the order of `layer.weights`.

    Raises:
        InputError: torchvision has no such network, or another form of it; a tensor is missing, left over or of the
            wrong shape.

    Example:
        >>> stored = from_torch("ResNet50", read_tensors("resnet50.pth"), model.layers)
    """
    layers = [layer for layer in layers if layer.weights]
    theirs = _layout_of(network, layers)
    left_over = {name for name in tensors if not name.endswith(COUNTER)}
    stored: Stored = {}
    for layer in layers:
        channels = theirs.flattened.get(layer.name)
        stored[layer.name] = []
        for name, weight in _counterparts(theirs, layer):
            if name not in tensors:
                raise InputError(f"it has no tensor '{name}', which '{layer.name}' needs.")
            _check_shape(name, tensors[name].shape, weight.shape, layer)
            stored[layer.name].append(_ours(tensors[name].astype("float32", copy=False), channels))
            left_over.discard(name)
    dense = any(isinstance(layer, keras.layers.Dense) for layer in layers)
    spared = theirs.auxiliary if dense else (*theirs.auxiliary, theirs.top)
    for name in tensors:
        if name in left_over and not name.startswith(spared):
            raise InputError(f"its tensor '{name}' has no counterpart.")
    return stored


def to_torch(network: str, layers: Sequence[keras.layers.Layer]) -> dict[str, np.ndarray]:
    """The state dict of torchvision's network with the weights of ours.

    Args:
        network: the builder's name.
        layers: the network's.

    Returns:
        Tensors in PyTorch's layout in float32, and the counters of batch normalization at 0.

    Raises:
        InputError: torchvision has no such network, another form of it, or nothing like one of the layers.

    Example:
        >>> tensors = to_torch("ResNet50", ResNet50(stride_in="3x3").layers)
        >>> tensors["conv1.weight"].shape
        (64, 3, 7, 7)
    """
    layers = [layer for layer in layers if layer.weights]
    theirs = _layout_of(network, layers)
    tensors = {}
    for layer in layers:
        for name, weight in _counterparts(theirs, layer):
            array = keras.ops.convert_to_numpy(weight).astype("float32")
            tensors[name] = np.ascontiguousarray(_theirs(array, theirs.flattened.get(layer.name)))
        if isinstance(layer, keras.layers.BatchNormalization):
            tensors[f"{theirs.names[layer.name]}.{COUNTER}"] = np.zeros((), "int64")
    return tensors


def tensor_shapes(network: str, layers: Sequence[keras.layers.Layer]) -> dict[str, tuple[int, ...]]:
    """The names and shapes that `to_torch` gives and `from_torch` wants, of layers whose weights may be without values.

    Raises:
        InputError: as `to_torch`.

    Example:
        >>> tensor_shapes("ResNet50", ResNet50(stride_in="3x3").layers)["conv1.weight"]
        (64, 3, 7, 7)
    """
    layers = [layer for layer in layers if layer.weights]
    theirs = _layout_of(network, layers)
    shapes = {}
    for layer in layers:
        shapes |= {name: _their_shape(tuple(weight.shape)) for name, weight in _counterparts(theirs, layer)}
        if isinstance(layer, keras.layers.BatchNormalization):
            shapes[f"{theirs.names[layer.name]}.{COUNTER}"] = ()
    return shapes


def layout(network: str, batch_norm: bool) -> TorchLayout:
    """How torchvision stores a network.

    Args:
        network: the builder's name.
        batch_norm: whether it has batch normalization, which VGG has in torchvision's `_bn` networks only.

    Raises:
        InputError: torchvision has no such network.

    Example:
        >>> layout("VGG16", batch_norm=True).names["conv1_2"]
        'features.3'
    """
    if network not in LAYOUTS:
        known = ", ".join(name for name in LAYOUTS if not name.endswith("_BN"))
        raise InputError(f"torchvision has no {network}; of the networks here it has {known}.")
    return LAYOUTS.get(f"{network}_BN" if batch_norm else network, LAYOUTS[network])


def module_names(network: str, layers: Sequence[keras.layers.Layer]) -> Mapping[str, str]:
    """What torchvision's modules of a network are called, by the names of our layers, and of more than there are.

    Raises:
        InputError: torchvision has no such network, another form of it, or nothing like one of the layers.
    """
    return _layout_of(network, [layer for layer in layers if layer.weights]).names


def _layout_of(network: str, layers: Sequence[keras.layers.Layer]) -> TorchLayout:
    """Torchvision's of the network that these layers are."""
    found = layout(network, any(isinstance(layer, keras.layers.BatchNormalization) for layer in layers))
    found.form.check("torchvision's", network, layers)
    for layer in layers:
        if layer.name not in found.names:
            raise InputError(f"torchvision's {network} has nothing like the layer '{layer.name}'.")
    return found


def _counterparts(theirs: TorchLayout, layer: keras.layers.Layer) -> Iterator[tuple[str, keras.Variable]]:
    """The tensors of a layer, by their names, beside its weights."""
    names = ["weight", "bias"]
    if isinstance(layer, keras.layers.BatchNormalization):
        names += ["running_mean", "running_var"]
    for name, weight in zip(names, layer.weights, strict=False):
        yield f"{theirs.names[layer.name]}.{name}", weight


def _check_shape(name: str, there: tuple[int, ...], ours: tuple[int, ...], layer: keras.layers.Layer) -> None:
    here = _their_shape(tuple(ours))
    if there == here:
        return
    if isinstance(layer, keras.layers.Dense) and there[1:] == here[1:] and len(there) == len(here):
        raise InputError(f"its '{name}' has {there[0]} classes, and classes={here[0]} was asked for.")
    raise InputError(f"its tensor '{name}' is of shape {there}, where {here} is needed.")


def _their_shape(ours: tuple[int, ...]) -> tuple[int, ...]:
    return (ours[3], ours[2], ours[0], ours[1]) if len(ours) == 4 else ours[::-1]


def _ours(tensor: np.ndarray, flattened: int | None) -> np.ndarray:
    """A tensor as an array of this package."""
    if tensor.ndim == 4:
        return tensor.transpose(2, 3, 1, 0)
    if tensor.ndim == 2 and flattened:
        # Units, channels, pixels to pixels, channels, units.
        return tensor.reshape(len(tensor), flattened, -1).transpose(2, 1, 0).reshape(-1, len(tensor))
    return tensor.T


def _theirs(array: np.ndarray, flattened: int | None) -> np.ndarray:
    """An array of this package as a tensor, the reverse of `_ours`."""
    if array.ndim == 4:
        return array.transpose(3, 2, 0, 1)
    if array.ndim == 2 and flattened:
        units = array.shape[1]
        return array.reshape(-1, flattened, units).transpose(2, 1, 0).reshape(units, -1)
    return array.T
