"""Quantizes a network to 8-bit integers and keeps the layers that integers would harm in float32.

Every tensor between two layers gets 256 steps between the least and the greatest value seen in calibration. If a few
values lie far from all others, the others share few steps and lose precision. If the quantized network's probabilities
suffer, each layer is computed in integers and in float32 from the same input. The layers that write or read a tensor
with too much quantization noise stay in float32.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kerascnn.cores import cores
from kerascnn.evaluation.predictors import run
from kerascnn.export.calibration import keeping_tensors, with_ranges
from kerascnn.keras_internals import quantized
from kerascnn.layers.local_response_normalization import LocalResponseNormalization
from kerascnn.layers.preprocessing import Preprocessing

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# The layers are compared if a probability of a calibration image differs by more than this from the float32 network.
MAX_DIFFERENCE = 0.1

# A layer stays in float32 if the quantization noise exceeds this share of its channels' signal (both root mean
# squares). In the trained networks here, no layer has more than 0.1.
MAX_NOISE = 0.25

# A channel that varies by less than this share of its root mean square counts as constant and is not compared.
MIN_VARIATION = 0.01

# Number of calibration images on which the layers are compared.
COMPARED_IMAGES = 16


def stays_float(layer: keras.Layer) -> bool:
    """Whether a layer stays in float32: it computes squares, which span more than 8 bits hold.

    TFLite's roots of integers take six times as long as those of floats, and it divides by no integer that stands for
    zero, as the norm of an image of little contrast does beside others'.
    """
    return isinstance(layer, LocalResponseNormalization) or bool(isinstance(layer, Preprocessing) and layer.contrast)


class ConvertedNetwork(NamedTuple):
    """A network as a `.tflite` file."""

    content: bytes  # the bytes of the file
    # Layers that stay in float32 because integers would harm them, in the network's order.
    float_fallback_layers: tuple[str, ...] = ()


def quantize_int8(
    converter: tf.lite.TFLiteConverter,
    samples: Sequence[Sequence[np.ndarray]],
    expected: np.ndarray,
    layers: Collection[str],
    float_layers: Collection[str],
    types: tuple[tf.DType, tf.DType],
) -> ConvertedNetwork:
    """Quantizes a network to 8 bits with one scale per channel of the weights.

    The converter has its optimizations set. `samples` are calibration images, each float32 (1, height, width, channels)
    in a list of its own; `expected` is the network's output for them, float32 (count, classes); `layers` are the names
    of the network's layers, in order; `float_layers` those that stay in float32 in any case; `types` are those of input
    and output.
    """
    ranges = with_ranges(converter, samples)

    def quantize(floats: list[str]) -> bytes:
        input_type, output_type = types
        return quantized(ranges, input_data_type=input_type, output_data_type=output_type, denylisted_nodes=floats)

    def result(content: bytes, floats: list[str]) -> ConvertedNetwork:
        found = {layer_of(name, layers) for name in floats}
        return ConvertedNetwork(content, tuple(layer for layer in layers if layer in found))

    always = [name for name in _tensor_names(ranges) if layer_of(name, layers) in float_layers]
    integers = quantize(always)
    differences = np.abs(_outputs(integers, samples) - expected)
    if differences.max() <= MAX_DIFFERENCE:
        return result(integers, always)
    floats = list(always)
    some = samples[:: max(1, len(samples) // COMPARED_IMAGES)]
    # A layer that reads a tensor that is now float32 may be the next that cannot be quantized.
    while True:
        compared = quantized(ranges, enable_numeric_verify=True, denylisted_nodes=floats)
        noisy = [name for name in noisy_tensors(compared, some) if name not in floats]
        if not noisy:
            break
        floats += noisy
    mixed = quantize(floats)
    if np.abs(_outputs(mixed, samples) - expected).mean() >= differences.mean():
        return result(integers, always)
    return result(mixed, floats)


def noisy_tensors(content: bytes, samples: Sequence[Sequence[np.ndarray]]) -> list[str]:
    """The names, in the float32 network, of the tensors with too much quantization noise.

    The noise of each channel is compared with the channel's variation, so that a channel with large values does not
    hide the others. Channels that hardly vary are left out. `content` is a `.tflite` file that computes each layer in
    integers and in float32 from the same input; `samples` are as in `quantize_int8`.
    """
    interpreter = keeping_tensors(content)
    [pixels] = interpreter.get_input_details()
    details = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    compared = _compared_tensors(content)
    sums = {name: np.zeros(1) for name, _, _ in compared}
    for [image] in samples:
        interpreter.set_tensor(pixels["index"], image)
        interpreter.invoke()
        for name, quantized_tensor, unquantized in compared:
            exact = interpreter.get_tensor(unquantized).astype(np.float64)
            exact = exact.reshape(-1, exact.shape[-1])
            scale, zero_point = details[quantized_tensor]["quantization"]
            rounded = (interpreter.get_tensor(quantized_tensor).reshape(exact.shape) - float(zero_point)) * scale
            moments = [np.ones_like(exact), exact, exact**2, (exact - rounded) ** 2]
            sums[name] = sums[name] + np.sum(moments, axis=1)
    return [name for name, moments in sums.items() if _relative_noise(moments) > MAX_NOISE]


def layer_of(tensor: str, layers: Collection[str]) -> str:
    """The layer that computes a tensor of a `.tflite` file: the last one in its name, which has the weights.

    The name is made of the paths of fused operations: "resnet20_1/conv1_relu_1/Relu;resnet20_1/conv1_1/BiasAdd;…". It
    is returned itself if it has none of the network's layers.
    """
    found = tensor
    for part in re.split("[;/]", tensor):
        # TensorFlow numbers names that are used again.
        found = next((name for name in (re.sub(r"_\d+$", "", part), part) if name in layers), found)
    return found


def _outputs(content: bytes, samples: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=cores())
    interpreter.allocate_tensors()
    return np.concatenate([run(interpreter, image) for [image] in samples])


def _relative_noise(moments: np.ndarray) -> float:
    """Noise as a share of the signal, from count, sums, sums of squares and sums of squared errors per channel."""
    count, total, squares, errors = moments
    variances = squares / count - (total / count) ** 2
    varying = variances > MIN_VARIATION**2 * squares / count
    if not varying.any():
        return 0.0
    return float(np.sqrt(np.mean(np.minimum(1.0, (errors / count)[varying] / variances[varying]))))


def _tensor_names(content: bytes) -> list[str]:
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    return [graph.Tensors(number).Name().decode() for number in range(graph.TensorsLength())]


def _compared_tensors(content: bytes) -> list[tuple[str, int, int]]:
    """Name, index in integers and index in float32 of each tensor that is computed both ways."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    makers, found = {}, []
    for operator in map(graph.Operators, range(graph.OperatorsLength())):
        code = model.OperatorCodes(operator.OpcodeIndex())
        makers[operator.Outputs(0)] = code.BuiltinCode()
        if code.CustomCode() == b"NumericVerify":
            quantized, exact = operator.Inputs(0), operator.Inputs(1)
            # The steps of a softmax's or sigmoid's output are always 1/256: verification judges them.
            if makers[quantized] not in (schema.BuiltinOperator.SOFTMAX, schema.BuiltinOperator.LOGISTIC):
                found.append((graph.Tensors(exact).Name().decode(), quantized, exact))
    return found
