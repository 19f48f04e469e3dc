"""keras-tuner's oracles, with state that survives crashes and without values that no recipe accepts.

This is the only module that uses private names of keras-tuner; they were seen to work with `VERIFIED_VERSION`.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.distribute.oracle_client import OracleClient

from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_text
from kerascnn.training.search.folder import SearchConfig

VERIFIED_VERSION = "1.4.8"
__all__ = ["OracleClient", "OracleServicer", "PersistentOracle", "make_oracle", "open_oracle"]
add_servicer_to_server = protos.get_service_grpc().add_OracleServicer_to_server
GetSpaceRequest = protos.get_service().GetSpaceRequest
GetTrialRequest = protos.get_service().GetTrialRequest
NEVER = 10**9  # keras-tuner stops a search with an exception after so many failures in a row; here searches continue
MAX_COLLISIONS = 500  # How many repeated or invalid random values in a row mean that the space is used up
HEARTBEAT_TIMEOUT = 60.0  # A trial without a heartbeat for so many seconds is reassigned


class PersistentOracle(keras_tuner.Oracle):
    """What all oracles share: atomic state with its predecessor, retries, heartbeats, and rejection of invalid values.

    keras-tuner writes its state in place, with one file per trial next to it; a process that is killed while writing
    leaves a search that cannot be opened.
    """

    folder: Path  # of `oracle.json` and `oracle.previous.json`
    accepts: Callable[[dict[str, Any]], bool]  # whether values are valid for a recipe
    initial: list[dict[str, Any]]  # values of the first trials
    timeout = HEARTBEAT_TIMEOUT  # seconds without a heartbeat after which a worker is stale
    closed = False  # whether no more trials start
    _ending = False

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.verbose = 0
        self._max_collisions = MAX_COLLISIONS
        self._heartbeats: dict[str, float] = {}

    @keras_tuner.synchronized
    def create_trial(self, tuner_id: str) -> Trial:
        if self.closed and tuner_id not in self.ongoing_trials:
            self.tuner_ids.discard(tuner_id)
            return Trial(self.hyperparameters.copy(), trial_id="", status=TrialStatus.STOPPED)
        trial = super().create_trial(tuner_id)
        if trial.status == TrialStatus.STOPPED and self.ongoing_trials:
            # If another worker dies now, this one has to take over its trial.
            self.tuner_ids.add(tuner_id)
            trial.status = TrialStatus.IDLE
        self._heartbeats[trial.trial_id] = time.monotonic()
        return trial

    def get_trial(self, trial_id: str) -> Trial:
        """The trial; workers ask for theirs as a heartbeat."""
        self._heartbeats[trial_id] = time.monotonic()
        return super().get_trial(trial_id)

    @keras_tuner.synchronized
    def end_trial(self, trial: Trial) -> None:
        # A trial that was reassigned can end twice.
        if not any(trial.trial_id == ongoing.trial_id for ongoing in self.ongoing_trials.values()):
            return
        # keras-tuner saves while the trial still counts as ongoing; a search that is stopped then would repeat it.
        self._ending = True
        super().end_trial(trial)
        self._ending = False
        self.save()

    @keras_tuner.synchronized
    def reassign(self, tuner_id: str) -> None:
        """Gives the trial of a lost worker to the next worker that asks."""
        self.tuner_ids.discard(tuner_id)
        trial = self.ongoing_trials.pop(tuner_id, None)
        if trial:
            self._retry_queue.append(trial.trial_id)
            self.save()

    def stale_workers(self) -> list[str]:
        """The workers whose trial had no heartbeat within the timeout."""
        now = time.monotonic()
        ongoing = list(self.ongoing_trials.items())
        return [worker for worker, trial in ongoing if now - self._heartbeats.get(trial.trial_id, now) > self.timeout]

    def save(self) -> None:
        """Writes the state atomically and keeps the previous one."""
        if self._ending:
            return
        trials = {trial_id: trial.get_state() for trial_id, trial in self.trials.items()}
        state = json.dumps({"oracle": self.get_state(), "trials": trials})
        current, previous = self._files()
        if current.exists():
            current.replace(previous)
        atomic_text(current, json.dumps({"digest": _digest(state), "state": state}))

    def restore(self, warn: Callable[[str], None]) -> None:
        """Reads the newest intact state; its ongoing trials are assigned again."""
        for file in self._files():
            try:
                saved = json.loads(file.read_bytes())
                if _digest(saved["state"]) != saved["digest"]:
                    raise ValueError("the checksum does not match")
                state = json.loads(saved["state"])
            except FileNotFoundError:
                continue
            except (ValueError, KeyError, TypeError) as error:
                warn(f"{file} is damaged ({error}); the state before it is used instead.")
                continue
            self.trials = {trial_id: Trial.from_state(one) for trial_id, one in state["trials"].items()}
            self.set_state(state["oracle"])
            self._retry_queue.extend(trial.trial_id for trial in self.ongoing_trials.values())
            self.ongoing_trials = {}
            return

    def _save_trial(self, trial: Trial) -> None:
        """Writes no file per trial; `save` includes the trials."""

    def _random_values(self) -> dict[str, Any] | None:
        while self.initial:
            values = self.initial.pop(0)
            if not self._duplicate(values) and self.accepts(values):
                return values
        for _ in range(MAX_COLLISIONS):
            values = super()._random_values()
            if values is None or self.accepts(values):
                return values
            self._tried_so_far.add(self._compute_values_hash(values))
        return None

    def _files(self) -> tuple[Path, Path]:
        return self.folder / "oracle.json", self.folder / "oracle.previous.json"


class RandomOracle(PersistentOracle, keras_tuner.oracles.RandomSearchOracle):
    """Random values without repetition."""


class BayesianOracle(PersistentOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """Values that a Gaussian process expects to be best, without repetition; the state has the random generator."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        proposed = super().populate_space(trial_id)
        values = proposed.get("values")
        if values and (self._duplicate(values) or not self.accepts(values)):
            return self._random_populate_space()
        return proposed

    def get_state(self) -> dict[str, Any]:
        name, keys, *rest = self._random_state.get_state()
        return {**super().get_state(), "random_state": [name, keys.tolist(), *rest]}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        name, keys, *rest = state["random_state"]
        self._random_state.set_state((name, np.array(keys, np.uint32), *rest))


