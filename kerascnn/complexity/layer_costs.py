"""The cost of one call of each kind of layer, and the window of its input that a unit sees."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

import keras

from kerascnn import layers
from kerascnn.errors import InputError


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """A tensor between layers, of one image; two of the same shape are different."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        """Its memory."""
        return math.prod(self.shape) * item_bytes(self.dtype)


class KernelWindow(NamedTuple):
    """The part of its layer's input that a unit sees along one axis.

    Windows of neighboring units are `stride` apart; the first begins `padding` positions before the input.
    """

    size: int = 1
    stride: int = 1
    padding: int = 0


# Vertical and horizontal.
KernelWindows = tuple[KernelWindow, KernelWindow]


class Memory(Enum):
    """The memory of a layer's output in inference."""

    NEW = "new memory"
    IN_PLACE = "the input's memory, if no other layer reads that"
    NONE = "the output is the input"


@dataclass(frozen=True)
class LayerCost:
    """The cost of one call of a layer."""

    macs: int = 0  # multiply-adds
    # The part of the input that a unit sees; None for all of it.
    windows: KernelWindows | None = (KernelWindow(), KernelWindow())
    memory: Memory = Memory.NEW  # of the output in inference
    # saves_input, saves_output: whether the gradient is computed from them.
    saves_input: bool = False
    saves_output: bool = False
    extra_saved: int = 0  # further bytes that the gradient needs
    passes_on: bool = False  # whether the output is the input in training too


# The cost from the layer, its first input and its output.
Rule = Callable[[keras.layers.Layer, FeatureMap, FeatureMap], LayerCost]

IDENTITY = LayerCost(memory=Memory.NONE, passes_on=True)

# Their derivative follows from their value.
FROM_OUTPUT = (
    keras.activations.relu,
    keras.activations.relu6,
    keras.activations.sigmoid,
    keras.activations.softmax,
    keras.activations.tanh,
)


def cost_of(layer: keras.layers.Layer, inputs: tuple[FeatureMap, ...], output: FeatureMap) -> LayerCost:
    """The cost of the call of `layer` that computes `output` from `inputs`; InputError for an unknown kind of layer."""
    for kind in type(layer).__mro__:
        if kind in COSTS:
            cost = COSTS[kind]
            return cost if isinstance(cost, LayerCost) else cost(layer, inputs[0], output)
    raise InputError(
        f"the cost of layer '{layer.name}' of the kind {type(layer).__name__} is unknown; "
        f"known kinds are {', '.join(sorted({kind.__name__ for kind in COSTS}))}."
    )


def item_bytes(dtype: str) -> int:
    """The bytes of one number."""
    return 1 if dtype == "bool" else int("".join(filter(str.isdigit, dtype))) // 8


def _sizes(layer: keras.layers.Layer, feature_map: FeatureMap) -> tuple[int, int]:
    """Height and width."""
    return feature_map.shape[1:] if layer.data_format == "channels_first" else feature_map.shape[:2]


def _channels(layer: keras.layers.Layer, feature_map: FeatureMap) -> int:
    return feature_map.shape[0] if layer.data_format == "channels_first" else feature_map.shape[2]


