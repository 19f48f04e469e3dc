"""A network in 8-bit integers, but for the layers to which they do harm.

Every tensor between two layers becomes 256 steps between the least and the greatest value that calibration saw. Where a
few values lie far from all others, the others share a few steps and say little. If a network's answers suffer, such
tensors are found by computing each layer both ways from the same input, and the layers that make and read them stay in
float32.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kerascnn.cores import cores
from kerascnn.evaluation.predictors import run

if TYPE_CHECKING:
    import tensorflow as tf

# The layers are looked at if a probability of a calibration image is further than this from the float32 network's.
UNHARMED = 0.1

# A layer stays in float32 if integers make noise of more than this share of what its channels tell, both as root mean
# squares. In the networks here, trained, no layer has more than 0.1.
LOUDEST_NOISE = 0.25

# A channel that varies by less than this share of its size is as good as constant, and whatever it tells is not missed.
LEAST_CHANGE = 0.01

# How many of the calibration images the layers are compared on.
COMPARED_IMAGES = 16


class Converted(NamedTuple):
    """A network as a `.tflite` file.

    Attributes:
        content: of the `.tflite` file.
        float_fallback_layers: the layers that int8 would harm and that are not quantized, in the network's order.
    """

    content: bytes
    float_fallback_layers: tuple[str, ...]


class Verified(NamedTuple):
    """A tensor that a network under examination computes in both ways: its name, and where the two results are."""

    name: str
    quantized: int
    float: int


def in_integers(
    converter: tf.lite.TFLiteConverter,
    samples: Sequence[Sequence[np.ndarray]],
    expected: np.ndarray,
    layers: Collection[str],
    types: tuple[tf.DType, tf.DType],
) -> Converted:
    """Quantizes a network to 8 bits, weights with a scale a channel.

    Args:
        converter: of the network, with its optimizations set.
        samples: images to calibrate with, each float32 (1, height, width, 3) in a list of its own.
        expected: float32 (count, classes), what the network makes of them.
        layers: the names of the network's layers, in order.
        types: of input and output.
    """
    from tensorflow.lite.python.convert import mlir_quantize

    converter.representative_dataset = lambda: iter(samples)
    # As in TensorFlow's own QuantizationDebugger, which does not set the types of input and output.
    converter._experimental_calibrate_only = True
    calibrated = converter.convert()

    def quantized(in_float: list[str]) -> bytes:
        input_type, output_type = types
        return mlir_quantize(
            calibrated, input_data_type=input_type, output_data_type=output_type, denylisted_nodes=in_float
        )

    whole = quantized([])
    differences = np.abs(_answers(whole, samples) - expected)
    if differences.max() <= UNHARMED:
        return Converted(whole, ())
    in_float: list[str] = []
    some = samples[:: max(1, len(samples) // COMPARED_IMAGES)]
    # A layer that reads what another now gives in float32 may be the next that cannot be quantized.
    while True:
        both_ways = mlir_quantize(calibrated, enable_numeric_verify=True, denylisted_nodes=in_float)
        noisy = [name for name in noisy_tensors(both_ways, some) if name not in in_float]
        if not noisy:
            break
        in_float += noisy
    mixed = quantized(in_float)
    if np.abs(_answers(mixed, samples) - expected).mean() >= differences.mean():
        return Converted(whole, ())
    found = {layer_of(name, layers) for name in in_float}
    return Converted(mixed, tuple(layer for layer in layers if layer in found))


def noisy_tensors(content: bytes, samples: Sequence[Sequence[np.ndarray]]) -> list[str]:
    """The tensors that integers say too little of.

    The noise is compared channel by channel with how much the channel varies, so that one with large values does not
    hide what happens to the others; channels that hardly change tell nothing and are left out.

    Args:
        content: of a `.tflite` file that computes each layer in integers and in float32, from the same input.
        samples: as of `in_integers`.

    Returns:
        Their names in the float32 network.
    """
    from ai_edge_litert.interpreter import Interpreter

    with warnings.catch_warnings():
        # It tells that this is for debugging, as it is.
        warnings.simplefilter("ignore", UserWarning)
        interpreter = Interpreter(model_content=content, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    [pixels] = interpreter.get_input_details()
    details = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    verified = _verified(content)
    sums = {tensor.name: np.zeros(1) for tensor in verified}
    for [image] in samples:
        interpreter.set_tensor(pixels["index"], image)
        interpreter.invoke()
        for tensor in verified:
            exact = interpreter.get_tensor(tensor.float).astype(np.float64)
            exact = exact.reshape(-1, exact.shape[-1])
            scale, zero_point = details[tensor.quantized]["quantization"]
            rounded = (interpreter.get_tensor(tensor.quantized).reshape(exact.shape) - float(zero_point)) * scale
            moments = [np.ones_like(exact), exact, exact**2, (exact - rounded) ** 2]
            sums[tensor.name] = sums[tensor.name] + np.sum(moments, axis=1)
    return [name for name, moments in sums.items() if _noise(moments) > LOUDEST_NOISE]


def layer_of(tensor: str, layers: Collection[str]) -> str:
    """The layer that a tensor of a `.tflite` file comes from.

    Args:
        tensor: its name: paths of what was fused, "resnet20_1/conv1_relu_1/Relu;resnet20_1/conv1_1/convolution;…".
        layers: the names of the network's layers.

    Returns:
        The last that is a layer, which is the one with the weights; the name as it is where none is.
    """
    found = tensor
    for path in tensor.split(";"):
        for part in path.split("/"):
            # TensorFlow numbers names that are used again.
            names = [name for name in (re.sub(r"_\d+$", "", part), part) if name in layers]
            found = names[0] if names else found
    return found


def _answers(content: bytes, samples: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=cores())
    interpreter.allocate_tensors()
    return np.concatenate([run(interpreter, image) for [image] in samples])


def _noise(moments: np.ndarray) -> float:
    """The share of noise in what the channels tell, from count, sums, sums of squares and of squared errors."""
    count, total, squares, errors = moments
    variances = squares / count - (total / count) ** 2
    changing = variances > LEAST_CHANGE**2 * squares / count
    if not changing.any():
        return 0.0
    return float(np.sqrt(np.mean(np.minimum(1.0, (errors / count)[changing] / variances[changing]))))


def _verified(content: bytes) -> list[Verified]:
    """What is computed both ways, but for softmax, whose steps are always 1/256 and are the gate's to judge."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    makers, found = {}, []
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        code = model.OperatorCodes(operator.OpcodeIndex())
        makers[operator.Outputs(0)] = code.BuiltinCode()
        if code.CustomCode() == b"NumericVerify":
            quantized, exact = operator.Inputs(0), operator.Inputs(1)
            if makers[quantized] != schema.BuiltinOperator.SOFTMAX:
                found.append(Verified(graph.Tensors(exact).Name().decode(), quantized, exact))
    return found
