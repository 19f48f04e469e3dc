"""Quantizes networks with LiteRT's own quantizer, the package ai-edge-quantizer. Needs the extra `litert`."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import flatbuffers
import numpy as np

from kerascnn.cores import cores
from kerascnn.export.metadata import ALIGNMENT, NETWORK_IDENTIFIER

if TYPE_CHECKING:
    from ai_edge_quantizer.recipe_manager import RecipeManager

# Bits of the activations.
ACTIVATION_BITS = {"int8": 8, "int16x8": 16}


def quantize_with_litert(
    content: bytes, quantization: str, samples: Sequence[Sequence[np.ndarray]], pixels: str
) -> bytes:
    """Quantizes the `.tflite` file of a float32 network with one scale per channel of the weights.

    `samples` are calibration images for "int8" and "int16x8", each (1, height, width, channels) in a list of its own.
    `pixels` is the input type for "int8": "uint8", "int8" or "float32"; otherwise the network's stays.
    """
    from ai_edge_quantizer.calibrator import Calibrator
    from ai_edge_quantizer.quantizer import Quantizer
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    recipe = _recipe(quantization, pixels)
    # It draws progress bars, and LiteRT warns that preserving all tensors is for debugging.
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        ranges = None
        if samples:
            # By default the quantizer averages the ranges of the images, which clips values.
            calibrator = Calibrator(content, num_threads=cores(), qsv_update_func=min_max_update)
            calibrator.calibrate({"serving_default": [{"pixels": image} for [image] in samples]}, recipe)
            ranges = calibrator.get_model_qsvs()
        quantizer = Quantizer(content, recipe.get_quantization_recipe())
        result = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return _with_inline_weights(bytes(result.quantized_model))


def _recipe(quantization: str, pixels: str) -> RecipeManager:
    """Which operations are quantized and how; the later of two rules counts."""
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.recipe_manager import AlgorithmName, RecipeManager

    operations = qtyping.TFLOperationName
    everything = ".*", operations.ALL_SUPPORTED
    recipe = RecipeManager()
    if quantization == "float16":
        recipe.add_weight_only_config(*everything, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING)
    elif quantization == "dynamic":
        recipe.add_dynamic_config(*everything, num_bits=8)
    else:
        bits = ACTIVATION_BITS[quantization]
        recipe.add_static_config(*everything, activation_num_bits=bits, weight_num_bits=8)
        if quantization == "int16x8" or pixels == "float32":
            recipe.add_quantization_config(".*", operations.INPUT, algorithm_key=AlgorithmName.NO_QUANTIZE)
        elif pixels == "uint8":
            activation = qtyping.TensorQuantizationConfig(8, symmetric=False, dtype=qtyping.TensorDataType.UINT)
            weight = qtyping.TensorQuantizationConfig(8, granularity=qtyping.QuantGranularity.CHANNELWISE)
            integers = qtyping.ComputePrecision.INTEGER
            config = qtyping.OpQuantizationConfig(activation, weight, compute_precision=integers)
            recipe.add_quantization_config(".*", operations.INPUT, config)
        if pixels != "int8":
            recipe.add_quantization_config(".*", operations.OUTPUT, algorithm_key=AlgorithmName.NO_QUANTIZE)
    return recipe


class _AlignedBuilder(flatbuffers.Builder):
    """Aligns byte vectors, such as the contents of buffers, as TFLite's schema asks."""

    def StartVector(self, size: int, count: int, alignment: int) -> int:
        return super().StartVector(size, count, ALIGNMENT if size == 1 else alignment)


def _with_inline_weights(content: bytes) -> bytes:
    """Moves large weights from behind the FlatBuffer into it: metadata in front would make their offsets wrong."""
    from ai_edge_litert.tools.flatbuffer_utils import read_model_from_bytearray

    model = read_model_from_bytearray(content)
    for buffer in model.buffers:
        if buffer.data is not None:
            # An array is packed at once, other types byte by byte.
            buffer.data = np.frombuffer(buffer.data, np.uint8)
    builder = _AlignedBuilder()
    builder.Finish(model.Pack(builder), NETWORK_IDENTIFIER)
    return bytes(builder.Output())
