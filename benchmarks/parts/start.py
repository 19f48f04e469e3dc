"""How long commands take from their start: help, the prediction of one image, a first training step."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.part import Contestant, Measure, Options, Part, Row
from benchmarks.photographs import temporary_folder

KERASCNN = ("-m", "kerascnn")
FIRST_STEP = """
import kerascnn, numpy
from kerascnn.training import Recipe, compile_for
model = kerascnn.applications.ResNet20()
compile_for(model, Recipe.for_model("resnet20"), 1)
model.train_on_batch(numpy.zeros((64, 32, 32, 3), "float32"), numpy.eye(10, dtype="float32")[numpy.zeros(64, int)])
"""


def rows(options: Options) -> Iterator[Row]:
    """One row per command."""
    for name, prepare, arguments in (
        ("kerascnn --help", command, {"words": [*KERASCNN, "--help"]}),
        ("kerascnn predict, one image, .tflite", predict_command, {}),
        ("the first training step of ResNet-20", command, {"words": ["-c", FIRST_STEP]}),
    ):
        yield Row(name, "s", (Contestant("kerascnn", prepare, arguments),))


def command(words: list[str]) -> Measure:
    """Seconds that Python takes with these arguments, all of it."""

    def measure() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    measure()
    return measure


def predict_command() -> Measure:
    """`kerascnn predict` of a file of noise; the model is made by another process, whose memory does not count."""
    folder = temporary_folder()
    subprocess.run([sys.executable, "-m", __name__, str(folder)], check=True)
    model, image = folder / "model.tflite", folder / "image.jpg"
    return command([*KERASCNN, "predict", str(model), str(image)])


def make_model(folder: Path) -> None:
    """Writes an untrained ResNet-20 and an image."""
    import numpy as np
    from PIL import Image

    from benchmarks.parts.inference import trained_network
    from kerascnn.export import deployable
    from kerascnn.export.tflite import write_tflite

    write_tflite(deployable(trained_network("resnet20", 32)), folder / "model.tflite")
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "image.jpg")


PART = Part("seconds from the start of a command", (), rows)

if __name__ == "__main__":
    make_model(Path(sys.argv[1]))
