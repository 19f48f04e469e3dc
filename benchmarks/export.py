"""Exported forms beside each other: time and size of int8 and float16, GoogLeNet with and without heads, agreement.

The files of a network take turns, an image each. Its weights are random, with batch statistics of the images that it
is shown, because neither time nor size depends on what it learned. Agreement does, so it is measured on a trained run,
over its validation images.

    python benchmarks/export.py
    python benchmarks/export.py --image-size 96 --rounds 10
    python benchmarks/export.py --run runs/resnet20-digits-20261120-101500
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from alternating import take_turns
from rich.console import Console
from rich.table import Table

import kerascnn
from kerascnn.applications import registry
from kerascnn.evaluation import TFLitePredictor
from kerascnn.export import Tolerance, deployable, export
from kerascnn.export.tflite import QUANTIZATIONS, write_tflite

CLASSES, CALIBRATION, WARM_UP = 1000, 16, 3
# What is to be reached: time and size beside the float32 file's, and the share of images named alike.
TIME, SIZE = {"int8": 0.55}, {"int8": 0.27, "float16": 0.51}
AGREEMENT = {"none": 0.999, "float16": 0.995, "int8": 0.97}


def images(size: int) -> np.ndarray:
    patches = np.random.default_rng(0).uniform(0, 255, (CALIBRATION, 8, 8, 3))
    return np.kron(patches, np.ones((1, size // 8 + 1, size // 8 + 1, 1)))[:, :size, :size].astype("float32")


def network(name: str, size: int, **arguments: Any) -> keras.Model:
    """With random weights, and batch normalization that keeps activations near one."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((size, size, 3), name="pixels")
    scaled = keras.layers.Rescaling(1 / 60, -2.1, name="scaled")(pixels)
    model = kerascnn.applications.create(name, input_tensor=scaled, classes=CLASSES, **arguments)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(images(size), training=True)
    return model


def written(model: keras.Model, form: str, folder: Path, threads: int | None) -> TFLitePredictor:
    path = folder / f"{model.name}-{form}.tflite"
    size = model.inputs[0].shape[1]
    write_tflite(model, path, form, calibration=[images(size)] if form == "int8" else ())
    return TFLitePredictor(path, threads)


def compared(name: str, forms: Sequence[str], size: int, rounds: int, threads: int | None) -> list[dict]:
    """Each form beside float32."""
    image = images(size)[:1]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        model = deployable(network(name, size))
        exact = written(model, "none", Path(folder), threads)
        for form in forms:
            other = written(model, form, Path(folder), threads)
            row = atomic_path(other, exact, image, rounds)
            row |= {"network": name, "form": form, "in float": ", ".join(other.metadata.float_fallback_layers)}
            rows.append(row | {"time at most": TIME.get(form), "size at most": SIZE.get(form)})
    keras.backend.clear_session(free_memory=True)
    return rows


def atomic_path(ours: TFLitePredictor, theirs: TFLitePredictor, image: np.ndarray, rounds: int) -> dict:
    medians = take_turns(
        lambda: ours.probabilities(image),
        lambda: theirs.probabilities(image),
        rounds=rounds,
        warm_up=WARM_UP,
    )
    return {
        "ms": 1000 * medians.ours,
        "beside ms": 1000 * medians.theirs,
        "time": 1 / medians.ratio,
        "MB": ours.size_in_bytes() / 1e6,
        "size": ours.size_in_bytes() / theirs.size_in_bytes(),
    }


def heads(size: int, rounds: int, threads: int | None) -> dict:
    """GoogLeNet exported of a network with auxiliary heads beside one built without."""
    image = images(size)[:1]
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, aux_heads in enumerate((True, False)):
            (Path(folder) / str(number)).mkdir()
            model = deployable(network("googlenet", size, aux_heads=aux_heads))
            files.append(written(model, "none", Path(folder) / str(number), threads))
        row = atomic_path(*files, image, rounds)
    return row | {"network": "googlenet", "form": "with heads", "in float": "", "time at most": 1, "size at most": 1}


def agreement(run: Path) -> list[dict]:
    """How a trained model's exports name its validation images."""
    from kerascnn import data
    from kerascnn.training.recipe.files import read_yaml

    source = read_yaml(run / "recipe.yaml")["data"]["source"]
    with tempfile.TemporaryDirectory() as folder:
        exported = export(
            run / "model.keras",
            data.load(source),
            Path(folder) / "export",
            quantize=QUANTIZATIONS[:-1],
            tolerance=Tolerance(max_mismatch_rate=1.0),
        )
    return [
        {
            "form": row.format,
            "agreement": 1 - row.mismatches / row.images,
            "at least": AGREEMENT.get(row.quantization),
            "images": row.images,
            "accuracy": row.accuracy,
            "MB": row.size_bytes / 1e6,
            "in float": ", ".join(row.float_fallback_layers),
        }
        for row in exported.verification.results[1:]
    ]


def shown(rows: list[dict]) -> Table:
    table = Table(*rows[0])
    for row in rows:
        cells = (f"{value:.4g}" if isinstance(value, float) else value for value in row.values())
        table.add_row(*("" if cell is None else str(cell) for cell in cells))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="measure the agreement of its exports instead")
    parser.add_argument("--image-size", type=int, metavar="PIXELS", help="height and width (default: the papers')")
    parser.add_argument("--rounds", type=int, default=50, metavar="N", help="timed images a file (default: 50)")
    parser.add_argument("--threads", type=int, choices=(1,), help="time on one core (default: on all)")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    if options.run:
        rows = agreement(options.run)
    else:
        rows = []
        for name in ("resnet50", "inceptionv3"):
            size = options.image_size or registry.info(name).input_size
            rows += compared(name, ("float16", "int8"), size, options.rounds, options.threads)
        size = options.image_size or registry.info("googlenet").input_size
        rows.append(heads(size, options.rounds, options.threads))
    if options.json:
        json.dump(rows, sys.stdout, indent=2)
    else:
        Console().print(shown(rows))


if __name__ == "__main__":
    main()