def _windows(layer: keras.layers.Layer, source: FeatureMap, output: FeatureMap) -> KernelWindows:
    """Windows of a convolution or pooling layer, with the padding of TensorFlow's rule for "same"."""

    def window(extent: int, stride: int, size: int, count: int) -> KernelWindow:
        padding = max((count - 1) * stride + extent - size, 0) if layer.padding == "same" else 0
        return KernelWindow(extent, stride, padding // 2)

    extents = getattr(layer, "pool_size", None)
    if extents is None:
        pairs = zip(layer.kernel_size, layer.dilation_rate, strict=True)
        extents = [(size - 1) * rate + 1 for size, rate in pairs]
    return tuple(map(window, extents, layer.strides, _sizes(layer, source), _sizes(layer, output)))


def _weighted(layer: keras.layers.Layer, output: FeatureMap, macs: int, **windows) -> LayerCost:
    """A convolution or dense layer with its activation: its kernel's gradient is computed from its input."""
    from_output = layer.activation in FROM_OUTPUT
    # The sum before the activation.
    extra = 0 if from_output or layer.activation is keras.activations.linear else output.bytes
    trains = bool(layer.trainable_weights)
    return LayerCost(macs, saves_input=trains, saves_output=from_output, extra_saved=extra, **windows)


def _convolution(layer: keras.layers.Conv2D, source: FeatureMap, output: FeatureMap) -> LayerCost:
    # A filter sees only the channels of its group, a depthwise one a single channel.
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    per_output = math.prod(layer.kernel_size) * (1 if depthwise else _channels(layer, source) // layer.groups)
    return _weighted(layer, output, math.prod(output.shape) * per_output, windows=_windows(layer, source, output))


def _separable_convolution(layer: keras.layers.SeparableConv2D, source: FeatureMap, output: FeatureMap) -> LayerCost:
    between = math.prod(_sizes(layer, output)) * _channels(layer, source) * layer.depth_multiplier
    macs = between * math.prod(layer.kernel_size) + between * layer.filters
    cost = _weighted(layer, output, macs, windows=_windows(layer, source, output))
    return replace(cost, extra_saved=cost.extra_saved + between * item_bytes(output.dtype))


def _activation(layer: keras.layers.Activation, source: FeatureMap, output: FeatureMap) -> LayerCost:
    if layer.activation is keras.activations.linear:
        return IDENTITY
    from_output = layer.activation in FROM_OUTPUT
    return LayerCost(memory=Memory.IN_PLACE, saves_output=from_output, saves_input=not from_output)


def _adaptive_pooling(layer: keras.layers.Layer, source: FeatureMap, output: FeatureMap) -> LayerCost:
    def window(size: int, count: int) -> KernelWindow:
        # If count does not divide size, windows overlap and differ; this is the largest.
        extents = [-(-(position + 1) * size // count) - position * size // count for position in range(count)]
        return KernelWindow(max(extents), size // count)

    return LayerCost(windows=tuple(map(window, _sizes(layer, source), _sizes(layer, output))))


COSTS: dict[type, LayerCost | Rule] = {
    keras.layers.Activation: _activation,
    keras.layers.AdaptiveAveragePooling2D: _adaptive_pooling,
    keras.layers.Add: LayerCost(),
    keras.layers.AveragePooling2D: lambda layer, source, output: LayerCost(windows=_windows(layer, source, output)),
    # A frozen layer scales and shifts by constants.
    keras.layers.BatchNormalization: lambda layer, *_: LayerCost(memory=Memory.IN_PLACE, saves_input=layer.trainable),
    keras.layers.Concatenate: LayerCost(),
    keras.layers.Conv2D: _convolution,
    keras.layers.Dense: lambda layer, source, output: _weighted(
        layer, output, math.prod(output.shape) * source.shape[-1]
    ),
    keras.layers.DepthwiseConv2D: _convolution,
    # Its mask has one byte per number.
    keras.layers.Dropout: lambda layer, source, output: (
        LayerCost(memory=Memory.NONE, extra_saved=math.prod(output.shape)) if layer.rate else IDENTITY
    ),
    keras.layers.Flatten: replace(IDENTITY, windows=None),
    keras.layers.GlobalAveragePooling2D: LayerCost(windows=None),
    keras.layers.GlobalMaxPooling2D: LayerCost(windows=None, saves_input=True, saves_output=True),
    keras.layers.InputLayer: LayerCost(),
    keras.layers.MaxPooling2D: lambda layer, source, output: LayerCost(
        windows=_windows(layer, source, output), saves_input=True, saves_output=True
    ),
    # The gradients of a product and of a maximum need every factor or piece.
    keras.layers.Maximum: LayerCost(saves_input=True, saves_output=True),
    keras.layers.Multiply: LayerCost(saves_input=True),
    keras.layers.PReLU: LayerCost(memory=Memory.IN_PLACE, saves_input=True),
    keras.layers.ReLU: LayerCost(memory=Memory.IN_PLACE, saves_output=True),
    keras.layers.SeparableConv2D: _separable_convolution,
    keras.layers.Softmax: LayerCost(memory=Memory.IN_PLACE, saves_output=True),
    keras.layers.Subtract: LayerCost(),
    keras.layers.ZeroPadding2D: lambda layer, *_: LayerCost(
        windows=tuple(KernelWindow(padding=before) for before, _ in layer.padding)
    ),
    layers.ClassLabels: IDENTITY,
    layers.LocalResponseNormalization: LayerCost(saves_input=True, saves_output=True),
    layers.Preprocessing: lambda layer, source, output: (
        LayerCost(math.prod(source.shape) ** 2) if layer.whitening else LayerCost(memory=Memory.IN_PLACE)
    ),
    layers.SpatialPyramidPooling: LayerCost(windows=None, saves_input=True, saves_output=True),
    layers.SubsampledIdentity: lambda layer, *_: LayerCost(windows=(KernelWindow(stride=layer.strides),) * 2),
}
