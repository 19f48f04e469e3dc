"""The records of a search's trials, one file per trial; they survive a damaged oracle."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascnn.files.atomic import atomic_write

if TYPE_CHECKING:
    from kerascnn.training.search.config import Objective

RUNNING, DONE, STOPPED, FAILED = "running", "done", "stopped early", "failed"
MEMORY, NOT_FINITE, CRASH, HANG, INVALID = "memory", "not finite", "crash", "hang", "invalid"  # Why a trial failed
# Values by which Hyperband identifies a trial, and which do not change its training.
BOOKKEEPING = ("tuner/trial_id", "tuner/bracket", "tuner/round")


@dataclass
class TrialRecord:
    """A trial.

    Attributes:
        number: counted from 1.
        values: the oracle's values, by the parameters' names.
        fields: the recipe's fields for these values.
        recipe: the complete recipe as plain values, with the batch size that was used in the end.
        epochs: the number of epochs to train; None for the recipe's.
        status: "running" (or interrupted), "done", "stopped early" or "failed".
        reason, detail: why it failed: "memory", "not finite", "crash", "hang" or "invalid"; a description.
        score: the objective after the last epoch.
        curve: the metrics of each epoch.
        seconds, images: spent on it, including failed attempts.
        attempts: the attempts that ran out of memory, each with its batch size.
        worker: the worker that ran it.
    """

    number: int
    values: dict[str, Any]
    fields: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    epochs: int | None = None
    status: str = RUNNING
    reason: str | None = None
    detail: str = ""
    score: float | None = None
    curve: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    images: int = 0
    attempts: list[dict[str, Any]] = field(default_factory=list)
    worker: str = ""

    @property
    def ended(self) -> bool:
        return self.status != RUNNING


def values_key(values: dict[str, Any]) -> str:
    """A key of values that train the same."""
    relevant = {name: value for name, value in values.items() if name not in BOOKKEEPING}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:8]


class Journal:
    """The records of a search, which several processes may write, in one folder per trial.

    `warn` takes a warning about a record that cannot be read.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None]):
        self.folder, self.warn = folder, warn

    def trial_folder(self, number: int, values: dict[str, Any]) -> Path:
        return self.folder / f"{number:04d}-{values_key(values)}"

    def write(self, record: TrialRecord) -> None:
        with atomic_write(self.trial_folder(record.number, record.values) / "trial.json") as file:
            file.write(json.dumps(asdict(record), indent=1).encode())

    def records(self) -> list[TrialRecord]:
        """All readable records, by number."""
        found = []
        for file in sorted(self.folder.glob("*/trial.json")):
            try:
                found.append(TrialRecord(**json.loads(file.read_bytes())))
            except (ValueError, TypeError) as error:
                self.warn(f"{file} is damaged ({error}) and is ignored; its trial may run again.")
        return found

    def find(self, values: dict[str, Any]) -> TrialRecord | None:
        """The record of a trial that trains the same; preferably one that ended."""
        key = values_key(values)
        found = [record for record in self.records() if values_key(record.values) == key]
        return max(found, key=lambda record: record.ended, default=None)

    def ranked(self, objective: Objective) -> list[TrialRecord]:
        """The trials that ended: the best first, the earlier of equal ones first, failed ones last."""
        ended = [record for record in self.records() if record.ended]
        return sorted(ended, key=lambda one: (one.score is None, -objective.sign * (one.score or 0), one.number))

    def remove_checkpoints(self, objective: Objective) -> None:
        """Removes the checkpoints of the trials that ended, and all models except the best one's."""
        for rank, record in enumerate(self.ranked(objective)):
            for run in self.trial_folder(record.number, record.values).glob("run/*"):
                shutil.rmtree(run / "checkpoints", ignore_errors=True)
                if rank or record.score is None:
                    (run / "model.keras").unlink(missing_ok=True)
