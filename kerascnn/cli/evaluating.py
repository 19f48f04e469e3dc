"""`kerascnn evaluate`: how often a model is right."""

from __future__ import annotations

import argparse
from pathlib import Path

from .arguments import Verbs, add_data_options
from .loading import data_of, load, print_json, start_tensorflow


def add_verbs(verbs: Verbs) -> None:
    """Adds it to the command."""
    evaluate = verbs.add(
        "evaluate",
        run_evaluate,
        "score a model on the validation pictures of a data set",
        "kerascnn evaluate runs/resnet20-digits-20261120-101500",
        "kerascnn evaluate saved_models/googlenet-pets/googlenet-pets.tflite --data pets.zip",
    )
    evaluate.add_argument("model", type=Path, metavar="MODEL", help="run folder, .keras, .tflite or SavedModel")
    add_data_options(evaluate, default=None, more=" (default: what the run was trained on)")


def run_evaluate(options: argparse.Namespace) -> int:
    """`kerascnn evaluate`."""
    source, limit = data_of(options)
    start_tensorflow()
    from kerascnn import evaluation
    from kerascnn.console import output, track

    from .tables import scores_table

    predictor = evaluation.open_predictor(options.model)
    data = load(source, limit)
    scores = evaluation.evaluate(predictor, data, track=track)
    if options.json:
        print_json(
            {
                "model": str(options.model),
                "data": data.source,
                "pictures": len(scores.labels),
                "top1_error": 1 - scores.accuracy(),
                "top5_error": 1 - scores.accuracy(5),
                "class_names": scores.class_names,
                "confusion": scores.confusion().tolist(),
            }
        )
    else:
        output().print(scores_table(scores, f"{predictor.kind} on {data.name}, {len(scores.labels)} pictures"))
    return 0
