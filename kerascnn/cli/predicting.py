"""`kerascnn predict`: what is on pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from .arguments import Verbs, positive
from .loading import print_json, start_tensorflow


def add_verbs(verbs: Verbs) -> None:
    """Adds it to the command."""
    predict = verbs.add(
        "predict",
        run_predict,
        "name what is on pictures",
        "kerascnn predict saved_models/googlenet-pets/googlenet-pets.tflite cat.jpg dog.webp",
        "kerascnn predict runs/googlenet-pets-20261120-101500 cat.jpg --json",
    )
    predict.add_argument("model", type=Path, metavar="MODEL", help="run folder, .keras, .tflite or SavedModel")
    predict.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="picture files")
    predict.add_argument("--top", type=positive, default=5, metavar="K", help="how many classes (default: 5)")


def run_predict(options: argparse.Namespace) -> int:
    """`kerascnn predict`."""
    from kerascnn.data.pictures import read_picture

    pictures = [read_picture(path) for path in options.images]
    start_tensorflow()
    from kerascnn.console import output
    from kerascnn.data.pipeline import views_of
    from kerascnn.evaluation import open_predictor

    from .tables import prediction_table

    predictor = open_predictor(options.model)
    facts = predictor.facts
    probabilities = predictor.probabilities(views_of(pictures, facts.image_size, facts.crop_fraction))
    predictions = []
    for path, row in zip(options.images, probabilities, strict=True):
        best = row.argsort()[::-1][: options.top]
        top = [{"label": facts.class_names[index], "probability": float(row[index])} for index in best]
        predictions.append({"image": str(path), "top": top})
    if options.json:
        print_json(predictions)
    else:
        output().print(prediction_table(predictions))
    return 0
