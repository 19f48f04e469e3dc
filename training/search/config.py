"""The settings of a search, and the folder that stores them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.pipeline.cache import Cache
from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_write
from kerascnn.training.recipe.files import read_yaml
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.search.space import Space

TUNERS = ("hyperband", "bayesian", "random", "grid")


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
    """Time limits of a trial; a trial that exceeds one hangs.

    Attributes:
        seconds: for the whole trial; None for no limit.
        seconds_per_step: between two steps; startup and compilation count as one.
    """

    seconds: float | None = None
    seconds_per_step: float = 1800.0

    def __post_init__(self):
        for name, value in vars(self).items():
            if value is not None and not value > 0:
                raise InputError(f"the trial limit {name} must be above 0, not {value}.")


@dataclass(frozen=True)
class SearchConfig:
    """The settings of a search.

    Attributes:
        recipe, space, data, limit, objective, options, tuner, max_trials, budget, seed, median_rule, limits, devices,
            cache, program: as for `tune`, with every default filled in.
        classes: the number of classes.
        epochs: the length of a full trial, unless the space searches it.
        initial_values: the oracle's values for the first trials.
    """

    recipe: Recipe
    space: Space
    data: str
    limit: int | None
    classes: int
    objective: Objective
    options: DataOptions = DataOptions()
    tuner: str = "hyperband"
    epochs: int = 1
    max_trials: int | None = None
    budget: float | None = None
    seed: int = 0
    median_rule: bool = True
    limits: TrialLimits = field(default_factory=TrialLimits)
    devices: str = "one"
    cache: Cache = "none"
    initial_values: list[dict[str, Any]] = field(default_factory=list)
    program: list[str] | None = None

    def budget_timer(self) -> Callable[[], bool]:
        """Starts the budget; the returned function says whether it is used up."""
        end = time.monotonic() + self.budget if self.budget else float("inf")
        return lambda: time.monotonic() > end


@dataclass(frozen=True)
class SearchFolder:
    """`searches/<model>-<data>-<time>/`: the settings, the best recipe, the trials and TensorBoard's files."""

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / "search.yaml"

    @property
    def best_file(self) -> Path:
        return self.path / "best.yaml"

    @property
    def trials(self) -> Path:
        return self.path / "trials"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @staticmethod
    def create(searches: Path, name: str | None, config: SearchConfig, data_name: str) -> SearchFolder:
        """Writes the settings into a new folder below `searches`; InputError if it exists or cannot be written."""
        stem = name or f"{config.recipe.model}-{data_name}-{time.strftime('%Y%m%d-%H%M%S')}"
        folder = SearchFolder(searches / stem)
        if folder.config_file.exists():
            raise InputError(f"{folder.path} contains a search already; continue it with --resume {folder.path}.")
        try:
            folder.write_config(config)
        except OSError as error:
            raise InputError(f"{searches} cannot be written: {error.strerror}.") from None
        return folder

    @staticmethod
    def open(path: Path) -> SearchFolder:
        """The folder of an earlier search; raises InputError if it is not one."""
        folder = SearchFolder(path)
        if not folder.config_file.is_file():
            raise InputError(f"{path} is not the folder of a search: it contains no search.yaml.")
        return folder

    def write_config(self, config: SearchConfig) -> None:
        import yaml

        values = {**vars(config), "recipe": config.recipe.to_dict(), "space": config.space.source}
        values |= {
            "objective": asdict(config.objective),
            "limits": asdict(config.limits),
            "options": config.options.to_dict(),
        }
        with atomic_write(self.config_file) as file:
            file.write(yaml.safe_dump(values, sort_keys=False, allow_unicode=True).encode())

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
