"""What became of every trial, a file each: the memory of a search, whatever happens to its oracle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kerascnn.files.atomic import atomic_write

RUNNING, DONE, STOPPED, FAILED = "running", "done", "stopped early", "failed"

# Why a trial failed.
MEMORY, NOT_FINITE, CRASH, HANG, INVALID = "memory", "not finite", "crash", "hang", "invalid"

# What Hyperband notes about a trial without changing what is trained.
BOOKKEEPING = ("tuner/trial_id", "tuner/bracket", "tuner/round")


@dataclass
class Record:
    """A trial.

    Attributes:
        number: counted from 1.
        values: what the oracle gave, by the parameters' names.
        fields: the recipe's fields that they stand for.
        recipe: all of it, as plain values; with the batch that was trained with in the end.
        epochs: how many it was to train, None for the recipe's.
        status: "running" (or interrupted), "done", "stopped early" or "failed".
        reason, detail: why it failed: "memory", "not finite", "crash", "hang" or "invalid", and in words.
        score: the objective after the last epoch.
        curve: the figures of each epoch.
        seconds, images: spent on it, on failed attempts too.
        attempts: the attempts that ran out of memory, each with its batch.
        worker: who ran it.
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
    def key(self) -> str:
        """What two trials have in common if they train the same."""
        return key_of(self.values)

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to do."""
        return self.status != RUNNING


def key_of(values: dict[str, Any]) -> str:
    """A name for values that train the same.

    Example:
        >>> key_of({"batch_size": 8, "tuner/round": 1}) == key_of({"batch_size": 8})
        True
    """
    telling = {name: value for name, value in values.items() if name not in BOOKKEEPING}
    return hashlib.sha256(json.dumps(telling, sort_keys=True).encode()).hexdigest()[:8]


class Journal:
    """The records of a search, which several processes may write.

    Args:
        folder: gets a folder a trial.
        tell: takes a sentence about a record that cannot be read.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None]):
        self.folder = folder
        self.tell = tell

    def place(self, number: int, values: dict[str, Any]) -> Path:
        """The folder of a trial."""
        return self.folder / f"{number:04d}-{key_of(values)}"

    def write(self, record: Record) -> None:
        """Writes a record; it is whole at every moment."""
        with atomic_write(self.place(record.number, record.values) / "trial.json") as file:
            file.write(json.dumps(asdict(record), indent=1).encode())

    def records(self) -> list[Record]:
        """All that can be read, by their numbers."""
        found = []
        for file in sorted(self.folder.glob("*/trial.json")):
            try:
                found.append(Record(**json.loads(file.read_bytes())))
            except (ValueError, TypeError) as error:
                self.tell(f"{file} is damaged ({error}) and is left out; its trial may run again.")
        return found

    def find(self, values: dict[str, Any]) -> Record | None:
        """The record of the trial that trained, or was to train, with the same values; an ended one rather."""
        key = key_of(values)
        found = [record for record in self.records() if record.key == key]
        return max(found, key=lambda record: record.ended, default=None)
