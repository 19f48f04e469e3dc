"""Searches the best values of a recipe's fields."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kerascnn.data.dataset import DataSet
from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.ingest import load
from kerascnn.data.pipeline.cache import Cache
from kerascnn.errors import InputError, closest
from kerascnn.files.folder_owner import owned
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.resolution import resolved, task_of
from kerascnn.training.search.folder import TUNERS, Journal, SearchConfig, SearchFolder, TrialLimits, TrialRecord
from kerascnn.training.search.oracles import open_oracle
from kerascnn.training.search.report import Search, finish
from kerascnn.training.search.runner import TrialRunner, run_trials
from kerascnn.training.search.space import Space
from kerascnn.training.search.trial_training import hold_out
from kerascnn.training.search.validation import check_space, objective_for

DEFAULT_TRIALS = 20  # Without `max_trials` and `budget`, for tuners that never end
WARM_START_TRIALS = 5  # How many trials of an earlier search a warm start repeats
# Arguments of `tune` for `make_search_config`.
SETTINGS = ("objective", "warm_start", "tuner", "max_trials", "budget", "limit", "seed")
SETTINGS += ("median_rule", "limits", "devices", "cache", "log")


def tune(
    recipe: Recipe,
    data: str | Path,
    *,
    space: Space | dict[str, Any] | None = None,
    tuner: str = "hyperband",
    objective: str | None = None,
    max_trials: int | None = None,
    budget: float | None = None,
    limit: int | None = None,
    options: DataOptions = DataOptions(),
    seed: int = 0,
    median_rule: bool = True,
    limits: TrialLimits = TrialLimits(),
    devices: str = "one",
    cache: Cache = "none",
    log: Sequence[str] = (),
    warm_start: Sequence[str | Path] = (),
    searches: str | Path = "searches",
    name: str | None = None,
    program: Sequence[str] | None = None,
    warn: Callable[[str], None] = warnings.warn,
    on_trial_end: Callable[[TrialRecord], None] = lambda record: None,
) -> Search:
    """Searches the best values of a recipe's fields; every trial is a training in a process of its own.

    Trials are compared on a fifth of the training images, which they do not train on; the validation images are left
    for the result. A trial that runs out of memory, diverges, crashes or hangs is recorded with its reason, and the
    search continues.

    Args:
        recipe: the recipe whose fields are searched.
        data: the source, as `kerascnn.data.load` takes it.
        space: the search space; None for `Space.for_recipe`.
        tuner: keras-tuner's "hyperband", "bayesian", "random" or "grid".
        objective: the metric to optimize, such as "val_loss"; None for the main classifier's accuracy, or mAP.
        max_trials: the maximal number of trials.
        budget: seconds after which no trial starts, and running ones are stopped.
        limit: the maximal number of images.
        options: the columns of tables, and which images are held out.
        seed: the tuner's.
        median_rule: whether a trial is stopped early if it is worse than most others after as many epochs; ignored
            with Hyperband, which has its own rule.
        limits: time limits of a trial.
        devices: per trial: "one" for a GPU, or the CPU if there is none; or as for `choose_devices`.
        cache: of decoded images, as for `RunConfig`.
        log: services that every trial logs to as a run of its own: "wandb", "mlflow".
        warm_start: folders of earlier searches, whose best trials are repeated first.
        searches, name: the folder that contains the search's folder, and its name.
        program: the command that runs a trial, such as a launcher; the trial's folder follows.
        warn: takes warnings about damaged files.
        on_trial_end: is called with the record of every trial that has ended.

    Raises:
        InputError: an unknown tuner or objective, a space that no trial satisfies, or unreadable data.
        KeyboardInterrupt: on Ctrl-C; continue with `resume_search`.

    Example:
        >>> search = tune(Recipe.for_model("resnet20"), "digits", tuner="random", max_trials=5)
        >>> search.best.fields
        {'optimizer.learning_rate': 0.16, ...}
    """
    given = locals()
    settings = {name: given[name] for name in SETTINGS}
    loaded = load(data, limit=limit, options=options)
    config = make_search_config(recipe, loaded, space, **settings, program=list(program) if program else None)
    return run_search(SearchFolder.create(Path(searches), name, config, loaded.name), warn, on_trial_end)


def resume_search(
    folder: str | Path,
    *,
    max_trials: int | None = None,
    budget: float | None = None,
    warn: Callable[[str], None] = warnings.warn,
    on_trial_end: Callable[[TrialRecord], None] = lambda record: None,
) -> Search:
    """Continues a search that was stopped; no finished trial is lost or repeated.

    Args:
        folder: the search's.
        max_trials: the maximal number of trials, including the earlier ones; None for the search's.
        budget: seconds for this session; None for the search's.
        warn, on_trial_end: as for `tune`.

    Raises:
        InputError: the folder contains no search.
        KeyboardInterrupt: as for `tune`.
    """
    return run_search(extend_search_config(folder, max_trials, budget), warn, on_trial_end)


def extend_search_config(path: str | Path, max_trials: int | None, budget: float | None) -> SearchFolder:
    """Opens a search's folder, and writes a new number of trials or budget into its settings, if given."""
    folder = SearchFolder.open(Path(path))
    config = folder.read_config()
    extended = replace(config, max_trials=max_trials or config.max_trials, budget=budget or config.budget)
    if extended != config:
        folder.write_config(extended)
    return folder


