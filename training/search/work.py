"""The loop of a search: ask the oracle, train, tell the oracle."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_tuner.engine.trial import Trial

from kerascnn.errors import InputError
from kerascnn.training.search.journal import Record
from kerascnn.training.search.oracles import (
    COMPLETED,
    FAILED,
    IDLE,
    LEASE_SECONDS,
    STOPPED,
    PersistentOracle,
    oracle_for,
)
from kerascnn.training.search.plan import SearchConfig
from kerascnn.training.search.result import clear
from kerascnn.training.search.runner import Runner

# Hyperband waits where it needs the trials of other workers to go on.
IDLE_SECONDS = 1.0


def opened_oracle(
    folder: Path, plan: SearchConfig, tell: Callable[[str], None], lease: float = LEASE_SECONDS
) -> PersistentOracle:
    """The oracle of a search, as it was when the search was stopped.

    Args:
        folder: of the search.
        plan: of the search.
        tell: takes a sentence about a damaged file.
        lease: see `PersistentOracle.begin`.
    """
    oracle = oracle_for(
        plan.tuner,
        plan.space.hyperparameters(),
        plan.objective,
        max_trials=plan.max_trials,
        epochs=plan.epochs,
        endless=plan.max_trials is not None or plan.budget is not None,
        seed=plan.seed,
    )

    def accepts(values: dict[str, Any]) -> bool:
        try:
            plan.space.recipe(plan.recipe, values)
        except InputError:
            return False
        return True

    oracle.begin(folder, accepts, plan.first, lease)
    oracle.restore(tell)
    return oracle


def work(oracle: Any, runner: Runner, tuner_id: str, watch: Callable[[Record], None]) -> bool:
    """Runs trials until the oracle has no more, or the runner is over; says whether it was the former.

    Args:
        oracle: a `PersistentOracle`, or keras-tuner's client of one.
        runner: of the trials.
        tuner_id: the name that the oracle knows the worker by.
        watch: takes the record of every trial that has ended.
    """
    while not runner.over():
        trial = oracle.create_trial(tuner_id)
        if trial.status == STOPPED:
            return True
        if trial.status == IDLE:
            time.sleep(IDLE_SECONDS)
            continue
        values = dict(trial.hyperparameters.values)
        before = None
        if "tuner/trial_id" in values:
            before = runner.journal.find(oracle.get_trial(values["tuner/trial_id"]).hyperparameters.values)
        record = runner.run(int(trial.trial_id) + 1, values, before)
        if not record.ended:
            return False
        _report(oracle, trial, record, runner.plan)
        if runner.plan.tuner != "hyperband":
            # Hyperband goes on with some of them.
            clear(runner.journal, runner.plan.objective)
        watch(record)
    return False


def _report(oracle: Any, trial: Trial, record: Record, plan: SearchConfig) -> None:
    if record.score is None:
        trial.status, trial.message = FAILED, f"{record.reason}: {record.detail}"
    else:
        oracle.update_trial(trial.trial_id, {plan.objective.name: record.score}, step=len(record.curve))
        trial.status = COMPLETED
    oracle.end_trial(trial)
