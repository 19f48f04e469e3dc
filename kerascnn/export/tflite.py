"""Writes TFLite files, for phones and everything else that runs LiteRT."""

from __future__ import annotations

import contextlib
import functools
import re
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from kerascnn.errors import InputError, check_installed, one_line, refused
from kerascnn.evaluation.model_digests import digest_before, with_digest
from kerascnn.evaluation.predictors import METADATA_FILE, UNQUANTIZED, model_metadata_of
from kerascnn.export.integer_quantization import ConvertedNetwork, quantize_int8, stays_float
from kerascnn.export.litert_quantizer import quantize_with_litert
from kerascnn.export.metadata import ModelDescription, tflite_metadata, with_metadata
from kerascnn.files.temporary import TemporaryFolder
from kerascnn.keras_internals import converted, converter_of
from kerascnn.native_output import discarded_stderr

if TYPE_CHECKING:
    import tensorflow as tf

# Quantizations with integer activations, whose ranges are calibrated on images.
CALIBRATED = ("int8", "int16x8")
QUANTIZATIONS = (UNQUANTIZED, "float16", "dynamic", *CALIBRATED)
PIXEL_TYPES = ("uint8", "int8", "float32")
# TensorFlow's converter quantizes itself; LiteRT's quantizer takes the converter's float32 network.
QUANTIZERS = ("tensorflow", "litert")


def check_choice(name: str, value: str | None, known: Iterable[str | None]) -> None:
    """Raises InputError if a value is not among the known ones."""
    if value not in known:
        raise InputError(f"the {name} must be one of {', '.join(filter(None, known))}, not '{value}'.")


def check_options(quantization: str, pixels: str | None, quantizer: str) -> None:
    """Raises InputError if an argument of `write_tflite` is unknown, or the quantizer is not installed."""
    check_choice("quantization", quantization, QUANTIZATIONS)
    check_choice("type of pixels", pixels, (None, *PIXEL_TYPES))
    check_choice("quantizer", quantizer, QUANTIZERS)
    if quantizer == "litert":
        check_installed("the quantizer 'litert'", "ai_edge_quantizer", "litert")


def pixel_type(quantization: str, pixels: str | None = None) -> str:
    """The input type of a file: `pixels`, or by default uint8 if quantized, because images on phones have 8-bit pixels.

    "none", the reference for the others, takes float32. "int8" affects the quantization "int8" only.
    """
    if pixels is None or (pixels == "int8" and quantization != "int8"):
        return "float32" if quantization == UNQUANTIZED else "uint8"
    return pixels


class Graphs(contextlib.ExitStack):
    """What all `.tflite` files of a network are converted from: a graph for each type of pixels, traced and saved once.

    Args:
        model: a result of `deployable`.

    Example:
        >>> with Graphs(deployable(model)) as graphs:
        ...     write_tflite(graphs, Path("model.tflite"))
        ...     write_tflite(graphs, Path("model-int8.tflite"), "int8", calibration=[images])
    """

    def __init__(self, model: keras.Model):
        super().__init__()
        self.model = model
        self._graphs: dict[tf.DType, _Graph] = {}

    def of(self, input_type: tf.DType) -> _Graph:
        """The graph that takes pixels of a type."""
        if input_type not in self._graphs:
            self._graphs[input_type] = _Graph(self.model, input_type, self.enter_context(TemporaryFolder()))
        return self._graphs[input_type]


class _Graph:
    """A network for one image as a SavedModel in a folder, which TensorFlow's converter reads.

    Attributes:
        network: maps pixels (1, height, width, channels) of the type to a dict of `probabilities`.
    """

    def __init__(self, model: keras.Model, input_type: tf.DType, folder: str):
        import tensorflow as tf

        pixels = tf.TensorSpec((1, *model.inputs[0].shape[1:]), input_type, name="pixels")

        @tf.function(input_signature=[pixels], autograph=False)
        def network(pixels):
            return {"probabilities": model(tf.cast(pixels, tf.float32), training=False)}

        # A tf.Module finds the weights, which a Keras 3 model does not. Weights turned into constants beforehand would
        # take five times the memory.
        module = tf.Module()
        module.weights = [variable.value for variable in model.variables]
        tf.saved_model.save(module, folder, signatures=network.get_concrete_function())
        self.network, self._folder = network, folder

    def converter(self) -> tf.lite.TFLiteConverter:
        return converter_of(self._folder)

    @functools.cached_property
    def unquantized(self) -> bytes:
        """The `.tflite` file in float32."""
        return converted(self.converter())


