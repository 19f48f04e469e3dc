"""Translates between PyTorch's layout of weights and ours, for the networks that have public files of it.

| layer             | PyTorch's tensor                         | the array here                              |
|-------------------|------------------------------------------|---------------------------------------------|
| convolution       | `weight`: out, in, height, width         | kernel: height, width, in, out              |
|                   | `bias`                                   | bias                                        |
| dense             | `weight`: out, in                        | kernel: in, out                             |
| dense, after      | `weight`: out, then channels, height,    | kernel: height, width, channels, then out   |
| flattening        | width                                    |                                             |
| batch             | `weight`, `bias`                         | gamma, beta                                 |
| normalization     | `running_mean`, `running_var`            | moving mean, moving variance                |
|                   | `num_batches_tracked`                    | none; nothing is computed from it           |

Both take channels in the order red, green, blue. Both have the same epsilon, 1e-5, and 1e-3 in GoogLeNet and Inception
v3. Names are those of torchvision, and for CIFAR's ResNets akamaster's (`torch_names`). Dense
layers after flattening fit only the image size at which they were trained: about 224 pixels for torchvision's AlexNet
and VGG.

Some of torchvision's networks differ from the papers'; the `variant` of a layout has the builder's arguments with which
ours computes the same function.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import keras
import numpy as np

from kerascnn.applications.weights import torch_names
from kerascnn.applications.weights.keras_layouts import Stored
from kerascnn.applications.weights.variants import ArchitectureVariant
from kerascnn.errors import InputError

# A tensor of torchvision's batch normalization: the number of batches behind its statistics.
COUNTER = "num_batches_tracked"


class TorchLayout(NamedTuple):
    """How torchvision, or another publisher, stores a network."""

    names: dict[str, str]  # PyTorch's module names by our layer names; a table may have more than one network needs
    top: str = "fc."  # the prefix of the modules that `include_top=False` leaves out
    auxiliary: tuple[str, ...] = ()  # the prefixes of auxiliary heads' modules
    # Dense layers after flattening, with the number of channels that were flattened.
    flattened: Mapping[str, int] = MappingProxyType({})
    variant: ArchitectureVariant = ArchitectureVariant()  # the variant that the publisher has
    publisher: str = "torchvision"
    # Where the channels that a layer takes or gives are in another order: the number there of each channel here.
    inputs: Mapping[str, np.ndarray] = MappingProxyType({})
    outputs: Mapping[str, np.ndarray] = MappingProxyType({})

    def ordered(self, layer: str, array: np.ndarray, *, there: bool = False) -> np.ndarray:
        """A layer's array with its channels in the order here, or in the order `there`."""
        for axis, orders in ((-2, self.inputs), (-1, self.outputs)):
            if layer in orders and array.ndim >= -axis:
                array = array.take(np.argsort(orders[layer]) if there else orders[layer], axis)
        return array


PROJECTION = {"conv3_1_shortcut.strides": (2, 2)}
RESNET = TorchLayout(torch_names.RESNET, variant=ArchitectureVariant({"shortcut": "B"}, PROJECTION))
V1_5 = ArchitectureVariant({"shortcut": "B", "stride_in": "3x3"}, {"conv3_1_2.strides": (2, 2), **PROJECTION})
BOTTLENECKS = RESNET._replace(variant=V1_5)
GOOGLENET = TorchLayout(
    torch_names.GOOGLENET,
    auxiliary=("aux1.", "aux2."),
    flattened={"aux_4a_fc1": 128, "aux_4d_fc1": 128},
    variant=ArchitectureVariant({}, {"inception_3a_5x5.kernel_size": (3, 3)}, "GoogLeNetTorchvision"),
)
INCEPTION_V3 = ArchitectureVariant(
    {"variant": "torchvision", "stem": "released"}, {"conv1_bn.scale": True, "conv4.kernel_size": (1, 1)}
)
CIFAR_RESNET = TorchLayout(
    torch_names.CIFAR,
    "linear.",
    variant=ArchitectureVariant({"shortcut": "A"}, {"conv3_1_shortcut.kernel_size": None}),
    publisher="akamaster",
    **dict(zip(("inputs", "outputs"), torch_names.layer_orders(), strict=True)),
)

LAYOUTS = {
    "AlexNetV2": TorchLayout(torch_names.ALEXNET, top="classifier.", flattened={"fc6": 256}),
    **{
        f"{name}{end}": TorchLayout(torch_names.vgg(stages, bool(end)), "classifier.", flattened={"fc6": 512})
        for name, stages in torch_names.VGG_STAGES.items()
        for end in ("", "_BN")
    },
    **dict.fromkeys(("GoogLeNet", "GoogLeNetTorchvision"), GOOGLENET),
    "InceptionV3": TorchLayout(torch_names.INCEPTION_V3, auxiliary=("AuxLogits.",), variant=INCEPTION_V3),
    **dict.fromkeys(("ResNet18", "ResNet34"), RESNET),
    **dict.fromkeys(("ResNet50", "ResNet101", "ResNet152"), BOTTLENECKS),
    **dict.fromkeys((f"ResNet{depth}" for depth in (20, 32, 44, 56, 110, 1202)), CIFAR_RESNET),
}


