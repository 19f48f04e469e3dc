"""`kerascnn experiment`: the papers' experiments, next to their published results."""

from __future__ import annotations

import argparse
import re
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.cli.arguments import (
    INTERRUPTED,
    Subcommands,
    add_data_options,
    data_options,
    matching,
    weights_location,
)
from kerascnn.cli.datasets import load
from kerascnn.cli.loading import print_message, print_result, start_tensorflow
from kerascnn.cli.training import progress_callbacks
from kerascnn.errors import InputError
from kerascnn.files.secret_urls import concealed
from kerascnn.native_output import jpeg_damage_discarded
from kerascnn.terminal_encoding import print_error

if TYPE_CHECKING:
    from kerascnn.experiments import Experiment, Scale


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds `experiment`."""
    experiment = subcommands.add(
        "experiment",
        _run_experiment,
        "run an experiment of a paper and compare it with the published results; without a name, list all experiments",
        "kerascnn experiment",
        "kerascnn experiment degradation",
        "kerascnn experiment degradation --scale full --seeds 0,1,2",
        "kerascnn experiment crops --data photos/ --out experiments --json",
    )
    add = experiment.add_argument
    add("name", nargs="?", metavar="NAME", help="the experiment")
    text = "small (default): minutes on a CPU; full: the paper's recipes, for GPUs"
    add("--scale", choices=("small", "full"), default="small", help=text)
    add_data_options(experiment, default=None, more=" (default: CIFAR-10, if the experiment is on such images)")
    text = "of a transfer: begin with these weights, as for train, instead of pretraining on half of the classes"
    add("--weights", type=weights_location, metavar="RUN|FILE|NAME", help=text)
    add(
        "--seeds",
        type=matching(r"(\d+(?:,\d+)*)", "different whole numbers separated by commas", _seeds),
        metavar="N,...",
        help="train every arm with each seed (default: mostly 0)",
    )
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="change a field of all recipes; repeatable")
    text = "gets NAME-SCALE/ (default: experiments)"
    add("--out", type=Path, default=Path("experiments"), metavar="FOLDER", help=text)


def _seeds(text: str) -> tuple[int, ...] | None:
    numbers = tuple(map(int, text.split(",")))
    return numbers if len(set(numbers)) == len(numbers) else None


def _run_experiment(options: argparse.Namespace) -> int:
    from kerascnn.experiments import find

    if options.name is None:
        return _list(options)
    experiment = find(options.name)
    if options.weights and experiment.measure != "transfer":
        raise InputError(f"'{options.name}' trains every network from scratch; leave out --weights.")
    scale = experiment.scale(options.scale)
    source = options.data or scale.data
    if source is None:
        images = experiment.published_on.partition(",")[0]
        raise InputError(f"at full scale '{options.name}' is on {images}; name its images with --data SOURCE.")
    return _run(experiment, scale, source, options)


def _list(options: argparse.Namespace) -> int:
    from kerascnn.console import table
    from kerascnn.experiments import EXPERIMENTS

    listed, shown = [], table("experiment", "question", "arms", "paper", text_columns=4)
    shown.columns[0].no_wrap = True
    for name, experiment in EXPERIMENTS.items():
        about = {field: getattr(experiment, field) for field in ("about", "paper", "published_on")}
        arms = [{"name": arm.name, "published": arm.published} for arm in experiment.arms]
        scales = ["small", "full"] if experiment.small else ["full"]
        listed.append({"name": name, **about, "scales": scales, "arms": arms})
        shown.add_row(name, experiment.about, ", ".join(arm.name for arm in experiment.arms), experiment.paper)
    return print_result(options, listed, shown)


@jpeg_damage_discarded()
def _run(experiment: Experiment, scale: Scale, source: str, options: argparse.Namespace) -> int:
    start_tensorflow()
    from kerascnn.console import table, track
    from kerascnn.experiments.experiment import recipe_of
    from kerascnn.experiments.measures import measure
    from kerascnn.experiments.report import Outcome, write_outcome
    from kerascnn.experiments.runs import run_arm, taught
    from kerascnn.experiments.transfer import Plan
    from kerascnn.training import TrainingInterruptedError

    limit = options.limit or scale.limit
    folder = options.out / f"{options.name}-{options.scale}"
    data, runs = load(source, limit, data_options(options), folder), []
    seeds = options.seeds or scale.seeds
    pairs = [(arm, seed) for seed in seeds for arm in experiment.arms_at(scale)]
    callbacks = partial(progress_callbacks, data=data)
    try:
        if experiment.measure == "transfer":
            plan, pairs = Plan(experiment, scale, seeds, options.weights, options.set), []
            runs = plan.train(data, folder / "runs", print_message, limit=limit, callbacks=callbacks)
        for number, (arm, seed) in enumerate(pairs, start=1):
            print_message(f"{number} of {len(pairs)}: {arm.name}, seed {seed}")
            path = folder / "runs" / re.sub(r"[^-.0-9A-Za-z]+", "-", f"{arm.name} seed {seed}".lstrip("+ "))
            recipe = taught(recipe_of(arm, scale, seed, options.set), arm, runs)
            runs.append(run_arm(arm, recipe, data, path, limit=limit, callbacks=callbacks, report=print_message))
    except TrainingInterruptedError as stopped:
        command = shlex.join(["kerascnn", *map(concealed, options.arguments)])
        print_error(f"kerascnn: {stopped}\nResume with the same command: {command}")
        return INTERRUPTED
    outcome = Outcome(options.name, options.scale, experiment, data, runs, measure(experiment, runs, data, track))
    write_outcome(outcome, folder)
    title = f"{options.name}, {options.scale} scale, {data.name}"
    shown = table(*outcome.measured.head, title=title, optional=("s", "training loss", "layers", "training accuracy"))
    for row in outcome.measured.rows:
        shown.add_row(*row)
    values = {**outcome.to_dict(), "folder": str(folder), "layout": data.layout}
    return print_result(options, values, shown, *outcome.sentences(), f"table, curves and results: {folder}")
