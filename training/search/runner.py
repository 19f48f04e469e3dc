"""Runs trials: asks the oracle, trains in a process, halves a batch that does not fit into memory, and reports."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from keras_tuner.engine.trial import TrialStatus

from kerascnn.errors import InputError
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.search import trial_process
from kerascnn.training.search.folder import DONE, FAILED, STOPPED, Journal, Objective, SearchConfig, TrialRecord
from kerascnn.training.search.trial_process import MEMORY, METRICS, STOP, TrialExit, read_curve

MAX_HALVINGS = 2  # How often a trial that runs out of memory is repeated with half the batch size
IDLE_SECONDS = 1.0  # Hyperband waits for trials of other workers
# The median rule applies from so many ended trials, and from this fraction of a trial's epochs.
MIN_TRIALS_FOR_MEDIAN = 3
MIN_FRACTION_FOR_MEDIAN = 0.25


class TrialRunner:
    """Runs the trials of a search one after the other, in the name of a worker.

    When `should_stop` returns True, a running trial is stopped and can be resumed.
    """

    def __init__(self, config: SearchConfig, journal: Journal, worker: str, should_stop: Callable[[], bool]):
        self.config, self.journal, self.worker, self.should_stop = config, journal, worker, should_stop

    def run(self, number: int, values: dict[str, Any], previous: TrialRecord | None = None) -> TrialRecord:
        """Runs or resumes a trial, unless it has ended already; its training continues that of `previous`, if any.

        The record that is returned has not ended if the search stopped before. KeyboardInterrupt is raised after the
        trial's checkpoint was written.
        """
        record = self.journal.find(values) or TrialRecord(number, values)
        if record.ended:
            return record
        record.worker = self.worker
        record.fields = self.config.space.fields(values)
        record.epochs = values.get("tuner/epochs")
        try:
            recipe = self._recipe(record, previous)
        except InputError as error:
            return self._end(record, TrialExit(trial_process.INVALID, str(error)))
        folder = self.journal.trial_folder(record.number, values)
        folder.mkdir(parents=True, exist_ok=True)
        if previous and not (folder / "run").exists():
            source = self.journal.trial_folder(previous.number, previous.values)
            if (source / "run").is_dir():
                shutil.copytree(source / "run", folder / "run.partial", dirs_exist_ok=True)
                os.replace(folder / "run.partial", folder / "run")
            if (source / METRICS).exists():
                shutil.copy(source / METRICS, folder / METRICS)
        while True:
            record.recipe = recipe.to_dict()
            self.journal.write(record)
            ending = self._attempt(folder, recipe, record)
            if ending.reason != MEMORY or len(record.attempts) == MAX_HALVINGS or recipe.batch_size == 1:
                break
            record.attempts.append({"batch_size": recipe.batch_size, "reason": ending.reason, "detail": ending.detail})
            recipe = recipe.with_values(batch_size=recipe.batch_size // 2)
            shutil.rmtree(folder / "run", ignore_errors=True)
            (folder / METRICS).unlink(missing_ok=True)
        return self._end(record, ending)

    def _recipe(self, record: TrialRecord, previous: TrialRecord | None) -> Recipe:
        if record.recipe:
            return Recipe.from_dict(record.recipe, f"trial {record.number}")
        if previous is None:
            return self.config.space.recipe(self.config.recipe, record.values)
        if previous.score is None:
            raise InputError(f"it continues trial {previous.number}, which failed.")
        # This recipe has the batch size that fitted into memory.
        return Recipe.from_dict(previous.recipe, f"trial {previous.number}")

    def _attempt(self, folder: Path, recipe: Recipe, record: TrialRecord) -> TrialExit:
        config = self.config
        trial_config = {name: getattr(config, name) for name in ("data", "limit", "cache", "devices", "log")}
        # With a launcher the trial's parent is another process.
        parent = None if config.program else os.getpid()
        trial_config |= {
            "options": config.options.to_dict(),
            "recipe": record.recipe,
            "epochs": record.epochs,
            "parent": parent,
        }
        (folder / trial_process.TRIAL_CONFIG).write_text(json.dumps(trial_config, indent=1))
        checked = 0

        def poll() -> bool:
            nonlocal checked
            file = folder / METRICS
            size = file.stat().st_size if file.exists() else 0
            if config.median_rule and size != checked and not (folder / STOP).exists():
                checked = size
                self._apply_median_rule(folder, record.epochs or recipe.epochs)
            return self.should_stop()

        started = time.monotonic()
        try:
            return trial_process.run_process(
                [*(config.program or trial_process.PROGRAM), str(folder)], folder, config.limits, poll
            )
        finally:
            record.seconds += time.monotonic() - started
            record.images += trial_process.read_images(folder)
            record.curve = read_curve(folder)
            self.journal.write(record)

    def _apply_median_rule(self, folder: Path, epochs: int) -> None:
        objective = self.config.objective

        def scores(curve: list[dict[str, float]]) -> list[float]:
            return [metrics[objective.name] for metrics in curve if objective.name in metrics]

        own = scores(read_curve(folder))
        others = [scores(record.curve) for record in self.journal.records() if record.score is not None]
        if own and is_poor(own, others, epochs, objective):
            (folder / STOP).touch()

    def _end(self, record: TrialRecord, ending: TrialExit) -> TrialRecord:
        if not ending.stopped:
            name = self.config.objective.name
            score = record.curve[-1].get(name, math.nan) if record.curve else math.nan
            if not ending.reason and not math.isfinite(score):
                ending = TrialExit(trial_process.NOT_FINITE, f"{name} is {score} after the last epoch")
            if ending.reason:
                record.status, record.reason, record.detail = FAILED, ending.reason, ending.detail
            else:
                stopped = (self.journal.trial_folder(record.number, record.values) / STOP).exists()
                record.status, record.score = STOPPED if stopped else DONE, score
        self.journal.write(record)
        return record


def is_poor(own: Sequence[float], others: Sequence[Sequence[float]], epochs: int, objective: Objective) -> bool:
    """Whether a trial's best value so far is worse than the median of the other trials' averages up to its epoch.

    Source: Golovin et al., Google Vizier, 2017, section 3.2.2 (the median stopping rule). `own` is the objective after
    each epoch so far, `others` the same of trials that have ended, `epochs` the length of the whole trial.
    """
    averages = [objective.sign * fmean(other[: len(own)]) for other in others if len(other) >= len(own)]
    if len(own) < MIN_FRACTION_FOR_MEDIAN * epochs or len(averages) < MIN_TRIALS_FOR_MEDIAN:
        return False
    return median(averages) > max(objective.sign * value for value in own)


def run_trials(oracle: Any, runner: TrialRunner, on_trial_end: Callable[[TrialRecord], None]) -> bool:
    """Runs trials until the oracle, or its client, has no more, which returns True, or until the runner stops."""
    config, journal = runner.config, runner.journal
    while not runner.should_stop():
        trial = oracle.create_trial(runner.worker)
        if trial.status == TrialStatus.STOPPED:
            return True
        if trial.status == TrialStatus.IDLE:
            time.sleep(IDLE_SECONDS)
            continue
        values = dict(trial.hyperparameters.values)
        previous = None
        if "tuner/trial_id" in values:
            previous = journal.find(oracle.get_trial(values["tuner/trial_id"]).hyperparameters.values)
        record = runner.run(int(trial.trial_id) + 1, values, previous)
        if not record.ended:
            return False
        if record.score is None:
            trial.status, trial.message = TrialStatus.FAILED, f"{record.reason}: {record.detail}"
        else:
            oracle.update_trial(trial.trial_id, {config.objective.name: record.score}, step=len(record.curve))
            trial.status = TrialStatus.COMPLETED
        oracle.end_trial(trial)
        if config.tuner != "hyperband":
            # Hyperband may continue any trial.
            journal.remove_checkpoints(config.objective)
        on_trial_end(record)
    return False
