"""`kerascnn tune`: a search for the best values of a recipe's fields."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.cli.arguments import Parser, Subcommands, add_data_options, duration, positive
from kerascnn.cli.exit_codes import INTERRUPTED, NO_TRIAL_SUCCEEDED, WORKER_LOST
from kerascnn.cli.loading import load, print_json_line, start_tensorflow
from kerascnn.cli.recipe_options import add_recipe_options, recipe_of
from kerascnn.errors import InputError

if TYPE_CHECKING:
    from kerascnn.training import Recipe
    from kerascnn.training.search import Search
    from kerascnn.training.search.cluster import Member
    from kerascnn.training.search.journal import Record
    from kerascnn.training.search.plan import SearchConfig, SearchFolder

# The value of --resume where no folder is named.
NEWEST = "the newest"


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds it to the command."""
    tune = subcommands.add(
        "tune",
        run_tune,
        "search the best learning rate, or any other field of a recipe",
        "kerascnn tune --max-trials 12",
        "kerascnn tune --model googlenet --data photos/ --budget 2h",
        "kerascnn tune --model resnet20 --space space.yaml --tuner bayesian --max-trials 30",
        "kerascnn tune --data photos/ --model resnet50 --budget 8h --workers 4",
        "kerascnn tune --resume searches/resnet20-digits-20261120-101500 --max-trials 40",
    )
    add_data_options(tune, default="digits", more=" (default: digits, which come with the package)")
    add_recipe_options(tune)
    _search_options(tune)


def run_tune(options: argparse.Namespace) -> int:
    """`kerascnn tune`."""
    # A mistake in a name or a value is told before TensorFlow's seconds of start-up.
    recipe = None if options.resume else recipe_of(options)
    start_tensorflow()
    from kerascnn.training.search.cluster import ChiefLostError, member_of

    member = member_of()
    if member and not (options.name or options.resume):
        raise InputError("of several workers each must name the same search; say --name NAME, or --resume SEARCH.")
    if member and not member.chief:
        try:
            return _assist(member, options)
        except ChiefLostError as lost:
            print(f"kerascnn: {lost}", file=sys.stderr)
            return WORKER_LOST
    if member and options.name and (options.out / "searches" / options.name / "search.yaml").exists():
        # A chief that was started again.
        options.resume = options.out / "searches" / options.name
    folder = _resumed(options) if options.resume else _begun(recipe, options)
    return _searched(folder, member, options)


def _assist(member: Member, options: argparse.Namespace) -> int:
    """What a worker does that another machine or process is the chief of."""
    from kerascnn.training.search.cluster import START_SECONDS, ChiefLostError, assist
    from kerascnn.training.search.oracles import LEASE_SECONDS
    from kerascnn.training.search.plan import SearchFolder

    folder = SearchFolder(Path(options.resume) if options.resume else options.out / "searches" / options.name)
    end = time.monotonic() + START_SECONDS
    while not folder.plan_file.is_file():
        if time.monotonic() > end:
            raise ChiefLostError(f"the chief has written no {folder.plan_file}; the folder must be one that all see.")
        time.sleep(1.0)
    try:
        assist(member, folder.read_plan(), folder, lambda sentence: print(sentence, file=sys.stderr), LEASE_SECONDS)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _begun(recipe: Recipe, options: argparse.Namespace) -> SearchFolder:
    """The folder of a new search, after everything that can be wrong with it was found out."""
    from kerascnn.training.search.plan import SearchFolder
    from kerascnn.training.search.processes import TrialLimits
    from kerascnn.training.search.space import Space
    from kerascnn.training.search.tuning import planned

    space = Space.load(options.space, recipe) if options.space else Space.for_recipe(recipe)
    data = load(options.data, options.limit)
    plan = planned(
        recipe,
        data,
        space,
        tuner=options.tuner,
        objective=options.objective,
        warm_start=options.warm_start,
        max_trials=options.max_trials,
        budget=options.budget,
        limit=options.limit,
        seed=recipe.seed,
        median_rule=not options.no_median_rule,
        limits=TrialLimits(options.trial_limit),
        devices=options.devices,
        cache=options.cache,
    )
    return SearchFolder.create(options.out / "searches", options.name, plan, data.name)


def _resumed(options: argparse.Namespace) -> SearchFolder:
    from kerascnn.training.search.plan import SearchFolder
    from kerascnn.training.search.tuning import prolonged

    path = Path(options.resume)
    if options.resume == NEWEST:
        found = sorted((options.out / "searches").glob("*/search.yaml"), key=lambda file: file.stat().st_mtime)
        if not found:
            raise InputError(f"{options.out / 'searches'} holds no search to go on with.")
        path = found[-1].parent
    folder = SearchFolder.open(path)
    prolonged(folder, options.max_trials, options.budget)
    return folder


