"""One image by a .tflite file, beside keras.applications' network converted as TensorFlow's guide has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.exported import exported, images_of
from benchmarks.part import Contestant, Measure, Options, Part, Row, chosen
from benchmarks.parts.inference import NETWORKS
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
                common |= {"size": options.image_size or size, "network": name}
                ours = Contestant("kerascnn", one_image, common | {"form": "tflite"})
                theirs = common | {"form": "keras.applications' tflite", "network": keras_name}
                other = Contestant("keras.applications", one_image, theirs, (), 1.0)
                if keras_name is None:
                    without = common | {"form": "tflite without LRN"}
                    other = Contestant("the same without LRN", one_image, without, (), 1 / 1.1)
                form = "float32" if quantization == "none" else quantization
                yield Row(f"{name}, {form}, {threads} thread{'s' * (threads > 1)}", "ms", (ours, other))


def one_image(form: str, network: str, size: int, quantization: str, threads: int, seconds: float) -> Measure:
    return one_image_of(exported(form, network, size, quantization), size, threads, seconds)


def one_image_of(path: Path, size: int, threads: int, seconds: float) -> Measure:
    """Milliseconds of an image of noise by a file."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
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
