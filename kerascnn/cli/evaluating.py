"""`kerascnn evaluate` and `compare-runs`: how often models are right, and whether one is so more often."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kerascnn.cli.arguments import Subcommands, add_data_options, some_of
from kerascnn.cli.loading import data_of, load, print_json, start_tensorflow
from kerascnn.errors import InputError
from kerascnn.native_output import jpeg_damage_discarded

if TYPE_CHECKING:
    from kerascnn.data import DataSet
    from kerascnn.evaluation import Protocol

# What `--crops` takes, and the protocol that it means.
CROPS = {"1": "1 crop", "10": "10 crops", "12": "12 crops", "144": "144 crops", "dense": "dense", "recipe": "recipe"}

PLOTS = (".png", ".svg", ".pdf")


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds them to the command."""
    evaluate = subcommands.add(
        "evaluate",
        run_evaluate,
        "score models on the validation images of a data set, alone and averaged",
        "kerascnn evaluate runs/resnet20-digits-20261120-101500",
        "kerascnn evaluate saved_models/googlenet-pets/googlenet-pets.tflite --data pets.zip",
        "kerascnn evaluate runs/googlenet-* --crops 1,10,144 --report reports/googlenet",
    )
    evaluate.add_argument(
        "models", type=Path, nargs="+", metavar="MODEL", help="run folder, .keras, SavedModel, .tflite or .onnx"
    )
    add_data_options(evaluate, default=None, more=" (default: what the runs were trained on)")
    _add_crops(evaluate)
    evaluate.add_argument(
        "--report", type=Path, metavar="FOLDER", help="write report.html, report.json, predictions.csv"
    )
    compare = subcommands.add(
        "compare-runs",
        run_compare_runs,
        "set trainings beside each other, and test whether one model is really better than another",
        "kerascnn compare-runs runs/resnet20-* runs/plain20-*",
        "kerascnn compare-runs runs/a runs/b --plot curves.png --json",
    )
    compare.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders that kerascnn train left")
    add_data_options(compare, default=None, more=" (default: what the runs were trained on)")
    _add_crops(compare)
    compare.add_argument("--plot", type=Path, metavar="FILE", help="draw the runs' curves (.png, .svg or .pdf)")


def _add_crops(parser) -> None:
    parser.add_argument(
        "--crops",
        type=some_of(*CROPS),
        default=("1",),
        metavar="WHICH",
        help=f"some of {','.join(CROPS)}: what probabilities are averaged over; 'recipe' is what the recipe of the "
        "training says (default: 1, the centre)",
    )
    parser.add_argument(
        "--scales", type=_lengths, default=(), metavar="PIXELS,...", help="shorter sides instead of the protocol's own"
    )


def _lengths(text: str) -> tuple[int, ...]:
    try:
        lengths = tuple(int(word) for word in text.split(","))
    except ValueError:
        lengths = (0,)
    if min(lengths) < 1:
        raise argparse.ArgumentTypeError(f"must be whole numbers of pixels with commas between them, not '{text}'")
    return lengths


def _protocols(options: argparse.Namespace) -> list[Protocol | Literal["recipe"]]:
    from kerascnn.evaluation import Protocol

    if options.scales and "recipe" in options.crops:
        raise InputError("--crops recipe takes the recipe's scales; leave --scales out or name the crops.")
    return ["recipe" if name == "recipe" else Protocol(CROPS[name], options.scales) for name in options.crops]


@jpeg_damage_discarded()
def run_evaluate(options: argparse.Namespace) -> int:
    """`kerascnn evaluate`."""
    source, limit = data_of(options, *options.models)
    start_tensorflow()
    from kerascnn.cli.evaluation_tables import measurements_table, models_and_crops_table, scores_table
    from kerascnn.console import output, track
    from kerascnn.evaluation.metric_values import study_figures
    from kerascnn.evaluation.report import write_report
    from kerascnn.evaluation.study import study

    protocols = _protocols(options)
    data = load(source, limit)
    _say_of_mirrors(data, options)
    measured = study(options.models, data, protocols, track=track)
    page = write_report(measured, options.report) if options.report else None
    if options.json:
        print_json({**study_figures(measured), **({"report": str(page)} if page else {})})
        return 0
    result = measured.result
    if len(measured.alone) == 1:
        kind, images = result.kinds[0], len(result.scores.labels)
        output().print(scores_table(result.scores, f"{kind} on {data.name}, {images} images, {result.protocol}"))
    else:
        output().print(measurements_table(measured))
        if len(measured.by_models_and_views()) > 1:
            output().print(models_and_crops_table(measured))
    if page:
        output().print(f"report: {page}", highlight=False, markup=False, soft_wrap=True)
    return 0


def _say_of_mirrors(data: DataSet, options: argparse.Namespace) -> None:
    from kerascnn.console import messages

    if not data.allows_horizontal_flip and options.crops != ("1",):
        messages().print(
            f"half of the crops are mirrored, and a mirrored image of {data.name} is of no class",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


@jpeg_damage_discarded()
def run_compare_runs(options: argparse.Namespace) -> int:
    """`kerascnn compare-runs`."""
    if len(options.crops) > 1:
        raise InputError(f"runs are compared by one kind of crops; give one of {', '.join(options.crops)}.")
    if options.plot and options.plot.suffix not in PLOTS:
        raise InputError(f"--plot must name a file of {', '.join(PLOTS)}, not {options.plot}.")
    start_tensorflow()
    from kerascnn.cli.evaluation_tables import runs_table, verdicts_table
    from kerascnn.console import output, track
    from kerascnn.evaluation.plots import runs_figure
    from kerascnn.evaluation.runs import compare_runs
    from kerascnn.training import RunFolder

    folders = [RunFolder.open(run) for run in options.runs]
    [protocol] = _protocols(options)
    data = load(*data_of(options, *options.runs))
    compared = compare_runs(folders, data, protocol, track=track)
    if options.plot:
        try:
            runs_figure(compared.histories(), data.name).savefig(options.plot)
        except OSError as error:
            raise InputError(f"{options.plot} cannot be written: {error.strerror}.") from None
    if options.json:
        print_json(compared.figures())
        return 0
    output().print(runs_table(compared))
    if compared.tests:
        output().print(verdicts_table(compared))
    if options.plot:
        output().print(f"curves: {options.plot}", highlight=False, markup=False, soft_wrap=True)
    return 0
