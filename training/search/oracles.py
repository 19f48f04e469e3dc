"""keras-tuner's oracles, with a memory that survives and none of the values that no recipe takes."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial

from kerascnn.files.atomic import atomic_write
from kerascnn.training.search.objective import Objective

RUNNING, COMPLETED, FAILED, STOPPED, IDLE = "RUNNING", "COMPLETED", "FAILED", "STOPPED", "IDLE"

# keras-tuner ends a search by an exception after so many failures in a row; here searches go on.
NEVER = 10**9

# How often values are drawn again that were tried before or are refused, before the space counts as used up.
DRAWS = 500

# A trial of which nothing was heard for so long is given to another worker.
LEASE_SECONDS = 60.0


class PersistentOracle(keras_tuner.Oracle):
    """What all tuners have here: one file of state with its predecessor, retries, leases, and refused values.

    keras-tuner writes its state in place, and a file for every trial beside it; a process that is killed meanwhile
    leaves a search that cannot be opened.
    """

    def begin(
        self, folder: Path, accepts: Callable[[dict[str, Any]], bool], first: list[dict[str, Any]], lease: float
    ) -> None:
        """Makes a new oracle ready.

        Args:
            folder: gets `oracle.json` and `oracle.previous.json`.
            accepts: whether a recipe can have these values.
            first: values that are given out before all others.
            lease: seconds after which a trial is given out again whose worker is silent.
        """
        self.verbose = 0
        self.folder = folder
        self.accepts = accepts
        self.first = list(first)
        self.lease = lease
        self.closed = False
        self._ending = False
        self._max_collisions = DRAWS
        self._seen: dict[str, float] = {}

    @keras_tuner.synchronized
    def create_trial(self, tuner_id: str) -> Trial:
        if self.closed and tuner_id not in self.ongoing_trials:
            self.tuner_ids.discard(tuner_id)
            return Trial(self.hyperparameters.copy(), trial_id="", status=STOPPED)
        trial = super().create_trial(tuner_id)
        if trial.status == STOPPED and self.ongoing_trials:
            # The trial of a worker that is lost now would find nobody to take it.
            self.tuner_ids.add(tuner_id)
            trial.status = IDLE
        self._seen[trial.trial_id] = time.monotonic()
        return trial

    def get_trial(self, trial_id: str) -> Trial:
        """The trial; workers ask for theirs to show that they are alive."""
        self._seen[trial_id] = time.monotonic()
        return super().get_trial(trial_id)

    @keras_tuner.synchronized
    def end_trial(self, trial: Trial) -> None:
        # One that was given to another worker meanwhile can end twice.
        if not any(trial.trial_id == ongoing.trial_id for ongoing in self.ongoing_trials.values()):
            return
        # keras-tuner saves while the trial still counts as under way, so that a search that is stopped then repeats it.
        self._ending = True
        super().end_trial(trial)
        self._ending = False
        self.save()

    @keras_tuner.synchronized
    def release(self, tuner_id: str) -> None:
        """Gives the trial of a worker that is gone to whoever asks next."""
        self.tuner_ids.discard(tuner_id)
        trial = self.ongoing_trials.pop(tuner_id, None)
        if trial:
            self._retry_queue.append(trial.trial_id)
            self.save()

    def silent(self) -> list[str]:
        """The workers with a trial of which nothing was heard for longer than the lease."""
        now = time.monotonic()
        return [
            tuner_id
            for tuner_id, trial in list(self.ongoing_trials.items())
            if now - self._seen.get(trial.trial_id, now) > self.lease
        ]

    def save(self) -> None:
        """Writes the state; what was written before it is kept as its predecessor."""
        if self._ending:
            return
        trials = {trial_id: trial.get_state() for trial_id, trial in self.trials.items()}
        state = json.dumps({"oracle": self.get_state(), "trials": trials})
        current, previous = _files(self.folder)
        if current.exists():
            current.replace(previous)
        with atomic_write(current) as file:
            file.write(json.dumps({"digest": _digest(state), "state": state}).encode())

    def restore(self, tell: Callable[[str], None]) -> None:
        """Reads the newest state that is whole; trials that were under way are given out again.

        Args:
            tell: takes a sentence about a file that is damaged.
        """
        for file in _files(self.folder):
            try:
                kept = json.loads(file.read_bytes())
                if _digest(kept["state"]) != kept["digest"]:
                    raise ValueError("its contents are not what was written")
                state = json.loads(kept["state"])
            except FileNotFoundError:
                continue
            except (ValueError, KeyError, TypeError) as error:
                tell(f"{file} is damaged ({error}); what was written before it is taken instead.")
                continue
            self.trials = {trial_id: Trial.from_state(one) for trial_id, one in state["trials"].items()}
            self.set_state(state["oracle"])
            self._retry_queue.extend(trial.trial_id for trial in self.ongoing_trials.values())
            self.ongoing_trials = {}
            return

    def _save_trial(self, trial: Trial) -> None:
        """Nothing: trials are part of the state."""

    def _random_values(self) -> dict[str, Any] | None:
        while self.first:
            values = self.first.pop(0)
            if not self._duplicate(values) and self.accepts(values):
                return values
        for _ in range(DRAWS):
            values = super()._random_values()
            if values is None or self.accepts(values):
                return values
            self._tried_so_far.add(self._compute_values_hash(values))
        return None


class RandomOracle(PersistentOracle, keras_tuner.oracles.RandomSearchOracle):
    """Values by chance, none twice."""


class BayesianOracle(PersistentOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """Values where a Gaussian process expects the best, none twice."""

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
    """All values, one after the other; keras-tuner's forgets where it was when it is stopped (its issue 1055)."""

    def get_state(self) -> dict[str, Any]:
        order = self._ordered_ids
        state = {"memory": order._memory, "next": list(order._next_index.items()), "last": order._last_index}
        return {**super().get_state(), "order": state, "populate_next": self._populate_next}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        order = self._ordered_ids
        order._memory = state["order"]["memory"]
        order._data_to_index = {trial_id: place for place, trial_id in enumerate(order._memory)}
        order._next_index.update(map(tuple, state["order"]["next"]))
        order._last_index = state["order"]["last"]
        self._populate_next = state["populate_next"]


