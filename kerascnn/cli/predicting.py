"""`kerascnn predict`: what is on images."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import textwrap
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from kerascnn.cli.arguments import Subcommands, positive
from kerascnn.cli.image_paths import open_images
from kerascnn.errors import InputError

if TYPE_CHECKING:
    from kerascnn.evaluation.naming import ImagePrediction

# Images of a table; its columns are as wide as these need.
TABLE_IMAGES = 64


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds it to the command."""
    predict = subcommands.add(
        "predict",
        run_predict,
        "name what is on images",
        "kerascnn predict saved_models/googlenet-pets/googlenet-pets.tflite cat.jpg dog.webp",
        "kerascnn predict runs/googlenet-pets-20261120-101500 cat.jpg --json",
        "kerascnn predict saved_models/googlenet-pets holiday/ --top 1 --csv > holiday.csv",
    )
    predict.add_argument("model", type=Path, metavar="MODEL", help="run folder, .keras, SavedModel, .tflite or .onnx")
    predict.add_argument(
        "images",
        type=Path,
        nargs="+",
        metavar="IMAGE",
        help="image files, and folders of them; what cannot be read is told and skipped, with exit status 1",
    )
    predict.add_argument("--top", type=positive, default=5, metavar="K", help="how many classes (default: 5)")
    predict.add_argument("--csv", action="store_true", help="print a line a class: image, rank, label, probability")


def run_predict(options: argparse.Namespace) -> int:
    """`kerascnn predict`."""
    if options.json and options.csv:
        raise InputError("--json and --csv exclude each other; say one of them.")
    # A progress bar takes over what is printed, which is right on a terminal and nowhere else.
    out = None if sys.stdout.isatty() else sys.stdout
    images = open_images(options.images, "Naming")
    from kerascnn.evaluation import open_predictor
    from kerascnn.evaluation.naming import predictions

    named = predictions(open_predictor(options.model), images.readable, options.top)
    write = _write_json if options.json else _write_csv if options.csv else _write_tables
    write(named, out)
    return images.status()


def _as_dict(prediction: ImagePrediction) -> dict[str, Any]:
    top = [{"label": label, "probability": probability} for label, probability in prediction.top]
    return {"image": str(prediction.path), "top": top}


def _write_json(named: Iterable[ImagePrediction], out: TextIO | None) -> None:
    """One list, as `json.dump` writes it, whose items appear one by one."""
    separator = "["
    for prediction in named:
        item = json.dumps(_as_dict(prediction), indent=2, ensure_ascii=False)
        print(f"{separator}\n{textwrap.indent(item, '  ')}", end="", file=out)
        separator = ","
    print("\n]", file=out)


def _write_csv(named: Iterable[ImagePrediction], out: TextIO | None) -> None:
    writer = csv.writer(out or sys.stdout, lineterminator="\n")
    writer.writerow(["image", "rank", "label", "probability"])
    for path, top in named:
        writer.writerows([path, rank, label, f"{share:.6f}"] for rank, (label, share) in enumerate(top, start=1))


def _write_tables(named: Iterable[ImagePrediction], out: TextIO | None) -> None:
    from rich.console import Console

    from kerascnn.cli.tables import prediction_table

    remaining = iter(named)
    while some := list(islice(remaining, TABLE_IMAGES)):
        Console(file=out).print(prediction_table([_as_dict(prediction) for prediction in some]))