class GridOracle(PersistentOracle, keras_tuner.oracles.GridSearchOracle):
    """All combinations in order; the state has the position in the grid (keras-tuner's issue 1055)."""

    def get_state(self) -> dict[str, Any]:
        order = self._ordered_ids
        state = {"memory": order._memory, "next": list(order._next_index.items()), "last": order._last_index}
        return {**super().get_state(), "order": state, "populate_next": self._populate_next}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        order = self._ordered_ids
        order._memory = state["order"]["memory"]
        order._data_to_index = {trial_id: index for index, trial_id in enumerate(order._memory)}
        order._next_index.update(map(tuple, state["order"]["next"]))
        order._last_index = state["order"]["last"]
        self._populate_next = state["populate_next"]


class HyperbandOracle(PersistentOracle, keras_tuner.oracles.HyperbandOracle):
    """Many short trainings, of which the better ones continue (Li et al., Hyperband, 2018, section 3)."""

    @keras_tuner.synchronized
    def end_trial(self, trial: Trial) -> None:
        # keras-tuner promotes one trial less for every failed one; here failed trials count as the worst.
        if trial.status == TrialStatus.FAILED and trial.trial_id in self.trials:
            metrics, objective = self.trials[trial.trial_id].metrics, self.objective
            if not metrics.exists(objective.name):
                metrics.register(objective.name, objective.direction)
                metrics.update(objective.name, float("-inf") if objective.direction == "max" else float("inf"))
            trial.status = TrialStatus.COMPLETED
        super().end_trial(trial)


def make_oracle(config: SearchConfig) -> PersistentOracle:
    """A new oracle for a search."""
    kinds = {"hyperband": HyperbandOracle, "bayesian": BayesianOracle, "random": RandomOracle, "grid": GridOracle}
    options: dict[str, Any] = {}
    if config.tuner == "hyperband":
        # Without a limit Hyperband runs all its brackets once.
        unlimited = config.max_trials is None and config.budget is None
        options = {"max_epochs": config.epochs, "hyperband_iterations": 1 if unlimited else None}
    oracle = kinds[config.tuner](
        objective=keras_tuner.Objective(config.objective.name, config.objective.direction),
        hyperparameters=config.space.hyperparameters(),
        seed=config.seed + 1,
        max_consecutive_failed_trials=NEVER,
        **options,
    )
    oracle.max_trials = config.max_trials
    oracle.initial = list(config.initial_values)
    return oracle


def open_oracle(folder: Path, config: SearchConfig, warn: Callable[[str], None]) -> PersistentOracle:
    """The oracle of a search, with the state that it had when the search was stopped."""

    def accepts(values: dict[str, Any]) -> bool:
        try:
            config.space.recipe(config.recipe, values)
        except InputError:
            return False
        return True

    oracle = make_oracle(config)
    oracle.folder, oracle.accepts = folder, accepts
    oracle.restore(warn)
    return oracle


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
