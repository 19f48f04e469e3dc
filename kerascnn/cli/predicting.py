"""`kerascnn predict`: predicts the labels of images."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import textwrap
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO

from kerascnn.cli.arguments import Subcommands, positive
from kerascnn.cli.image_paths import add_model_and_images, open_images
from kerascnn.errors import InputError

if TYPE_CHECKING:
    from kerascnn.evaluation.prediction import ImagePrediction

# Images per table. A table's columns are as wide as its contents.
TABLE_IMAGES = 64


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds `predict`."""
    predict = subcommands.add(
        "predict",
        run_predict,
        "predict the labels of images",
        "kerascnn predict saved_models/googlenet-pets/googlenet-pets.tflite cat.jpg dog.webp",
        "kerascnn predict runs/googlenet-pets-20261120-101500 cat.jpg --json",
        "kerascnn predict saved_models/googlenet-pets holiday/ --top 1 --csv > holiday.csv",
    )
    add_model_and_images(predict, "run folder, .keras, SavedModel, .tflite or .onnx")
    predict.add_argument("--top", type=positive, default=5, metavar="K", help="number of classes (default: 5)")
    predict.add_argument("--csv", action="store_true", help="print one line per class: image, rank, label, probability")


def run_predict(options: argparse.Namespace) -> int:
    """`kerascnn predict`."""
    if options.json and options.csv:
        raise InputError("--json and --csv exclude each other; give one of them.")
    # A progress bar redirects printed text, which is wanted on a terminal only.
    out = None if sys.stdout.isatty() else sys.stdout
    images = open_images(options.images, "Predicting")
    from kerascnn.evaluation import open_predictor
    from kerascnn.evaluation.prediction import predictions

    predicted = predictions(open_predictor(options.model), images.readable, options.top)
    write = _write_json if options.json else _write_csv if options.csv else _write_tables
    write(predicted, out)
    return images.status()


def _as_dict(prediction: ImagePrediction) -> dict[str, Any]:
    top = [{"label": label, "probability": probability} for label, probability in prediction.top]
    return {"image": str(prediction.path), "top": top}


def _write_json(predicted: Iterable[ImagePrediction], out: TextIO | None) -> None:
    """Writes a list as `json.dump` does, item by item."""
    separator = "["
    for prediction in predicted:
        item = json.dumps(_as_dict(prediction), indent=2, ensure_ascii=False)
        print(f"{separator}\n{textwrap.indent(item, '  ')}", end="", file=out)
        separator = ","
    print("\n]", file=out)


def _write_csv(predicted: Iterable[ImagePrediction], out: TextIO | None) -> None:
    writer = csv.writer(out or sys.stdout, lineterminator="\n")
    writer.writerow(["image", "rank", "label", "probability"])
    for path, top in predicted:
        writer.writerows([path, rank, label, f"{share:.6f}"] for rank, (label, share) in enumerate(top, start=1))


def _write_tables(predicted: Iterable[ImagePrediction], out: TextIO | None) -> None:
    from rich.console import Console

    from kerascnn.cli.tables import prediction_table

    predicted = iter(predicted)
    while some := list(islice(predicted, TABLE_IMAGES)):
        Console(file=out).print(prediction_table(some))
