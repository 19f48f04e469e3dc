"""`kerascnn experiment`: the papers' experiments, next to their published results."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.cli.arguments import Subcommands, add_data_options
from kerascnn.cli.exit_codes import INTERRUPTED
from kerascnn.cli.loading import load, print_json, print_message, start_tensorflow
from kerascnn.errors import InputError
from kerascnn.native_output import jpeg_damage_discarded

if TYPE_CHECKING:
    from kerascnn.data import DataSet
    from kerascnn.experiments import Experiment, Scale
    from kerascnn.experiments.report import Outcome
    from kerascnn.experiments.runs import ArmRun


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds `experiment`."""
    experiment = subcommands.add(
        "experiment",
        run_experiment,
        "run an experiment of a paper and compare it with the published results; without a name, list all experiments",
        "kerascnn experiment",
        "kerascnn experiment degradation",
        "kerascnn experiment degradation --scale full --seeds 0,1,2",
        "kerascnn experiment crops --data photos/ --out experiments --json",
    )
    add = experiment.add_argument
    add("name", nargs="?", metavar="NAME", help="the experiment")
    add(
        "--scale",
        choices=("small", "full"),
        default="small",
        help="small (default): minutes on a CPU; full: the paper's recipes, for GPUs",
    )
    add_data_options(experiment, default=None, more=" (default: CIFAR-10, if the experiment is on such images)")
    add("--seeds", type=_seeds, metavar="N,...", help="train every arm with each seed (default: mostly 0)")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="change a field of all recipes; repeatable")
    out_help = "gets NAME-SCALE/ (default: experiments)"
    add("--out", type=Path, default=Path("experiments"), metavar="FOLDER", help=out_help)


def _seeds(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if not all(word.isdecimal() for word in words) or len(set(words)) < len(words):
        raise argparse.ArgumentTypeError(f"must be different whole numbers separated by commas, not '{text}'")
    return tuple(map(int, words))


def run_experiment(options: argparse.Namespace) -> int:
    """`kerascnn experiment`."""
    from kerascnn.experiments import find

    if options.name is None:
        return _list(options)
    experiment = find(options.name)
    scale = experiment.scale(options.scale)
    source = options.data or scale.data
    if source is None:
        images = experiment.published_on.partition(",")[0]
        raise InputError(f"at full scale '{options.name}' is on {images}; name its images with --data SOURCE.")
    return _run(experiment, scale, source, options)


def _list(options: argparse.Namespace) -> int:
    from rich.table import Table

    from kerascnn.console import BOX, output
    from kerascnn.experiments import EXPERIMENTS

    if options.json:
        print_json(
            [
                {
                    "name": name,
                    "about": experiment.about,
                    "paper": experiment.paper,
                    "published_on": experiment.published_on,
                    "arms": [{"name": arm.name, "published": arm.published} for arm in experiment.arms],
                }
                for name, experiment in EXPERIMENTS.items()
            ]
        )
        return 0
    table = Table("experiment", "question", "arms", "paper", box=BOX, padding=(0, 1, 0, 0))
    table.columns[0].no_wrap = True
    for name, experiment in EXPERIMENTS.items():
        table.add_row(name, experiment.about, ", ".join(arm.name for arm in experiment.arms), experiment.paper)
    output().print(table)
    return 0


@jpeg_damage_discarded()
def _run(experiment: Experiment, scale: Scale, source: str, options: argparse.Namespace) -> int:
    start_tensorflow()
    from kerascnn.console import output, track
    from kerascnn.experiments.measures import measure
    from kerascnn.experiments.report import Outcome, write_outcome
    from kerascnn.training import TrainingInterruptedError

    limit = options.limit or scale.limit
    data = load(source, limit)
    folder = options.out / f"{options.name}-{options.scale}"
    try:
        runs = _run_arms(experiment, scale, data, limit, folder, options)
    except TrainingInterruptedError as stopped:
        command = shlex.join(["kerascnn", *options.arguments])
        print(f"kerascnn: {stopped}\nResume with the same command: {command}", file=sys.stderr)
        return INTERRUPTED
    outcome = Outcome(options.name, options.scale, experiment, data, runs, measure(experiment, runs, data, track))
    write_outcome(outcome, folder)
    if options.json:
        print_json({**outcome.to_dict(), "folder": str(folder)})
        return 0
    _print_outcome(outcome)
    output().print(f"table, curves and results: {folder}", highlight=False, markup=False, soft_wrap=True)
    return 0


def _print_outcome(outcome: Outcome) -> None:
    from rich.table import Table

    from kerascnn.console import BOX, output

    measured, console = outcome.measured, output()
    title = f"{outcome.name}, {outcome.scale} scale, {outcome.data.name}"
    table = Table(*measured.head, title=title, box=BOX, padding=(0, 1, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    for row in measured.rows:
        table.add_row(*row)
    console.print(table)
    for sentence in outcome.sentences():
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)


def _run_arms(
    experiment: Experiment, scale: Scale, data: DataSet, limit: int | None, folder: Path, options: argparse.Namespace
) -> list[ArmRun]:
    """Trains every arm with every seed, and shows the progress of each."""
    from kerascnn.console import messages
    from kerascnn.experiments.experiment import recipe_of
    from kerascnn.experiments.runs import run_arm
    from kerascnn.training import Recipe, steps_per_epoch
    from kerascnn.training.callbacks.progress_bar import LiveProgress

    def progress(recipe: Recipe) -> list[LiveProgress]:
        return [LiveProgress(recipe.epochs, steps_per_epoch(recipe, data), recipe.batch_size, messages())]

    pairs = [(arm, seed) for seed in options.seeds or scale.seeds for arm in experiment.arms]
    runs = []
    for number, (arm, seed) in enumerate(pairs, start=1):
        print_message(f"{number} of {len(pairs)}: {arm.name}, seed {seed}")
        path = folder / "runs" / re.sub(r"[^-.0-9A-Za-z]+", "-", f"{arm.name} seed {seed}".lstrip("+ "))
        recipe = recipe_of(arm, scale, seed, options.set)
        runs.append(run_arm(arm, recipe, data, path, limit=limit, callbacks=progress, report=print_message))
    return runs
