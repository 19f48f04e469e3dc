"""A search for the best values of a recipe's fields, from its space to its report."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kerascnn.data.dataset import DataSet
from kerascnn.data.ingestion.ingest import load
from kerascnn.data.pipeline.cache import Cache
from kerascnn.errors import InputError, closest
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.search.feasible import check_space
from kerascnn.training.search.holdout import held_out
from kerascnn.training.search.journal import Journal, Record
from kerascnn.training.search.objective import objective_for
from kerascnn.training.search.plan import TUNERS, SearchConfig, SearchFolder
from kerascnn.training.search.processes import TrialLimits
from kerascnn.training.search.result import Search, finish
from kerascnn.training.search.runner import Runner
from kerascnn.training.search.space import Space
from kerascnn.training.search.warm_start import first_values
from kerascnn.training.search.work import opened_oracle, work
from kerascnn.training.trainer import resolved

# Where neither a number of trials nor a budget is given, and the tuner has no end of its own.
USUAL_TRIALS = 20


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
    seed: int = 0,
    median_rule: bool = True,
    limits: TrialLimits = TrialLimits(),
    devices: str = "one",
    cache: Cache = "none",
    warm_start: Sequence[str | Path] = (),
    searches: str | Path = "searches",
    name: str | None = None,
    program: Sequence[str] | None = None,
    tell: Callable[[str], None] = warnings.warn,
    watch: Callable[[Record], None] = lambda record: None,
) -> Search:
    """Searches the best values of a recipe's fields; every trial is a training in a process of its own.

    Trials are compared on a fifth of the training images, which they do not learn from; the validation images are
    left for the result. One that runs out of memory, diverges, crashes or hangs is recorded with its reason, and the
    search goes on.

    Args:
        recipe: whose fields are searched.
        data: the source, as `kerascnn.data.load` takes it.
        space: what is searched; None for `Space.for_recipe`.
        tuner: "hyperband", "bayesian", "random" or "grid", keras-tuner's.
        objective: the figure to make best, such as "val_loss"; None for the main classifier's accuracy.
        max_trials: how many trials there are at most.
        budget: seconds after which no trial begins, and those under way are stopped.
        limit: how many images are used at most.
        seed: of what the tuner draws.
        median_rule: whether a trial is stopped that is worse than most were after as many epochs; Hyperband has a rule
            of its own instead.
        limits: when a trial hangs.
        devices: of a trial: "one" for one GPU, else the processor; or as `choose_devices` takes it.
        cache: of decoded images, as `RunConfig` takes it.
        warm_start: folders of earlier searches, whose best trials are tried first.
        searches, name: the folder in which the search's folder is made, and its name.
        program: what runs a trial, before its folder, such as a launcher of one's own.
        tell: takes sentences about damaged files.
        watch: takes the record of every trial that has ended.

    Raises:
        InputError: an unknown tuner or objective, a space that no trial satisfies, unreadable data.
        KeyboardInterrupt: on Ctrl-C; go on with `resume_search`.

    Example:
        >>> search = tune(Recipe.for_model("resnet20"), "digits", tuner="random", max_trials=5)
        >>> search.best.fields
        {'optimizer.learning_rate': 0.16, ...}
    """
    source = str(data)
    loaded = load(source, limit=limit)
    plan = planned(
        recipe,
        loaded,
        space,
        tuner=tuner,
        objective=objective,
        warm_start=warm_start,
        max_trials=max_trials,
        budget=budget,
        limit=limit,
        seed=seed,
        median_rule=median_rule,
        limits=limits,
        devices=devices,
        cache=cache,
        program=list(program) if program else None,
    )
    folder = SearchFolder.create(Path(searches), name, plan, loaded.name)
    return search(folder, plan, tell, watch)


def resume_search(
    folder: str | Path,
    *,
    max_trials: int | None = None,
    budget: float | None = None,
    tell: Callable[[str], None] = warnings.warn,
    watch: Callable[[Record], None] = lambda record: None,
) -> Search:
    """Goes on with a search that was stopped: no finished trial is lost, and none is repeated.

    Args:
        folder: of the search.
        max_trials: how many trials there are at most, those before included; None for as many as planned.
        budget: seconds for this session; None for as many as planned.
        tell, watch: as for `tune`.

    Raises:
        InputError: the folder holds no search.
        KeyboardInterrupt: as for `tune`.
    """
    opened = SearchFolder.open(Path(folder))
    return search(opened, prolonged(opened, max_trials, budget), tell, watch)


def prolonged(folder: SearchFolder, max_trials: int | None, budget: float | None) -> SearchConfig:
    """The plan of a search, with another end where one is given."""
    plan = folder.read_plan()
    longer = replace(plan, max_trials=max_trials or plan.max_trials, budget=budget or plan.budget)
    if longer != plan:
        folder.write_plan(longer)
    return longer


def planned(
    recipe: Recipe,
    data: DataSet,
    space: Space | dict[str, Any] | None,
    *,
    tuner: str,
    objective: str | None,
    warm_start: Sequence[str | Path],
    max_trials: int | None,
    budget: float | None,
    median_rule: bool,
    **more: Any,
) -> SearchConfig:
    """The plan of a search, with everything that can be wrong with it found out.

    Raises:
        InputError: as for `tune`.
    """
    if tuner not in TUNERS:
        raise InputError(f"there is no tuner '{tuner}'; {closest(tuner, TUNERS)}")
    if space is None:
        space = Space.for_recipe(recipe)
    elif not isinstance(space, Space):
        space = Space.from_dict(space, recipe)
    fields = {parameter.field for parameter in space.parameters}
    if tuner == "hyperband" and fields & {"epochs", "iterations"}:
        raise InputError(
            "the space searches how long to train, which Hyperband decides itself; leave it out, or take another tuner."
        )
    if tuner == "grid" and warm_start:
        raise InputError("a grid is searched in its own order; a warm start is for the other tuners.")
    classes = len(data.class_names)
    check_space(space, recipe, classes)
    if max_trials is None and budget is None and tuner in ("random", "bayesian"):
        max_trials = USUAL_TRIALS
    return SearchConfig(
        recipe,
        space,
        data.source,
        classes=classes,
        objective=objective_for(recipe, classes, objective),
        tuner=tuner,
        epochs=resolved(recipe, held_out(data)).epochs,
        max_trials=max_trials,
        budget=budget,
        median_rule=median_rule and tuner != "hyperband",
        first=first_values(space, recipe, warm_start),
        **more,
    )


def search(
    folder: SearchFolder, plan: SearchConfig, tell: Callable[[str], None], watch: Callable[[Record], None]
) -> Search:
    """Runs a planned search on this machine, one trial after the other, and reports.

    Raises:
        KeyboardInterrupt: as for `tune`.
    """
    journal = Journal(folder.trials, tell)
    end = time.monotonic() + plan.budget if plan.budget else float("inf")
    runner = Runner(plan, journal, "tuner0", lambda: time.monotonic() > end)
    whole = work(opened_oracle(folder.path, plan, tell), runner, "tuner0", watch)
    return finish(folder, plan, journal, whole)
