"""`kerascnn evaluate` and `compare-runs`: measures accuracies, and tests whether one model is better than another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from kerascnn.cli.arguments import (
    Parser,
    Subcommands,
    add_data_options,
    add_model_options,
    matching,
    model_options,
    run_path,
    share,
    some_of,
)
from kerascnn.cli.loading import data_of, print_message, print_result, start_tensorflow
from kerascnn.cli.scored_images import add_split_options, load_images, report_classes
from kerascnn.errors import InputError
from kerascnn.evaluation.protocols import ProtocolName
from kerascnn.native_output import jpeg_damage_discarded

if TYPE_CHECKING:
    from kerascnn.evaluation import Protocol

# The values of `--crops` and their protocols.
CROPS = {name.partition(" ")[0]: name for name in (*get_args(ProtocolName), "recipe")}
lengths = matching(
    r"([1-9]\d*(?:,[1-9]\d*)*)",
    "whole numbers of pixels with commas between them",
    lambda text: tuple(map(int, text.split(","))),
)
PLOTS = (".png", ".svg", ".pdf")


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds `evaluate` and `compare-runs`."""
    evaluate = subcommands.add(
        "evaluate",
        _run_evaluate,
        "score models on labeled images, alone and averaged",
        "kerascnn evaluate runs/resnet20-digits-20261120-101500",
        "kerascnn evaluate runs/resnet18-pets-20261120-101500 --data holdout/ --unknown skip",
        "kerascnn evaluate saved_models/googlenet-pets/googlenet-pets.tflite --data pets.zip",
        "kerascnn evaluate runs/googlenet-* --crops 1,10,144 --report reports/googlenet",
    )
    text = "run folder, .keras, .h5, SavedModel, .tflite or .onnx"
    evaluate.add_argument("models", type=run_path, nargs="+", metavar="MODEL", help=text)
    _add_options(evaluate)
    text = "of multi-label models, from which probability an image counts as having a class (default: the models' own)"
    evaluate.add_argument("--threshold", type=share, metavar="P", help=text)
    add_model_options(evaluate)
    text = "write report.html, metrics.json, predictions.csv"
    evaluate.add_argument("--report", type=Path, metavar="FOLDER", help=text)
    compare = subcommands.add(
        "compare-runs",
        _run_compare_runs,
        "compare runs, and test whether one model is better than another",
        "kerascnn compare-runs runs/resnet20-* runs/plain20-*",
        "kerascnn compare-runs runs/a runs/b --plot curves.png --json",
    )
    compare.add_argument("runs", type=run_path, nargs="+", metavar="RUN", help="run folders written by kerascnn train")
    _add_options(compare)
    compare.set_defaults(labels=None, image_size=None, scaling=None)
    compare.add_argument("--plot", type=Path, metavar="FILE", help="plot the runs' curves (.png, .svg or .pdf)")


def _add_options(parser: Parser) -> None:
    add_data_options(parser, default=None, more=" (default: the runs' training data)")
    add_split_options(parser)
    text = f"some of {','.join(CROPS)}: the views to average over; 'recipe' is the recipe's (default: 1, the center)"
    parser.add_argument("--crops", type=some_of(*CROPS), default=("1",), metavar="CROPS", help=text)
    text = "shorter sides that replace the protocol's"
    parser.add_argument("--scales", type=lengths, default=(), metavar="PIXELS,...", help=text)


def _protocols(options: argparse.Namespace) -> list[Protocol | Literal["recipe"]]:
    from kerascnn.evaluation import Protocol

    if options.scales and "recipe" in options.crops:
        raise InputError("--crops recipe uses the recipe's scales; leave out --scales or name the crops.")
    return ["recipe" if name == "recipe" else Protocol(CROPS[name], options.scales) for name in options.crops]


@jpeg_damage_discarded()
def _run_evaluate(options: argparse.Namespace) -> int:
    source, said = data_of(options, *options.models), model_options(options)
    start_tensorflow()
    from kerascnn.cli.evaluation_tables import labels_table, measurements_table, models_and_crops_table, scores_table
    from kerascnn.console import track
    from kerascnn.evaluation.report import write_report
    from kerascnn.evaluation.study import study

    protocols = _protocols(options)
    images, trained = load_images(options, options.models, *source)
    if not images.allows_horizontal_flip and options.crops != ("1",):
        print_message(
            f"half of the crops are mirrored, and a mirrored image of {images.name} can belong to another class"
        )
    found = {"unknown": options.unknown, "threshold": options.threshold}
    measured = study(options.models, images, protocols, **found, options=said, track=track)
    report_classes(images, measured.result.scores, options.unknown)
    page = write_report(measured, options.report) if options.report else None
    if options.json:
        report = {"report": str(page)} if page else {}
        data = {"layout": images.layout, "trained_images": trained}
        return print_result(options, {**measured.metrics(), **data, **report})
    result = measured.result
    if len(measured.alone) == 1:
        title = f"{result.kinds[0]} on {images.name}, {measured.images.counted}, {result.protocol}"
        tables = [(labels_table if measured.multi_label else scores_table)(result.scores, title)]
    else:
        several = len(measured.by_models_and_views()) > 1
        tables = [measurements_table(measured), *([models_and_crops_table(measured)] if several else [])]
    return print_result(options, None, *tables, *([f"report: {page}"] if page else []))


@jpeg_damage_discarded()
def _run_compare_runs(options: argparse.Namespace) -> int:
    if len(options.crops) > 1:
        raise InputError(f"runs are compared by one kind of crops; give one of {', '.join(options.crops)}.")
    if options.plot and options.plot.suffix not in PLOTS:
        raise InputError(f"--plot must name a file of {', '.join(PLOTS)}, not {options.plot}.")
    start_tensorflow()
    from kerascnn.cli.evaluation_tables import mcnemar_table, runs_table
    from kerascnn.console import track
    from kerascnn.evaluation.plots import runs_figure, save_figure
    from kerascnn.evaluation.runs import compare_runs
    from kerascnn.training import RunFolder

    folders = [RunFolder.open(run) for run in options.runs]
    [protocol] = _protocols(options)
    images, trained = load_images(options, options.runs, *data_of(options, *options.runs))
    comparison = compare_runs(folders, images, protocol, unknown=options.unknown, track=track)
    report_classes(images, comparison.runs[0].scores, options.unknown)
    if options.plot:
        save_figure(runs_figure(comparison.histories(), images.name), options.plot)
    values = comparison.metrics() | {"layout": images.layout, "trained_images": trained}
    tests = [mcnemar_table(comparison)] if comparison.tests else []
    plots = [f"curves: {options.plot}"] if options.plot else []
    return print_result(options, values, runs_table(comparison), *tests, *plots)
