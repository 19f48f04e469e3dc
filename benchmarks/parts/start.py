"""How long commands take from their start: help, the prediction of one image, a first training step."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.exported import exported
from benchmarks.part import Contestant, Measure, Options, Part, Row
from benchmarks.photographs import temporary_folder

KERASCNN = (sys.executable, "-m", "kerascnn")
# A checkpoint after every step shows when the first is done.
TRAIN = ("train", "--checkpoint-every", "0")
RESNET50 = (*TRAIN, "--model", "resnet50", "--batch-size", "16", "--data")


def rows(options: Options) -> Iterator[Row]:
    """One row per command."""
    measured = [
        ("kerascnn --help (wanted: 0.1 s)", command, {"words": ["--help"]}),
        *(
            (f"kerascnn predict, one image, .{kind} (wanted: 1.5 s)", predict_command, {"kind": kind})
            for kind in ("tflite", "onnx")
        ),
        ("kerascnn train to its first step (wanted: 12 s)", first_step, {"words": TRAIN}),
    ]
    if options.photographs:
        words = [*RESNET50, str(options.photographs)]
        measured.append(("the same, ResNet-50 on photographs", first_step, {"words": words}))
    for name, prepare, arguments in measured:
        packages = ("onnxruntime", "tf2onnx") if arguments.get("kind") == "onnx" else ()
        yield Row(name, "s", (Contestant("kerascnn", prepare, arguments, packages),))


def command(words: list[str]) -> Measure:
    """Seconds of a subcommand, all of it."""

    def measure() -> float:
        start = time.perf_counter()
        subprocess.run([*KERASCNN, *words], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    measure()
    return measure


def predict_command(kind: str) -> Measure:
    """`kerascnn predict` of a file of noise."""
    import numpy as np
    from PIL import Image

    image = temporary_folder() / "image.jpg"
    pixels = np.random.default_rng(0).integers(0, 256, (375, 500, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(image)
    return command(["predict", str(exported(kind, "resnet50", 224)), str(image)])


def first_step(words: list[str]) -> Measure:
    """Seconds from the start of `kerascnn train` until its first step is done and written, which adds little."""

    def measure() -> float:
        folder, start = temporary_folder(), time.perf_counter()
        with subprocess.Popen([*KERASCNN, *words, "--out", str(folder)], stderr=subprocess.DEVNULL) as started:
            while not any(folder.glob("runs/*/checkpoints/epoch-0000-step-000001.npz")):
                if started.poll() is not None:
                    raise RuntimeError(f"kerascnn {' '.join(words)} ended with status {started.returncode}")
                time.sleep(0.01)
            seconds = time.perf_counter() - start
            started.kill()
        return seconds

    measure()
    return measure


PART = Part("seconds from the start of a command", ("photographs",), rows)
