"""Writes ONNX files, for ONNX Runtime and other ONNX readers. Needs the extra `onnx`."""

from __future__ import annotations

import contextlib
import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import keras

from kerascnn.applications.deep import functional
from kerascnn.errors import InputError, check_installed, refused
from kerascnn.evaluation.model_digests import seal, with_digest
from kerascnn.evaluation.predictors import METADATA_FILE, model_metadata_of
from kerascnn.native_output import discarded_stderr

if TYPE_CHECKING:
    import onnx

# The limit of one Protocol Buffers file.
MAX_BYTES = 2**31 - 1


def check_onnx_packages() -> None:
    """Raises InputError if one of the packages that write and verify ONNX files is not installed."""
    for package in ("onnx", "onnxruntime", "tf2onnx"):
        check_installed("writing an ONNX file", package, "onnx")


def write_onnx(model: keras.Model, path: Path) -> None:
    """Writes a result of `deployable` as a float32 `.onnx` file with Keras' own export.

    It maps `pixels`, float32 (any, height, width, channels) in [0, 255], to `probabilities`, float32 (any, classes).
    Its metadata `labels.txt` and `kerascnn.json` hold the class names, the image size and the crop.

    Raises:
        InputError: the ONNX packages are not installed, the network is too large for one file, or the converter fails.
    """
    check_onnx_packages()
    import onnx
    import tensorflow as tf

    metadata = model_metadata_of(model)
    weights = 4 * model.count_params()
    if weights > MAX_BYTES:
        raise InputError(f"the weights are {weights} bytes; an ONNX file holds {MAX_BYTES} at most.")
    named = functional(model.inputs[0], {"probabilities": model.outputs[0]}, name=model.name)
    pixels = keras.InputSpec(shape=(None, *metadata.image_shape), dtype="float32", name="pixels")
    failed = refused(f"the model '{model.name}' cannot be converted to ONNX")
    with failed, discarded_stderr(), warnings.catch_warnings(), contextlib.ExitStack() as stack:
        # Traces inner functions in place: the converter cannot read the one that Keras makes of a grouped convolution.
        stack.callback(tf.config.run_functions_eagerly, tf.config.functions_run_eagerly())
        tf.config.run_functions_eagerly(True)
        # Keras patches the converter for NumPy 2 and looks up a deprecated name.
        warnings.filterwarnings("ignore", message="In the future `np.object`", category=FutureWarning)
        with _collecting_garbage():
            named.export(str(path), format="onnx", verbose=False, input_signature=[pixels])
        written = onnx.load(path)
        _embed_constants(written, named)
        # The converter writes operations that ONNX lacks under TensorFlow's names.
        onnx.checker.check_model(written)
    files = metadata.to_files()
    onnx.helper.set_model_props(written, {**files, METADATA_FILE: with_digest(files[METADATA_FILE])})
    onnx.save(written, path)
    seal(path)


@contextlib.contextmanager
def _collecting_garbage() -> Iterator[None]:
    """Frees what the converter leaves in cycles: some thirty copies of the network, one after the other.

    Python counts objects, not their bytes, and seldom looks at all of them where there are millions. Here it looks
    often, and leaves out those that were there before.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    # Python looks at all objects once a quarter more than it counted last are there: now it counts none.
    gc.collect()
    gc.set_threshold(200, 1, 1)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _embed_constants(written: onnx.ModelProto, model: keras.Model) -> None:
    """Turns inputs of the file that are constants of the network, such as a mean, into constants.

    TensorFlow traces a tensor that is no variable as an input of the function, and the converter keeps it as one.
    """
    import onnx
    import tensorflow as tf

    if len(written.graph.input) == 1:
        return
    pixels = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="pixels")
    traced = tf.function(lambda pixels: model(pixels, training=False), autograph=False).get_concrete_function(pixels)
    for value, placeholder in traced.graph.captures:
        for constant in [one for one in written.graph.input if one.name == placeholder.name]:
            written.graph.initializer.append(onnx.numpy_helper.from_array(value.numpy(), constant.name))
            written.graph.input.remove(constant)
    if others := [one.name for one in written.graph.input if one.name != "pixels"]:
        raise ValueError(f"it would need {', '.join(others)} besides pixels.")
