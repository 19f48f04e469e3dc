"""What one call of each kind of layer costs, and how its units look at its input."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

import keras

from kerascnn import layers
from kerascnn.errors import InputError


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor between layers, of one image; two of the same shape are two."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        """The memory it takes."""
        return math.prod(self.shape) * item_bytes(self.dtype)


class Window(NamedTuple):
    """What a unit sees along one axis of its layer's input: `size` places, `stride` apart for neighbouring units.

    `before` places of padding precede the first one.
    """

    size: int = 1
    stride: int = 1
    before: int = 0


Windows = tuple[Window, Window]

ONE_PLACE: Windows = (Window(), Window())


class Writes(Enum):
    """Where a layer's output lies in inference."""

    NEW = "memory of its own"
    IN_PLACE = "over the input, where nobody else reads that"
    NOTHING = "it is the input"


@dataclass(frozen=True)
class Cost:
    """What one call of a layer costs.

    Attributes:
        macs: multiply-adds.
        windows: what a unit sees of the input; None for all of it.
        writes: where the output lies in inference.
        reads_input, reads_output: whether the gradient is computed from them.
        also_kept: bytes that the gradient needs besides.
        passes_on: whether the output is the input in training too.
    """

    macs: int = 0
    windows: Windows | None = ONE_PLACE
    writes: Writes = Writes.NEW
    reads_input: bool = False
    reads_output: bool = False
    also_kept: int = 0
    passes_on: bool = False


Rule = Callable[[keras.layers.Layer, tuple[Value, ...], Value], Cost]

PASSED_ON = Cost(writes=Writes.NOTHING, passes_on=True)

# Their derivative follows from their value.
FROM_OUTPUT = (
    keras.activations.relu,
    keras.activations.relu6,
    keras.activations.sigmoid,
    keras.activations.softmax,
    keras.activations.tanh,
)


def cost_of(layer: keras.layers.Layer, inputs: tuple[Value, ...], output: Value) -> Cost:
    """What the call of `layer` that makes `output` of `inputs` costs.

    Raises:
        InputError: the kind of layer is not known here.
    """
    for kind in type(layer).__mro__:
        if kind in RULES:
            return RULES[kind](layer, inputs, output)
    raise InputError(
        f"the layer '{layer.name}' is of the kind {type(layer).__name__}, whose cost is not known; "
        f"known are {', '.join(sorted({kind.__name__ for kind in RULES}))}."
    )


def spatial_sizes(layer: keras.layers.Layer, value: Value) -> tuple[int, int]:
    """Height and width of a map."""
    return value.shape[1:] if layer.data_format == "channels_first" else value.shape[:2]


def item_bytes(dtype: str) -> int:
    """The bytes of one number."""
    return 1 if dtype == "bool" else int("".join(filter(str.isdigit, dtype))) // 8


def _channels(layer: keras.layers.Layer, value: Value) -> int:
    return value.shape[0] if layer.data_format == "channels_first" else value.shape[2]


