"""`kerascnn tune`: searches the best values of a recipe's fields."""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.cli import arguments
from kerascnn.cli.arguments import INTERRUPTED, NO_TRIAL_SUCCEEDED, WORKER_LOST, duration, positive, some_of
from kerascnn.cli.datasets import load
from kerascnn.cli.loading import print_json, start_tensorflow
from kerascnn.cli.training import add_recipe_options, recipe_for, recipe_of
from kerascnn.errors import InputError, check_installed
from kerascnn.terminal_encoding import print_error

if TYPE_CHECKING:
    from kerascnn.training.search import TrialRecord
    from kerascnn.training.search.cluster import ClusterMember
    from kerascnn.training.search.folder import SearchFolder

# The value of --resume without a folder.
NEWEST = "the newest"


def add_subcommands(subcommands: arguments.Subcommands) -> None:
    """Adds `tune` to the command."""
    tune = subcommands.add(
        "tune",
        _run_tune,
        "search the best learning rate, or any other field of a recipe",
        "kerascnn tune --max-trials 12",
        "kerascnn tune --model googlenet --data photos/ --budget 2h",
        "kerascnn tune --model resnet20 --space space.yaml --tuner bayesian --max-trials 30",
        "kerascnn tune --data photos/ --model resnet50 --budget 8h --workers 4",
        "kerascnn tune --resume searches/resnet20-digits-20261120-101500 --max-trials 40",
    )
    arguments.add_data_options(tune, default="digits", more=" (default: digits, which come with the package)")
    add_recipe_options(tune)
    add = tune.add_argument
    add("--space", type=Path, metavar="FILE", help="YAML search space (default: that of the model's family)")
    tuners = ("hyperband", "bayesian", "random", "grid")
    text = "keras-tuner's algorithm (default: hyperband, which continues the better of many short trials)"
    add("--tuner", choices=tuners, default="hyperband", help=text)
    text = "a metric of the last epoch, such as val_loss (default: the main classifier's accuracy, or mAP)"
    add("--objective", metavar="NAME", help=text)
    text = "the maximal number of trials (default: 20, or the tuner's own end)"
    add("--max-trials", type=positive, metavar="N", help=text)
    add("--budget", type=duration, metavar="TIME", help="stop the search after this time, such as 2h or 90m")
    text = "a trial that takes longer fails (default: no limit)"
    add("--trial-limit", type=duration, metavar="TIME", help=text)
    add("--no-median-rule", action="store_true", help="do not stop trials early that are worse than most others")
    text = "begin with the best trials of an earlier search; repeatable"
    add("--warm-start", action="append", default=[], type=Path, metavar="SEARCH", help=text)
    text = "per trial: one (default) for a GPU, or the CPU if there is none; or as for train"
    add("--devices", default="one", metavar="DEVICES", help=text)
    text = "run N trials in parallel on this machine, one GPU each; for several machines see docs/tuning.md"
    add("--workers", type=positive, metavar="N", help=text)
    text = "also log every trial as a run of its own to wandb (Weights & Biases) or mlflow"
    add("--log", action="extend", type=some_of("wandb", "mlflow"), default=[], metavar="SERVICE", help=text)
    text = "as for train; all trials share the disk cache"
    add("--cache", choices=("none", "memory", "disk"), default="none", help=text)
    add("--out", type=Path, default=Path(), metavar="FOLDER", help="the folder for searches/")
    add("--name", metavar="NAME", help="the name of the search's folder (default: model, data and time)")
    text = "resume a stopped search (default: the newest), optionally with another --max-trials or --budget"
    add("--resume", nargs="?", const=NEWEST, metavar="SEARCH", help=text)


