"""One image by a .tflite file, beside keras.applications' network converted as TensorFlow's guide has it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.part import Contestant, Measure, Options, Part, Row, chosen
from benchmarks.parts.inference import NETWORKS, images_of, trained_network
from benchmarks.timing import milliseconds

QUANTIZATIONS = ("none", "int8")
GOOGLENET = "googlenet"  # With LRN, beside the same without


def rows(options: Options) -> Iterator[Row]:
    """Every network in float32 and int8, on one thread and on two."""
    for name in chosen(options.networks, [*NETWORKS, GOOGLENET], "network"):
        keras_name, size = NETWORKS.get(name, (None, 224))
        for quantization in QUANTIZATIONS:
            for threads in (1, 2):
                common = {"quantization": quantization, "threads": threads, "seconds": options.seconds}
                common["size"] = options.image_size or size
                ours = Contestant("kerascnn", our_file, common | {"network": name})
                other = Contestant("keras.applications", keras_file, common | {"network": keras_name}, (), 1.0)
                if keras_name is None:
                    other = Contestant("the same without LRN", file_without_lrn, common, (), 1 / 1.1)
                form = "float32" if quantization == "none" else quantization
                yield Row(f"{name}, {form}, {threads} thread{'s' * (threads > 1)}", "ms", (ours, other))


def our_file(network: str, size: int, quantization: str, threads: int, seconds: float) -> Measure:
    return _of_ours(trained_network(network, size), size, quantization, threads, seconds)


def file_without_lrn(size: int, quantization: str, threads: int, seconds: float) -> Measure:
    import keras

    from kerascnn.layers import LocalResponseNormalization

    def without(layer):
        unchanged = keras.layers.Activation("linear", name=layer.name)
        return unchanged if isinstance(layer, LocalResponseNormalization) else layer.from_config(layer.get_config())

    model = keras.models.clone_model(trained_network(GOOGLENET, size), clone_function=without)
    return _of_ours(model, size, quantization, threads, seconds)


def _of_ours(model, size: int, quantization: str, threads: int, seconds: float) -> Measure:
    from kerascnn.export import deployable
    from kerascnn.export.tflite import write_tflite

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        write_tflite(deployable(model), path, quantization, calibration=[images_of(16, size)])
        return _interpreter(path.read_bytes(), size, threads, seconds)


def keras_file(network: str, size: int, quantization: str, threads: int, seconds: float) -> Measure:
    import keras
    import tensorflow as tf

    model = getattr(keras.applications, network)(weights=None, input_shape=(size, size, 3))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if quantization == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in images_of(16, size))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
    return _interpreter(converter.convert(), size, threads, seconds)


def _interpreter(content: bytes, size: int, threads: int, seconds: float) -> Measure:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    given, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    image = images_of(1, size).astype(given["dtype"])

    def step():
        interpreter.set_tensor(given["index"], image)
        interpreter.invoke()
        return interpreter.get_tensor(answer["index"])

    return milliseconds(step, seconds)


PART = Part(
    "one image by .tflite files, float32 and int8, on 1 and 2 threads, beside keras.applications' converted",
    ("networks", "image_size", "seconds"),
    rows,
)
