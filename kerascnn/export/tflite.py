"""TFLite: for phones and everything else that runs LiteRT."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from kerascnn.errors import InputError
from kerascnn.evaluation.predictors import LABELS_FILE, METADATA_FILE, UNQUANTIZED, model_metadata_of
from kerascnn.export.integers import Converted, in_integers
from kerascnn.export.litert import check_litert_package
from kerascnn.export.litert import quantized as litert_quantized
from kerascnn.export.metadata import ModelDescription, model_metadata
from kerascnn.export.metadata_buffer import with_metadata
from kerascnn.native_output import discarded_stderr

if TYPE_CHECKING:
    import tensorflow as tf

# Forms whose activations are integers, so that their ranges must be seen on images.
CALIBRATED = ("int8", "int16x8")
QUANTIZATIONS = (UNQUANTIZED, "float16", "dynamic", *CALIBRATED)
PIXEL_TYPES = ("uint8", "int8", "float32")
# TensorFlow's converter does it as well; LiteRT's own quantizer takes what that makes in float32.
QUANTIZERS = ("tensorflow", "litert")


def pixel_type(quantize: str, asked: str | None = None) -> str:
    """What a file of a form takes.

    Cameras and bitmaps have whole pixels of 8 bits, so that is the default on phones; "none" is the reference that
    everything is held against, and takes any.

    Args:
        quantize: the form.
        asked: "uint8" or "float32" for every form, "int8" for the form "int8" only; None for the form's own.
    """
    if asked is None or (asked == "int8" and quantize != "int8"):
        return "float32" if quantize == UNQUANTIZED else "uint8"
    return asked


def write_tflite(
    model: keras.Model,
    path: Path,
    quantize: str = UNQUANTIZED,
    *,
    calibration: Iterable[np.ndarray] = (),
    pixels: str | None = None,
    about: ModelDescription | None = None,
    quantizer: str = QUANTIZERS[0],
) -> None:
    """Writes a `.tflite` file of builtin operations for one image at a time.

    Its signature takes `pixels` (1, height, width, 3) in [0, 255] and gives `probabilities` (1, classes). Metadata in
    the file describe both to MediaPipe and to Android's tools; the class names that they refer to, and the image's
    cut, are appended as a zip archive: interpreters do not look past the network, and any unzip program lists them.

    Args:
        model: in its deployable form.
        path: of the file.
        quantize: "none" is float32. "float16" keeps weights in 16 bits and computes in float32. "dynamic" keeps weights
            in 8 bits, with a scale a channel, and computes with activations in 8 bits whose ranges are found as it
            runs. "int8" is 8 bits throughout, with ranges found beforehand, but for layers to which that does harm (see
            `kerascnn.export.integers`); "int16x8" has activations of 16 bits. Operations without an integer kernel
            stay in float32 (powers of local response normalization).
        calibration: for "int8" and "int16x8", float32 (count, height, width, 3) batches in [0, 255].
        pixels: the type of its input: see `pixel_type`. "uint8" and "float32" are plain pixels, with float32
            probabilities; "int8" are pixels - 128, with probabilities * 256 - 128 in int8, for processors that have
            integers only.
        about: what the metadata say beside; by default the model's name.
        quantizer: what makes the forms other than "none": "tensorflow", or "litert" with the extra of that name, which
            leaves no layer in float32 for the harm that "int8" does to it.

    Raises:
        InputError: an unknown form, type of pixels or quantizer, one that is not installed, or calibration images
            that are none or of another size.

    Example:
        >>> write_tflite(deployable(model), Path("model-float16.tflite"), "float16")
    """
    for name, value, known in (
        ("quantize", quantize, QUANTIZATIONS),
        ("pixels", pixels, (None, *PIXEL_TYPES)),
        ("quantizer", quantizer, QUANTIZERS),
    ):
        if value not in known:
            raise InputError(f"{name} must be one of {', '.join(filter(None, known))}, not '{value}'.")
    if quantizer == "litert":
        check_litert_package()
    facts = model_metadata_of(model)
    with discarded_stderr():
        converted = _converted(model, facts.image_size, quantize, calibration, pixel_type(quantize, pixels), quantizer)
    facts = replace(
        facts,
        quantization=quantize,
        quantizer=None if quantize == UNQUANTIZED else quantizer,
        float_fallback_layers=converted.float_fallback_layers,
    )
    metadata = model_metadata(about or ModelDescription(model.name), facts)
    with path.open("wb") as file:
        file.writelines(with_metadata(converted.content, metadata))
    with zipfile.ZipFile(path, "a") as extras:
        extras.writestr(LABELS_FILE, "\n".join(facts.class_names) + "\n")
        extras.writestr(METADATA_FILE, facts.to_json())


def _converted(
    model: keras.Model, size: int, quantize: str, calibration: Iterable[np.ndarray], pixels: str, quantizer: str
) -> Converted:
    """The network as a FlatBuffer, by TensorFlow's converter: nothing but this and `integers` knows it.

    Nothing but this and `litert` knows of the other quantizer.
    """
    import tensorflow as tf

    # The form "int8" takes its integers as they are; in others, they are made floats first.
    given = tf.uint8 if pixels == "uint8" and quantize != "int8" else tf.float32

    @tf.function(input_signature=[tf.TensorSpec((1, size, size, 3), given, name="pixels")], autograph=False)
    def network(pixels):
        return {"probabilities": model(tf.cast(pixels, tf.float32), training=False)}

    # The converter finds the weights through a module that holds them; through a Keras 3 model it does not. Weights
    # that are made constants before take five times the memory.
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()], module)
    if quantizer == "litert" and quantize != UNQUANTIZED:
        samples = _samples(calibration, size, given) if quantize in CALIBRATED else []
        return Converted(litert_quantized(converter.convert(), quantize, samples, pixels), ())
    # After integer kernels come float ones, for operations that have no other; never TensorFlow's own.
    floats, operations = tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet
    integers = {
        "int8": [operations.TFLITE_BUILTINS_INT8],
        "int16x8": [operations.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8],
    }
    converter.target_spec.supported_ops = [*integers.get(quantize, []), floats]
    if quantize != UNQUANTIZED:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        types = tf.dtypes.as_dtype(pixels), tf.int8 if pixels == "int8" else tf.float32
        samples = _samples(calibration, size, given)
        expected = np.concatenate([network(image)["probabilities"] for [image] in samples])
        return in_integers(converter, samples, expected, [layer.name for layer in model.layers], types)
    if quantize == "int16x8":
        samples = _samples(calibration, size, given)
        converter.representative_dataset = lambda: iter(samples)
    return Converted(converter.convert(), ())


def _samples(calibration: Iterable[np.ndarray], size: int, given: tf.DType) -> list[list[np.ndarray]]:
    """The images one by one; in the first, one pixel is black and one white.

    The range of the input is then [0, 255] whatever the images are, so its scale is 1: an input of 8 bits takes
    pixels as they are.
    """
    samples = [[image[None]] for batch in calibration for image in np.array(batch, np.float32)]
    if not samples:
        raise InputError("there are no images to calibrate with; integers need some to find their ranges on.")
    for [image] in samples:
        if image.shape[1:] != (size, size, 3):
            raise InputError(f"a calibration image is {image.shape[1:]}; the network takes {(size, size, 3)}.")
    samples[0][0][0, 0, 0], samples[0][0][0, -1, -1] = 0, 255
    return [[np.round(image).astype(np.uint8)] for [image] in samples] if given.is_integer else samples