def _run_tune(options: argparse.Namespace) -> int:
    # Errors in names and values are reported before TensorFlow's seconds of startup.
    for service in options.log:
        check_installed(f"--log {service}", service, service)
    if not options.resume:
        recipe_of(options)
    start_tensorflow()
    from kerascnn.training.search.cluster import ChiefLostError, run_worker, this_member
    from kerascnn.training.search.folder import SearchFolder

    member = this_member()
    if member and not (options.name or options.resume):
        raise InputError("every process of a parallel search must name it; use --name NAME, or --resume SEARCH.")
    named = options.out / "searches" / (options.name or "")
    if member and not member.is_chief:
        try:
            run_worker(member, SearchFolder(Path(options.resume or named)), lambda text: print_error(text))
            return 0
        except KeyboardInterrupt:
            return INTERRUPTED
        except ChiefLostError as error:
            print_error(f"kerascnn: {error}")
            return WORKER_LOST
    if member and options.name and (named / "search.yaml").exists():
        # The chief was restarted.
        options.resume = named
    return _search(_resume(options) if options.resume else _create(options), member, options)


def _create(options: argparse.Namespace) -> SearchFolder:
    """The folder of a new search, whose settings have been checked."""
    from kerascnn.training import Machine
    from kerascnn.training.search.folder import SearchFolder, TrialLimits
    from kerascnn.training.search.space import Space
    from kerascnn.training.search.tuner import make_search_config

    data = load(options.data, options.limit, arguments.data_options(options), options.out / "searches")
    recipe = recipe_for(options, data, Machine.of(options.devices))
    space = Space.load(options.space, recipe) if options.space else Space.for_recipe(recipe)
    names = ("tuner", "objective", "warm_start", "max_trials", "budget", "limit", "devices", "cache", "log")
    given = {name: getattr(options, name) for name in names}
    given |= {"median_rule": not options.no_median_rule, "limits": TrialLimits(options.trial_limit)}
    config = make_search_config(recipe, data, space, seed=recipe.seed, **given)
    return SearchFolder.create(options.out / "searches", options.name, config, data.name)


def _resume(options: argparse.Namespace) -> SearchFolder:
    from kerascnn.training.search.tuner import extend_search_config

    path = Path(options.resume)
    if options.resume == NEWEST:
        found = sorted((options.out / "searches").glob("*/search.yaml"), key=lambda file: file.stat().st_mtime)
        if not found:
            raise InputError(f"{options.out / 'searches'} contains no search to resume.")
        path = found[-1].parent
    return extend_search_config(path, options.max_trials, options.budget)


def _search(folder: SearchFolder, member: ClusterMember | None, options: argparse.Namespace) -> int:
    """Runs a search, and prints every trial and the report."""
    from kerascnn.cli.search_tables import RunningTrials, format_search, format_trial, print_report
    from kerascnn.console import messages, print_text
    from kerascnn.training.search.cluster import WorkersLostError, run_chief, run_local_workers
    from kerascnn.training.search.tuner import run_search

    config, console = folder.read_config(), messages()
    warn = partial(print_text, console)

    def on_trial_end(record: TrialRecord) -> None:
        if options.json:
            print_json({"event": "trial", **asdict(record)}, indent=None)
        else:
            warn(format_trial(record, config))

    warn(format_search(config, folder))
    live = console.status(RunningTrials(folder, config)) if console.is_terminal else contextlib.nullcontext()
    try:
        with live:
            if member:
                search = run_chief(member, folder, warn, on_trial_end)
            elif options.workers:
                search = run_local_workers(options.workers, folder, warn, on_trial_end)
            else:
                search = run_search(folder, warn, on_trial_end)
    except (KeyboardInterrupt, WorkersLostError) as stopped:
        workers = f" --workers {options.workers}" if options.workers else ""
        print_error(f"kerascnn: {str(stopped) or 'stopped.'}")
        print_error(f"Resume with: kerascnn tune --resume {folder.path}{workers}")
        return WORKER_LOST if isinstance(stopped, WorkersLostError) else INTERRUPTED
    if options.json:
        print_json({"event": "report", **search.report}, indent=None)
    else:
        print_report(search)
    return 0 if search.best else NO_TRIAL_SUCCEEDED