def _windows(layer: keras.layers.Layer, extents: tuple[int, int], inputs: tuple[Value, ...], output: Value) -> Windows:
    """Windows of `extents` places, with the padding that TensorFlow's rule for "same" puts before the first."""

    def window(extent: int, stride: int, size: int, count: int) -> Window:
        padding = max((count - 1) * stride + extent - size, 0) if layer.padding == "same" else 0
        return Window(extent, stride, padding // 2)

    sizes, counts = spatial_sizes(layer, inputs[0]), spatial_sizes(layer, output)
    vertical, horizontal = map(window, extents, layer.strides, sizes, counts)
    return vertical, horizontal


def _dilated(layer: keras.layers.Layer) -> tuple[int, int]:
    vertical, horizontal = (
        (size - 1) * rate + 1 for size, rate in zip(layer.kernel_size, layer.dilation_rate, strict=True)
    )
    return vertical, horizontal


def _weighted(layer: keras.layers.Layer, output: Value, macs: int, windows: Windows) -> Cost:
    """A convolution or dense layer with its own activation: its kernel's gradient is computed from its input."""
    from_output = layer.activation in FROM_OUTPUT
    needs_sum = not from_output and layer.activation is not keras.activations.linear
    return Cost(
        macs=macs,
        windows=windows,
        reads_input=bool(layer.trainable_weights),
        reads_output=from_output,
        also_kept=output.bytes if needs_sum else 0,
    )


def _convolution(layer: keras.layers.Conv2D, inputs: tuple[Value, ...], output: Value) -> Cost:
    # A filter sees the channels of its own group only.
    per_output = math.prod(layer.kernel_size) * _channels(layer, inputs[0]) // layer.groups
    windows = _windows(layer, _dilated(layer), inputs, output)
    return _weighted(layer, output, math.prod(output.shape) * per_output, windows)


def _depthwise_convolution(layer: keras.layers.DepthwiseConv2D, inputs: tuple[Value, ...], output: Value) -> Cost:
    windows = _windows(layer, _dilated(layer), inputs, output)
    return _weighted(layer, output, math.prod(output.shape) * math.prod(layer.kernel_size), windows)


def _separable_convolution(layer: keras.layers.SeparableConv2D, inputs: tuple[Value, ...], output: Value) -> Cost:
    channels = _channels(layer, inputs[0]) * layer.depth_multiplier
    between = math.prod(spatial_sizes(layer, output)) * channels
    macs = between * math.prod(layer.kernel_size) + between * layer.filters
    cost = _weighted(layer, output, macs, _windows(layer, _dilated(layer), inputs, output))
    return replace(cost, also_kept=cost.also_kept + between * item_bytes(output.dtype))


def _dense(layer: keras.layers.Dense, inputs: tuple[Value, ...], output: Value) -> Cost:
    return _weighted(layer, output, math.prod(output.shape) * inputs[0].shape[-1], ONE_PLACE)


def _activation(layer: keras.layers.Activation, inputs: tuple[Value, ...], output: Value) -> Cost:
    if layer.activation is keras.activations.linear:
        return PASSED_ON
    from_output = layer.activation in FROM_OUTPUT
    return Cost(writes=Writes.IN_PLACE, reads_output=from_output, reads_input=not from_output)


def _from_output(layer: keras.layers.Layer, inputs: tuple[Value, ...], output: Value) -> Cost:
    return Cost(writes=Writes.IN_PLACE, reads_output=True)


def _batch_normalization(layer: keras.layers.BatchNormalization, inputs: tuple[Value, ...], output: Value) -> Cost:
    # Frozen, it is a scaling and a shift by constants.
    return Cost(writes=Writes.IN_PLACE, reads_input=layer.trainable)


def _response_normalization(layer: keras.layers.Layer, inputs: tuple[Value, ...], output: Value) -> Cost:
    return Cost(reads_input=True, reads_output=True)


def _max_pooling(layer: keras.layers.MaxPooling2D, inputs: tuple[Value, ...], output: Value) -> Cost:
    windows = _windows(layer, layer.pool_size, inputs, output)
    return Cost(windows=windows, reads_input=True, reads_output=True)


def _average_pooling(layer: keras.layers.AveragePooling2D, inputs: tuple[Value, ...], output: Value) -> Cost:
    return Cost(windows=_windows(layer, layer.pool_size, inputs, output))


def _adaptive_pooling(layer: keras.layers.Layer, inputs: tuple[Value, ...], output: Value) -> Cost:
    def window(size: int, count: int) -> Window:
        # Where the sizes do not divide, windows overlap and differ; this is the largest.
        extents = [-(-(place + 1) * size // count) - place * size // count for place in range(count)]
        return Window(max(extents), size // count)

    vertical, horizontal = map(window, spatial_sizes(layer, inputs[0]), spatial_sizes(layer, output))
    return Cost(windows=(vertical, horizontal))


def _global_maximum(layer: keras.layers.Layer, inputs: tuple[Value, ...], output: Value) -> Cost:
    return Cost(windows=None, reads_input=True, reads_output=True)


def _global_average(layer: keras.layers.Layer, inputs: tuple[Value, ...], output: Value) -> Cost:
    return Cost(windows=None)


def _flattening(layer: keras.layers.Flatten, inputs: tuple[Value, ...], output: Value) -> Cost:
    return replace(PASSED_ON, windows=None)


def _zero_padding(layer: keras.layers.ZeroPadding2D, inputs: tuple[Value, ...], output: Value) -> Cost:
    (top, _), (left, _) = layer.padding
    return Cost(windows=(Window(before=top), Window(before=left)))


def _dropout(layer: keras.layers.Dropout, inputs: tuple[Value, ...], output: Value) -> Cost:
    if layer.rate == 0:
        return PASSED_ON
    # The mask, a byte a number.
    return Cost(writes=Writes.NOTHING, also_kept=math.prod(output.shape))


def _subsampling(layer: layers.SubsampledIdentity, inputs: tuple[Value, ...], output: Value) -> Cost:
    return Cost(windows=(Window(stride=layer.strides), Window(stride=layer.strides)))


def _preprocessing(layer: layers.Preprocessing, inputs: tuple[Value, ...], output: Value) -> Cost:
    return Cost(writes=Writes.IN_PLACE)


def _new_map(layer: keras.layers.Layer, inputs: tuple[Value, ...], output: Value) -> Cost:
    return Cost()


def _labels(layer: layers.ClassLabels, inputs: tuple[Value, ...], output: Value) -> Cost:
    return PASSED_ON


RULES: dict[type, Rule] = {
    keras.layers.Activation: _activation,
    keras.layers.AdaptiveAveragePooling2D: _adaptive_pooling,
    keras.layers.Add: _new_map,
    keras.layers.AveragePooling2D: _average_pooling,
    keras.layers.BatchNormalization: _batch_normalization,
    keras.layers.Concatenate: _new_map,
    keras.layers.Conv2D: _convolution,
    keras.layers.Dense: _dense,
    keras.layers.DepthwiseConv2D: _depthwise_convolution,
    keras.layers.Dropout: _dropout,
    keras.layers.Flatten: _flattening,
    keras.layers.GlobalAveragePooling2D: _global_average,
    keras.layers.GlobalMaxPooling2D: _global_maximum,
    keras.layers.InputLayer: _new_map,
    keras.layers.MaxPooling2D: _max_pooling,
    keras.layers.ReLU: _from_output,
    keras.layers.SeparableConv2D: _separable_convolution,
    keras.layers.Softmax: _from_output,
    keras.layers.ZeroPadding2D: _zero_padding,
    layers.ClassLabels: _labels,
    layers.LocalResponseNormalization: _response_normalization,
    layers.Preprocessing: _preprocessing,
    layers.SubsampledIdentity: _subsampling,
}
