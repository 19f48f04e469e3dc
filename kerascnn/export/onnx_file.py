"""ONNX: for ONNX Runtime and whatever else reads it. Needs the extra `onnx`."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras

from kerascnn.applications.deep import functional
from kerascnn.errors import InputError
from kerascnn.evaluation.predictors import LABELS_FILE, METADATA_FILE, check_onnx_packages, model_metadata_of
from kerascnn.native_output import discarded_stderr

# What Protocol Buffers hold in one file.
LARGEST_BYTES = 2**31 - 1


def write_onnx(model: keras.Model, path: Path) -> None:
    """Writes an `.onnx` file in float32, by Keras' own export.

    It takes `pixels`, float32 (any, height, width, 3) in [0, 255], and gives `probabilities`, float32 (any, classes).
    The class names and the image's cut are its metadata `labels.txt` and `kerascnn.json`.

    Args:
        model: in its deployable form.
        path: of the file.

    Raises:
        InputError: the packages for ONNX are not installed, or the network is too large for a file.

    Example:
        >>> write_onnx(deployable(model), Path("model.onnx"))
    """
    check_onnx_packages()
    import onnx

    facts = model_metadata_of(model)
    weights = 4 * model.count_params()
    if weights > LARGEST_BYTES:
        raise InputError(f"the weights are {weights} bytes; an ONNX file holds {LARGEST_BYTES} at most.")
    named = functional(model.inputs[0], {"probabilities": model.outputs[0]}, name=model.name)
    pixels = keras.InputSpec(shape=(None, facts.image_size, facts.image_size, 3), dtype="float32", name="pixels")
    with discarded_stderr(), warnings.catch_warnings(), _functions_inlined():
        # Keras patches the converter for NumPy 2, and looks for a name that NumPy warns of.
        warnings.filterwarnings("ignore", message="In the future `np.object`", category=FutureWarning)
        named.export(str(path), format="onnx", verbose=False, input_signature=[pixels])
    written = onnx.load(path)
    onnx.helper.set_model_props(
        written, {LABELS_FILE: "\n".join(facts.class_names) + "\n", METADATA_FILE: facts.to_json()}
    )
    onnx.save(written, path)


@contextlib.contextmanager
def _functions_inlined() -> Iterator[None]:
    """Traces inner functions in place: Keras makes one of a grouped convolution, and the converter cannot read it."""
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