def make_search_config(
    recipe: Recipe,
    data: DataSet,
    space: Space | dict[str, Any] | None,
    *,
    objective: str | None,
    warm_start: Sequence[str | Path],
    **settings: Any,
) -> SearchConfig:
    """The checked settings of a search on loaded data; the arguments and errors are those of `tune`."""
    tuner = settings["tuner"]
    if tuner not in TUNERS:
        raise InputError(f"there is no tuner '{tuner}'; {closest(tuner, TUNERS)}")
    if space is None:
        space = Space.for_recipe(recipe)
    elif not isinstance(space, Space):
        space = Space.from_dict(space, recipe)
    fields = {parameter.field for parameter in space.parameters}
    if tuner == "hyperband" and fields & {"epochs", "iterations"}:
        raise InputError(
            "the space searches the length of training, which Hyperband sets; leave it out, or use another tuner."
        )
    if tuner == "grid" and warm_start:
        raise InputError("the grid tuner has a fixed order; use another tuner for a warm start.")
    classes = len(data.class_names)
    check_space(space, recipe, classes)
    if settings["max_trials"] is None and settings["budget"] is None and tuner in ("random", "bayesian"):
        settings["max_trials"] = DEFAULT_TRIALS
    settings["median_rule"] &= tuner != "hyperband"
    settings["log"] = list(settings["log"])
    return SearchConfig(
        recipe,
        space,
        data.source,
        options=data.options,
        layout=data.layout,
        classes=classes,
        objective=objective_for(replace(recipe, task=task_of(recipe, data)), classes, objective),
        epochs=resolved(recipe, hold_out(data)).epochs,
        initial_values=initial_values(space, recipe, warm_start),
        **settings,
    )


def initial_values(space: Space, recipe: Recipe, searches: Sequence[str | Path]) -> list[dict[str, Any]]:
    """The oracle's values of the first trials: the recipe's, and those of the best trials of earlier searches.

    Raises InputError if a folder contains no search, or none of its trials lies in the space.
    """
    found = [space.values(recipe)]
    for path in searches:
        folder = SearchFolder.open(Path(path))
        records = Journal(folder.trials, lambda warning: None).ranked(folder.read_config().objective)
        recipes = [Recipe.from_dict(record.recipe, str(path)) for record in records if record.score is not None]
        inside = _distinct(map(space.values, recipes))
        if not inside:
            raise InputError(f"no trial of {path} lies in the space; use a larger space, or no warm start.")
        found += inside[:WARM_START_TRIALS]
    return _distinct(found)


def _distinct(candidates: Iterable[dict[str, Any] | None]) -> list[dict[str, Any]]:
    found = [values for values in candidates if values is not None]
    return [values for index, values in enumerate(found) if values not in found[:index]]


def run_search(
    folder: SearchFolder, warn: Callable[[str], None], on_trial_end: Callable[[TrialRecord], None]
) -> Search:
    """Runs a search in this process, one trial after the other, and writes the results."""
    config, journal = folder.read_config(), Journal(folder.trials, warn)
    runner = TrialRunner(config, journal, "tuner0", config.budget_timer())
    with owned(folder.path):
        complete = run_trials(open_oracle(folder.path, config, warn), runner, on_trial_end)
        return finish(folder, config, journal, complete)
