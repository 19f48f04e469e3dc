"""What a run's recipe.yaml holds."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from kerascnn.errors import InputError
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.recipe.validation import Count, checked_dataclass
from kerascnn.training.run_config import RunConfig

# Of the facts, which training and export may add to.
COUNTS = ("training_images", "validation_images", "skipped_files", "steps_per_epoch", "trainable_parameters")


@checked_dataclass("data")
class DataRecord:
    """Where a run's data are, and how they were loaded.

    Attributes:
        source, limit: those of `kerascnn.data.load`.
        options: those of `DataOptions` that were given.
    """

    source: str
    limit: Count | None = None
    options: dict[str, Any] = field(default_factory=dict)


@checked_dataclass()
class RunRecord:
    """A run: its recipe, its data, and what was found out.

    Attributes:
        recipe: with every value resolved.
        data: where they are.
        facts: the classes, numbers of images, steps and parameters, and more.
        run_config: the settings that do not change what is learned.
        versions: of Python and of the packages that compute.
        commit: of the checkout; None for an installation.

    Raises:
        InputError: an unknown or missing field, or a value of the wrong type or outside its range.

    Example:
        >>> RunFolder.open(path).read_record().data.source
        '/home/me/photos'
    """

    recipe: Recipe
    data: DataRecord
    facts: dict[str, Any]
    run_config: RunConfig = field(default_factory=RunConfig)
    versions: dict[str, Any] = field(default_factory=dict)
    commit: str | None = None

    def __post_init__(self):
        classes = self.facts.get("classes", [])
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
            raise InputError(f"facts.classes must be a list of names, not {classes!r}.")
        for name in COUNTS:
            if type(self.facts.get(name, 0)) is not int:
                raise InputError(f"facts.{name} must be a whole number, not {self.facts[name]!r}.")

    def fact(self, name: str) -> Any:
        """A fact; InputError if it is missing."""
        if name not in self.facts:
            raise InputError(f"the recipe.yaml of the run lacks facts.{name}.")
        return self.facts[name]
