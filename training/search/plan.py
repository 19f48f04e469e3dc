"""What a search is to do, as it is written into its folder."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from kerascnn.data.pipeline.cache import Cache
from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_write
from kerascnn.training.recipe.files import read_yaml
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.search.objective import Objective
from kerascnn.training.search.processes import TrialLimits
from kerascnn.training.search.space import Space

Tuner = Literal["hyperband", "bayesian", "random", "grid"]
TUNERS: tuple[str, ...] = ("hyperband", "bayesian", "random", "grid")

# Is followed by the trial's folder.
PROGRAM = (sys.executable, "-m", "kerascnn.training.search.trial_program")


@dataclass(frozen=True)
class SearchConfig:
    """A search.

    Attributes:
        recipe: in which the fields of the space are changed.
        space: what is searched.
        data, limit: the source, and how many images of it, for every trial.
        classes: of the data.
        objective: what is made greatest or least.
        tuner: who proposes trials.
        epochs: of a whole trial, where the space does not search it.
        max_trials: after how many no more begin; None for no limit.
        budget: after how many seconds of one session no more begin, and those that run are stopped; None for none.
        seed: of what the tuner draws.
        median_rule: whether poor trials are stopped early.
        limits: when a trial hangs.
        devices: of a trial: "one" for a GPU, else the processor; or as `choose_devices` takes it.
        cache: see `RunConfig`.
        first: values that are tried before all others.
        program: what runs a trial, before its folder; None for this Python.
    """

    recipe: Recipe
    space: Space
    data: str
    limit: int | None
    classes: int
    objective: Objective
    tuner: str = "hyperband"
    epochs: int = 1
    max_trials: int | None = None
    budget: float | None = None
    seed: int = 0
    median_rule: bool = True
    limits: TrialLimits = field(default_factory=TrialLimits)
    devices: str = "one"
    cache: Cache = "none"
    first: list[dict[str, Any]] = field(default_factory=list)
    program: list[str] | None = None

    def command(self, folder: Path) -> list[str]:
        """What runs the trial of a folder."""
        return [*(self.program or PROGRAM), str(folder)]


@dataclass(frozen=True)
class SearchFolder:
    """`searches/<model>-<data>-<time>/`.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def plan_file(self) -> Path:
        return self.path / "search.yaml"

    @property
    def trials(self) -> Path:
        return self.path / "trials"

    @property
    def best_file(self) -> Path:
        return self.path / "best.yaml"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @staticmethod
    def create(searches: Path, name: str | None, plan: SearchConfig, data_name: str) -> SearchFolder:
        """A new folder below `searches`, with its plan.

        Raises:
            InputError: there is one of this name, or it cannot be written.
        """
        stem = name or f"{plan.recipe.model}-{data_name}-{time.strftime('%Y%m%d-%H%M%S')}"
        folder = SearchFolder(searches / stem)
        if folder.plan_file.exists():
            raise InputError(f"{folder.path} holds a search already; go on with it by --resume {folder.path}.")
        try:
            folder.write_plan(plan)
        except OSError as error:
            raise InputError(f"{searches} cannot be written: {error.strerror}.") from None
        return folder

    @staticmethod
    def open(path: Path) -> SearchFolder:
        """A folder that an earlier search left.

        Raises:
            InputError: it is none.
        """
        folder = SearchFolder(path)
        if not folder.plan_file.is_file():
            raise InputError(f"{path} is not the folder of a search: it holds no search.yaml.")
        return folder

    def write_plan(self, plan: SearchConfig) -> None:
        """Writes the plan; it is whole at every moment."""
        import yaml

        values = {**vars(plan), "recipe": plan.recipe.to_dict(), "space": plan.space.source}
        values |= {"objective": asdict(plan.objective), "limits": asdict(plan.limits)}
        with atomic_write(self.plan_file) as file:
            file.write(yaml.safe_dump(values, sort_keys=False, allow_unicode=True).encode())

    def read_plan(self) -> SearchConfig:
        """The plan that was written.

        Raises:
            InputError: the file was damaged.
        """
        values = read_yaml(self.plan_file)
        try:
            recipe = Recipe.from_dict(values["recipe"], str(self.plan_file))
            read = {
                "recipe": recipe,
                "space": Space.from_dict(values["space"], recipe),
                "objective": Objective(**values["objective"]),
                "limits": TrialLimits(**values["limits"]),
            }
            return SearchConfig(**{**values, **read})
        except (KeyError, TypeError) as error:
            raise InputError(f"{self.plan_file} is damaged: {error}.") from None
