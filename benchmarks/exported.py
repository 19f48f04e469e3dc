"""Files of untrained networks, written by a process of their own: its memory does not count as a contestant's."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.photographs import temporary_folder

CALIBRATION_IMAGES = 16
# A shell that ends at once hands the program on: what is not waited for is no child whose memory counts.
DETACHED = '( "$@" > "$0/log" 2>&1; echo $? > "$0/status.partial"; mv "$0/status.partial" "$0/status" ) &'


def exported(form: str, network: str, size: int, quantization: str = "none") -> Path:
    """The path of a file.

    Args:
        form: a name in `FORMS`.
        network: kerascnn's name of it; of "keras.applications' tflite" theirs.
        size: height and width of the images.
        quantization: of a `.tflite` file, "none" or "int8".

    Raises:
        RuntimeError: it could not be written.

    Example:
        >>> exported("onnx", "resnet50", 224)
        PosixPath('/tmp/kerascnn-benchmark-5bk1/model.onnx')
    """
    folder, (suffix, _) = temporary_folder(), FORMS[form]
    path = folder / f"model{suffix}"
    program = [sys.executable, "-m", __name__, str(path), form, network, str(size), quantization]
    subprocess.run(["sh", "-c", DETACHED, str(folder), *program], check=True)
    while not (folder / "status").exists():
        time.sleep(0.05)
    if (status := (folder / "status").read_text().strip()) != "0":
        raise RuntimeError(f"{form} of {network}, status {status}: {(folder / 'log').read_text().splitlines()[-1]}")
    return path


def images_of(batch: int, size: int):
    """Noise in [0, 255], float32 (batch, size, size, 3)."""
    import numpy as np

    return np.random.default_rng(0).uniform(0, 255, (batch, size, size, 3)).astype("float32")


def trained_network(network: str, size: int):
    """A network between preprocessing and labels, as a training leaves it."""
    import keras

    from kerascnn import applications
    from kerascnn.layers import ClassLabels, Preprocessing

    pixels = keras.Input((size, size, 3), name="pixels")
    scaled = Preprocessing((3,), 60.0, 0.875, name="preprocessing")(pixels)
    model = applications.create(network, input_tensor=scaled)
    names = [f"class {number}" for number in range(model.output.shape[-1])]
    return keras.Model(pixels, ClassLabels(names, name="labels")(model.output), name=network)


def _write_saved_model(path: Path, network: str, size: int, quantization: str) -> None:
    from kerascnn.export import deployable
    from kerascnn.export.saved_model import write_saved_model

    write_saved_model(deployable(trained_network(network, size)), path)


def _write_keras(path: Path, network: str, size: int, quantization: str) -> None:
    from kerascnn.export import deployable
    from kerascnn.export.keras_file import write_keras

    write_keras(deployable(trained_network(network, size)), path)


def _write_onnx(path: Path, network: str, size: int, quantization: str) -> None:
    from kerascnn.export import deployable
    from kerascnn.export.onnx_file import write_onnx

    write_onnx(deployable(trained_network(network, size)), path)


def _write_tflite(path: Path, network: str, size: int, quantization: str) -> None:
    _write_tflite_of(trained_network(network, size), path, size, quantization)


def _write_tflite_without_lrn(path: Path, network: str, size: int, quantization: str) -> None:
    import keras

    from kerascnn.layers import LocalResponseNormalization

    def without(layer):
        unchanged = keras.layers.Activation("linear", name=layer.name)
        return unchanged if isinstance(layer, LocalResponseNormalization) else layer.from_config(layer.get_config())

    model = keras.models.clone_model(trained_network(network, size), clone_function=without)
    _write_tflite_of(model, path, size, quantization)


def _write_tflite_of(model, path: Path, size: int, quantization: str) -> None:
    from kerascnn.export import deployable
    from kerascnn.export.tflite import write_tflite

    write_tflite(deployable(model), path, quantization, calibration=[images_of(CALIBRATION_IMAGES, size)])


def _write_tflite_of_keras(path: Path, network: str, size: int, quantization: str) -> None:
    import keras
    import tensorflow as tf

    model = getattr(keras.applications, network)(weights=None, input_shape=(size, size, 3))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if quantization == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in images_of(CALIBRATION_IMAGES, size))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
    path.write_bytes(converter.convert())


FORMS = {
    "savedmodel": ("", _write_saved_model),
    "keras": (".keras", _write_keras),
    "onnx": (".onnx", _write_onnx),
    "tflite": (".tflite", _write_tflite),
    "tflite without LRN": (".tflite", _write_tflite_without_lrn),
    "keras.applications' tflite": (".tflite", _write_tflite_of_keras),
}

if __name__ == "__main__":
    FORMS[sys.argv[2]][1](Path(sys.argv[1]), sys.argv[3], int(sys.argv[4]), sys.argv[5])
