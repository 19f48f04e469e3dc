"""`kerascnn predict`: predicts the labels of images."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import textwrap
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, TextIO

from kerascnn.cli.arguments import Subcommands, positive, share
from kerascnn.cli.image_paths import add_model_and_images, open_images, open_model
from kerascnn.terminal_encoding import encodes_everything

if TYPE_CHECKING:
    from kerascnn.evaluation.prediction import ImagePrediction

# Images per table, whose columns are as wide as its contents.
TABLE_IMAGES = 64


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds `predict`."""
    predict = subcommands.add(
        "predict",
        _run_predict,
        "predict the labels of images",
        "kerascnn predict saved_models/googlenet-pets/googlenet-pets.tflite cat.jpg dog.webp",
        "kerascnn predict runs/googlenet-pets-20261120-101500 cat.jpg --json",
        "kerascnn predict saved_models/googlenet-pets holiday/ --top 1 --csv > holiday.csv",
        "kerascnn predict resnet50 https://example.org/cat.jpg",
    )
    add_model_and_images(predict, "run folder, .keras, .h5, SavedModel, .tflite or .onnx")
    text = "number of classes (default: 5; of a multi-label model, all from the threshold on)"
    predict.add_argument("--top", type=positive, metavar="K", help=text)
    text = "of a multi-label model, the least probability of a class (default: the model's own)"
    predict.add_argument("--threshold", type=share, metavar="P", help=text)
    text = "print one line per class: image, rank, label, probability"
    predict.output_formats.add_argument("--csv", action="store_true", help=text)


def _run_predict(options: argparse.Namespace) -> int:
    # A progress bar redirects printed text, which is wanted on a terminal only.
    out = None if sys.stdout.isatty() else sys.stdout
    images = open_images(options.images, "Predicting")
    from kerascnn.evaluation.prediction import predictions

    predicted = predictions(open_model(options), images.readable, options.top, options.threshold)
    write = _write_json if options.json else _write_csv if options.csv else _write_tables
    write(predicted, out)
    return images.status()


def _write_json(predicted: Iterable[ImagePrediction], out: TextIO | None) -> None:
    # A list as `json.dump` writes it, item by item.
    ensure_ascii = not encodes_everything()
    separator = "["
    for image in predicted:
        item = json.dumps(image.to_dict(), indent=2, ensure_ascii=ensure_ascii)
        print(f"{separator}\n{textwrap.indent(item, '  ')}", end="", file=out)
        separator = ","
    print("\n]", file=out)


def _write_csv(predicted: Iterable[ImagePrediction], out: TextIO | None) -> None:
    writer = csv.writer(out or sys.stdout, lineterminator="\n")
    writer.writerow(["image", "rank", "label", "probability"])
    for image in predicted:
        writer.writerows([*row, f"{probability:.6f}"] for *row, probability in image.rows())
        if not image.top:
            writer.writerow([image.path, "", "", ""])


def _write_tables(predicted: Iterable[ImagePrediction], out: TextIO | None) -> None:
    from rich.console import Console

    from kerascnn.evaluation.prediction import predictions_table

    predicted = iter(predicted)
    while some := list(islice(predicted, TABLE_IMAGES)):
        Console(file=out).print(predictions_table(some))