def _searched(folder: SearchFolder, member: Member | None, options: argparse.Namespace) -> int:
    """Searches, and shows every trial and the report."""
    from kerascnn.cli.search_tables import UnderWay, plan_in_words, search_report, trial_in_words
    from kerascnn.console import messages
    from kerascnn.training.search.local_workers import WorkersLostError

    plan, console = folder.read_plan(), messages()

    def tell(sentence: str) -> None:
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)

    def watch(record: Record) -> None:
        if options.json:
            print_json_line({"event": "trial", **asdict(record)})
        else:
            tell(trial_in_words(record, plan))

    for line in plan_in_words(plan, folder):
        tell(line)
    live = console.status(UnderWay(folder, plan)) if console.is_terminal else contextlib.nullcontext()
    try:
        with live:
            ended = _run(folder, plan, member, options.workers, tell, watch)
    except (KeyboardInterrupt, WorkersLostError) as stopped:
        workers = f" --workers {options.workers}" if options.workers else ""
        print(f"kerascnn: {str(stopped) or 'stopped.'}", file=sys.stderr)
        print(f"Go on with: kerascnn tune --resume {folder.path}{workers}", file=sys.stderr)
        return WORKER_LOST if isinstance(stopped, WorkersLostError) else INTERRUPTED
    if options.json:
        print_json_line({"event": "report", **ended.report})
    else:
        search_report(ended)
    return 0 if ended.best else NO_TRIAL_SUCCEEDED


def _run(
    folder: SearchFolder,
    plan: SearchConfig,
    member: Member | None,
    count: int | None,
    tell: Callable[[str], None],
    watch: Callable[[Record], None],
) -> Search:
    """In this process, as the chief of others, or with as many workers as are asked for."""
    from kerascnn.training.search.cluster import serve
    from kerascnn.training.search.local_workers import LocalTuners
    from kerascnn.training.search.tuning import search

    if member:
        return serve(member, folder, plan, tell, watch)
    if not count:
        return search(folder, plan, tell, watch)
    workers = LocalTuners(folder, plan, count)
    try:
        return serve(workers.chief, folder, plan, tell, watch, gone=workers.gone)
    finally:
        workers.stop()


def _search_options(parser: Parser) -> None:
    parser.add_argument(
        "--space", type=Path, metavar="FILE", help="YAML: what is searched (default: what suits the model's family)"
    )
    parser.add_argument(
        "--tuner",
        choices=("hyperband", "bayesian", "random", "grid"),
        default="hyperband",
        help="who proposes trials (default: hyperband, which trains many shortly and the better ones on)",
    )
    parser.add_argument(
        "--objective",
        metavar="NAME",
        help="a figure of the last epoch, such as val_loss (default: the accuracy of the main classifier)",
    )
    parser.add_argument(
        "--max-trials", type=positive, metavar="N", help="trials at most (default: 20, or the tuner's own end)"
    )
    parser.add_argument(
        "--budget", type=duration, metavar="TIME", help="2h, 90m: the time after which the search stops"
    )
    parser.add_argument(
        "--trial-limit", type=duration, metavar="TIME", help="a trial that takes longer has failed (default: none)"
    )
    parser.add_argument(
        "--no-median-rule",
        action="store_true",
        help="train every trial to its end, also those that are worse than most",
    )
    parser.add_argument(
        "--warm-start",
        action="append",
        default=[],
        type=Path,
        metavar="SEARCH",
        help="try the best trials of an earlier search first; repeatable",
    )
    parser.add_argument(
        "--devices",
        default="one",
        metavar="DEVICES",
        help="of a trial: one (default): a GPU, else the processor; or as for train",
    )
    parser.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="run N trials at a time on this machine, one GPU each; other machines: see docs/tuning.md",
    )
    parser.add_argument(
        "--cache", choices=("none", "memory", "disk"), default="none", help="as for train; disk serves all trials"
    )
    parser.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="gets searches/")
    parser.add_argument("--name", metavar="NAME", help="of the search's folder (default: model, data and time)")
    parser.add_argument(
        "--resume",
        nargs="?",
        const=NEWEST,
        metavar="SEARCH",
        help="go on with a search that was stopped (default: with the newest); with another --max-trials or --budget",
    )