def from_torch(network: str, tensors: dict[str, np.ndarray], layers: Sequence[keras.layers.Layer]) -> Stored:
    """Translates a PyTorch network's tensors into our layers' arrays, in float32 and in `layer.weights`' order.

    A network without top or auxiliary heads ignores theirs; everything else must match exactly. InputError if there is
    no layout of this network, named by its builder, or of another variant, or a tensor is missing, left over or of the
    wrong shape.
    """
    layers = [layer for layer in layers if layer.weights]
    layout = layout_of(network, layers)
    left_over = {name for name in tensors if not name.endswith(COUNTER)}
    stored: Stored = {}
    for layer in layers:
        channels = layout.flattened.get(layer.name)
        stored[layer.name] = []
        for name, weight in _counterparts(layout, layer):
            if name not in tensors:
                raise InputError(f"it has no tensor '{name}', which '{layer.name}' needs.")
            found, needed = tensors[name].shape, _torch_shape(tuple(weight.shape))
            if found != needed:
                is_dense = isinstance(layer, keras.layers.Dense)
                if is_dense and found[1:] == needed[1:] and len(found) == len(needed):
                    raise InputError(f"its '{name}' has {found[0]} classes, not classes={needed[0]}.")
                raise InputError(f"its tensor '{name}' has shape {found}, but {needed} is needed.")
            array = _to_array(tensors[name].astype("float32", copy=False), channels)
            stored[layer.name].append(layout.ordered(layer.name, array))
            left_over.discard(name)
    has_top = any(isinstance(layer, keras.layers.Dense) for layer in layers)
    ignored = layout.auxiliary if has_top else (*layout.auxiliary, layout.top)
    for name in tensors:
        if name in left_over and not name.startswith(ignored):
            raise InputError(f"its tensor '{name}' has no counterpart.")
    return stored


def to_torch(network: str, layers: Sequence[keras.layers.Layer]) -> dict[str, np.ndarray]:
    """Translates the weights of a builder's layers into the state dict of the publisher's network.

    Tensors are in PyTorch's layout in float32; the counters of batch normalization are 0. InputError if no publisher
    has such a network, or has another variant of it, or no counterpart of a layer.
    """
    tensors = {}
    layout = layout_of(network, [layer for layer in layers if layer.weights])
    for layer, name, weight in _torch_tensors(layout, layers):
        tensors[name] = np.zeros((), "int64")
        if weight is not None:
            array = layout.ordered(layer, keras.ops.convert_to_numpy(weight).astype("float32"), there=True)
            tensors[name] = np.ascontiguousarray(_to_tensor(array, layout.flattened.get(layer)))
    return tensors


def tensor_shapes(network: str, layers: Sequence[keras.layers.Layer]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of `to_torch`, with its errors, also for layers without values of weights."""
    rows = _torch_tensors(layout_of(network, [layer for layer in layers if layer.weights]), layers)
    return {name: () if weight is None else _torch_shape(tuple(weight.shape)) for _, name, weight in rows}


def find_layout(network: str, batch_norm: bool) -> TorchLayout:
    """How PyTorch's files store a builder's network; InputError if there are none.

    `batch_norm` says whether the network has batch normalization, which VGG has in torchvision's `_bn` networks only.
    """
    if network not in LAYOUTS:
        known = ", ".join(name for name in LAYOUTS if not name.endswith("_BN"))
        raise InputError(f"neither torchvision nor akamaster has {network}; of the networks here they have {known}.")
    return LAYOUTS.get(f"{network}_BN" if batch_norm else network, LAYOUTS[network])


def layout_of(network: str, layers: Sequence[keras.layers.Layer]) -> TorchLayout:
    """How PyTorch's files store the network of these layers, which must have weights; InputError as `to_torch`."""
    layout = find_layout(network, any(isinstance(layer, keras.layers.BatchNormalization) for layer in layers))
    layout.variant.check(layout.publisher, network, layers)
    for layer in layers:
        if layer.name not in layout.names:
            raise InputError(f"{layout.publisher}'s {network} has no counterpart of the layer '{layer.name}'.")
    return layout


def _torch_tensors(
    layout: TorchLayout, layers: Sequence[keras.layers.Layer]
) -> Iterator[tuple[str, str, keras.Variable | None]]:
    """Each tensor's layer, name and weight (None for a counter)."""
    for layer in layers:
        if layer.weights:
            yield from ((layer.name, *pair) for pair in _counterparts(layout, layer))
        if layer.weights and isinstance(layer, keras.layers.BatchNormalization):
            yield layer.name, f"{layout.names[layer.name]}.{COUNTER}", None


def _counterparts(layout: TorchLayout, layer: keras.layers.Layer) -> Iterator[tuple[str, keras.Variable]]:
    """The names of a layer's tensors, each with its weight."""
    names = ["weight", "bias"]
    if isinstance(layer, keras.layers.BatchNormalization):
        names += ["running_mean", "running_var"]
    for name, weight in zip(names, layer.weights, strict=False):
        yield f"{layout.names[layer.name]}.{name}", weight


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[3], shape[2], shape[0], shape[1]) if len(shape) == 4 else shape[::-1]


def _to_array(tensor: np.ndarray, flattened: int | None) -> np.ndarray:
    if tensor.ndim == 4:
        return tensor.transpose(2, 3, 1, 0)
    if tensor.ndim == 2 and flattened:
        # Units, channels, pixels to pixels, channels, units.
        return tensor.reshape(len(tensor), flattened, -1).transpose(2, 1, 0).reshape(-1, len(tensor))
    return tensor.T


def _to_tensor(array: np.ndarray, flattened: int | None) -> np.ndarray:
    """The inverse of `_to_array`."""
    if array.ndim == 4:
        return array.transpose(3, 2, 0, 1)
    if array.ndim == 2 and flattened:
        units = array.shape[1]
        return array.reshape(-1, flattened, units).transpose(2, 1, 0).reshape(units, -1)
    return array.T