class HyperbandOracle(PersistentOracle, keras_tuner.oracles.HyperbandOracle):
    """Many short trainings, of which the better go on (Li et al., Hyperband, 2018, section 3)."""

    @keras_tuner.synchronized
    def end_trial(self, trial: Trial) -> None:
        # keras-tuner promotes one trial less for every one that failed; they count as the worst instead.
        if trial.status == FAILED and trial.trial_id in self.trials:
            metrics = self.trials[trial.trial_id].metrics
            if not metrics.exists(self.objective.name):
                metrics.register(self.objective.name, self.objective.direction)
                worst = Objective(self.objective.name, self.objective.direction).worst
                metrics.update(self.objective.name, worst)
            trial.status = COMPLETED
        super().end_trial(trial)


def oracle_for(
    tuner: str,
    space: keras_tuner.HyperParameters,
    objective: Objective,
    *,
    max_trials: int | None,
    epochs: int,
    endless: bool,
    seed: int,
) -> PersistentOracle:
    """A new oracle.

    Args:
        tuner: "hyperband", "bayesian", "random" or "grid".
        space: what is searched.
        objective: what is made greatest or least.
        max_trials: after how many trials it ends; None for none but the tuner's own end.
        epochs: of the longest trials, for Hyperband.
        endless: whether Hyperband begins again when it is through.
        seed: of what is drawn.
    """
    arguments: dict[str, Any] = {
        "objective": keras_tuner.Objective(objective.name, objective.direction),
        "hyperparameters": space,
        "seed": seed + 1,
        "max_consecutive_failed_trials": NEVER,
    }
    if tuner == "hyperband":
        oracle = HyperbandOracle(max_epochs=epochs, hyperband_iterations=None if endless else 1, **arguments)
        oracle.max_trials = max_trials
        return oracle
    kinds = {"bayesian": BayesianOracle, "random": RandomOracle, "grid": GridOracle}
    return kinds[tuner](max_trials=max_trials, **arguments)


def _files(folder: Path) -> tuple[Path, Path]:
    return folder / "oracle.json", folder / "oracle.previous.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