def write_tflite(
    network: keras.Model | Graphs,
    path: Path,
    quantization: str = UNQUANTIZED,
    *,
    calibration: Iterable[np.ndarray] = (),
    pixels: str | None = None,
    description: ModelDescription | None = None,
    quantizer: str = QUANTIZERS[0],
) -> None:
    """Writes a `.tflite` file of builtin operations for one image at a time.

    Its signature maps `pixels` (1, height, width, channels) in [0, 255] to `probabilities` (1, classes). Metadata in
    the file describe both to MediaPipe and Android's tools. The class names, image size and crop are appended as a zip
    archive: interpreters ignore bytes after the network, and any unzip program lists it.

    Args:
        network: a result of `deployable`, or its `Graphs` for several files.
        path: the file.
        quantization: "none" is float32. "float16" stores weights in 16 bits and computes in float32. "dynamic" stores
            weights in 8 bits with one scale per channel, and computes with 8-bit activations whose ranges are found at
            run time. "int8" is 8 bits throughout with calibrated ranges, except for layers that integers would harm
            (see `kerascnn.export.integer_quantization`). "int16x8" has 16-bit activations. Operations without an
            integer kernel, such as squares, stay in float32, in "int8" all of local response normalization.
        calibration: for "int8" and "int16x8", float32 (count, height, width, channels) batches in [0, 255].
        pixels: the input type, see `pixel_type`. With "uint8" and "float32" the file takes pixels as they are and
            returns float32 probabilities. With "int8" it takes pixels - 128 and returns probabilities * 256 - 128 in
            int8, for CPUs without floating point.
        description: name, author and so on for the metadata; by default the model's name only.
        quantizer: "tensorflow", or "litert" with the extra of that name, which keeps no layer in float32 because
            "int8" would harm it.

    Raises:
        InputError: the quantization, pixel type or quantizer is unknown, the quantizer is not installed, or there are
            no calibration images or they have another size; or the converter fails.

    Example:
        >>> write_tflite(deployable(model), Path("model-float16.tflite"), "float16")
    """
    check_options(quantization, pixels, quantizer)
    with contextlib.nullcontext(network) if isinstance(network, Graphs) else Graphs(network) as graphs:
        name, metadata = graphs.model.name, model_metadata_of(graphs.model)
        with refused(f"the model '{name}' cannot be converted to TFLite", _why_not_tflite), discarded_stderr():
            made = _convert(graphs, quantization, calibration, pixel_type(quantization, pixels), quantizer)
    metadata = replace(
        metadata,
        quantization=quantization,
        quantizer=None if quantization == UNQUANTIZED else quantizer,
        float_fallback_layers=made.float_fallback_layers,
    )
    buffer = tflite_metadata(description or ModelDescription(name), metadata)
    with path.open("wb") as file:
        file.writelines(with_metadata(made.content, buffer))
    files = metadata.to_files()
    digest = digest_before(path, path.stat().st_size)
    files[METADATA_FILE] = with_digest(files[METADATA_FILE], digest)
    with zipfile.ZipFile(path, "a") as extras:
        for name, text in files.items():
            extras.writestr(name, text)


def _why_not_tflite(error: Exception) -> str:
    # The converter's message begins with advice for other programs, and names the operations later.
    operations = re.search(r"(TF Select|Custom) ops: (.+)", str(error))
    return f"TFLite lacks {operations[2]}." if operations else one_line(error)


def _convert(
    graphs: Graphs, quantization: str, calibration: Iterable[np.ndarray], pixels: str, quantizer: str
) -> ConvertedNetwork:
    """Converts the network with TensorFlow's converter, and quantizes it with either quantizer."""
    import tensorflow as tf

    # "int8" takes integers as they are; in the other files a cast to float32 comes first.
    input_type = tf.uint8 if pixels == "uint8" and quantization != "int8" else tf.float32
    model = graphs.model
    samples = _samples(calibration, model.inputs[0].shape[1:], input_type) if quantization in CALIBRATED else []
    graph = graphs.of(input_type)
    if quantization == UNQUANTIZED:
        return ConvertedNetwork(graph.unquantized)
    if quantizer == "litert":
        return ConvertedNetwork(quantize_with_litert(graph.unquantized, quantization, samples, pixels))
    # Float kernels serve operations without an integer kernel; TensorFlow's own operations are never allowed.
    operations = tf.lite.OpsSet
    integers = {
        "int8": [operations.TFLITE_BUILTINS_INT8],
        "int16x8": [operations.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8],
    }
    converter = graph.converter()
    converter.target_spec.supported_ops = [*integers.get(quantization, []), operations.TFLITE_BUILTINS]
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantization == "int8":
        types = tf.dtypes.as_dtype(pixels), tf.int8 if pixels == "int8" else tf.float32
        expected = np.concatenate([graph.network(image)["probabilities"] for [image] in samples])
        floats = [layer.name for layer in model.layers if stays_float(layer)]
        return quantize_int8(converter, samples, expected, [layer.name for layer in model.layers], floats, types)
    if quantization == "int16x8":
        converter.representative_dataset = lambda: iter(samples)
    return ConvertedNetwork(converted(converter))


def _samples(calibration: Iterable[np.ndarray], shape: tuple, input_type: tf.DType) -> list[list[np.ndarray]]:
    """Splits batches into images, and makes one pixel of the first image black and one white.

    So the input range is [0, 255] whatever the images are, and its scale 1: an 8-bit input takes pixels as they are.
    """
    samples = [[image[None]] for batch in calibration for image in np.array(batch, np.float32)]
    if not samples:
        raise InputError("there are no images to calibrate with; integer quantization needs some to find the ranges.")
    for [image] in samples:
        if image.shape[1:] != shape:
            raise InputError(f"a calibration image is {image.shape[1:]}; the network takes {shape}.")
    samples[0][0][0, 0, 0], samples[0][0][0, -1, -1] = 0, 255
    return [[np.round(image).astype(np.uint8)] for [image] in samples] if input_type.is_integer else samples
