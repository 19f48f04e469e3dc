"""A search's folder: its settings, and the records of its trials, which survive a damaged oracle."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic_core import to_jsonable_python

from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.pipeline.cache import Cache
from kerascnn.errors import InputError, writing
from kerascnn.files.atomic import atomic_text
from kerascnn.training.recipe.files import read_yaml
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.search.space import Space

TUNERS = ("hyperband", "bayesian", "random", "grid")
RUNNING, DONE, STOPPED, FAILED = "running", "done", "stopped early", "failed"
# Values by which Hyperband identifies a trial, and which do not change its training.
BOOKKEEPING = ("tuner/trial_id", "tuner/bracket", "tuner/round")


@dataclass(frozen=True)
class Objective:
    """A metric of a trial's last epoch: Keras' name, such as "val_main_top1", and the direction "max" or "min"."""

    name: str
    direction: str

    @property
    def sign(self) -> int:
        """1 if greater is better, else -1."""
        return 1 if self.direction == "max" else -1


@dataclass(frozen=True)
class TrialLimits:
    """Time limits of a trial; a trial that exceeds one hangs."""

    seconds: float | None = None  # for the whole trial; None for no limit
    seconds_per_step: float = 1800.0  # between two steps; startup and compilation count as one

    def __post_init__(self):
        for name, value in vars(self).items():
            if value is not None and not value > 0:
                raise InputError(f"the trial limit {name} must be above 0, not {value}.")


@dataclass(frozen=True)
class SearchConfig:
    """The settings of a search: those of `tune`, with every default filled in, and what follows from them."""

    recipe: Recipe
    space: Space
    data: str
    limit: int | None
    classes: int  # their number
    objective: Objective
    options: DataOptions = DataOptions()
    tuner: str = "hyperband"
    epochs: int = 1  # of a full trial, unless the space searches them
    max_trials: int | None = None
    budget: float | None = None
    seed: int = 0
    median_rule: bool = True
    limits: TrialLimits = field(default_factory=TrialLimits)
    devices: str = "one"
    cache: Cache = "none"
    initial_values: list[dict[str, Any]] = field(default_factory=list)  # the oracle's, for the first trials
    program: list[str] | None = None
    log: list[str] = field(default_factory=list)
    layout: str = ""  # how the data were recognized

    def budget_timer(self) -> Callable[[], bool]:
        """Starts the budget; the returned function says whether it is used up."""
        end = time.monotonic() + self.budget if self.budget else float("inf")
        return lambda: time.monotonic() > end


class SearchFolder:
    """`searches/<model>-<data>-<time>/`: the settings, the best recipe, the trials and TensorBoard's files."""

    def __init__(self, path: Path):
        self.path = path
        self.config_file, self.best_file = path / "search.yaml", path / "best.yaml"
        self.trials, self.tensorboard = path / "trials", path / "tensorboard"

    @staticmethod
    def create(searches: Path, name: str | None, config: SearchConfig, data_name: str) -> SearchFolder:
        """Writes the settings into a new folder below `searches`; InputError if it exists or cannot be written."""
        stem = name or f"{config.recipe.model}-{data_name}-{time.strftime('%Y%m%d-%H%M%S')}"
        folder = SearchFolder(searches / stem)
        if folder.config_file.exists():
            raise InputError(f"{folder.path} contains a search already; continue it with --resume {folder.path}.")
        with writing(searches):
            folder.write_config(config)
        return folder

    @staticmethod
    def open(path: Path) -> SearchFolder:
        """The folder of an earlier search; raises InputError if it is not one."""
        folder = SearchFolder(path)
        if not folder.config_file.is_file():
            raise InputError(f"{path} is not the folder of a search: it contains no search.yaml.")
        return folder

    def write_config(self, config: SearchConfig) -> None:
        options = {"space": config.space.source, "options": config.options.to_dict()}
        values = {**to_jsonable_python(replace(config, space=None)), **options}
        atomic_text(self.config_file, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))

    def read_config(self) -> SearchConfig:
        """Reads the settings; raises InputError if the file is damaged."""
        values = read_yaml(self.config_file)
        try:
            recipe = Recipe.from_dict(values["recipe"], str(self.config_file))
            read = {
                "recipe": recipe,
                "space": Space.from_dict(values["space"], recipe),
                "objective": Objective(**values["objective"]),
                "limits": TrialLimits(**values["limits"]),
                "options": DataOptions.from_dict(values.get("options", {})),
            }
            return SearchConfig(**{**values, **read})
        except (KeyError, TypeError) as error:
            raise InputError(f"{self.config_file} is damaged: {error}.") from None


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
        file = self.trial_folder(record.number, record.values) / "trial.json"
        atomic_text(file, json.dumps(asdict(record), indent=1))

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
