"""What a search makes greatest or least."""

from __future__ import annotations

from dataclasses import dataclass

from kerascnn.errors import InputError, closest
from kerascnn.training.assembly import MAIN
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.search.drafts import draft

# Keras' usual name of the figure that is called top1 here.
ALSO = {"accuracy": "top1"}


@dataclass(frozen=True)
class Objective:
    """A figure of the last epoch of a trial.

    Attributes:
        name: as Keras reports it, such as "val_main_top1".
        direction: "max" or "min".
    """

    name: str
    direction: str

    def better(self, one: float, other: float) -> bool:
        """Whether `one` is better than `other`."""
        return one > other if self.direction == "max" else one < other

    @property
    def worst(self) -> float:
        """What any number is better than."""
        return float("-inf") if self.direction == "max" else float("inf")


def objective_for(recipe: Recipe, classes: int, name: str | None = None) -> Objective:
    """The objective of this name, or the main classifier's accuracy on the images that are held out.

    Args:
        recipe: whose network reports it.
        classes: of the data.
        name: such as "val_loss"; accuracy may be written for top1. Losses are made least, accuracies greatest.

    Raises:
        InputError: the network does not report it.

    Example:
        >>> objective_for(Recipe.for_model("googlenet"), 10, "val_main_accuracy")
        Objective(name='val_main_top1', direction='max')
    """
    reported = figures_of(recipe, classes)
    if name is None:
        name = f"val_{MAIN}_top1" if f"val_{MAIN}_top1" in reported else "val_top1"
    head, _, last = name.rpartition("_")
    known = f"{head}_{ALSO.get(last, last)}" if head else ALSO.get(last, last)
    if known not in reported:
        raise InputError(f"a training of {recipe.model} does not report '{name}'; {closest(name, reported)}")
    return Objective(known, "min" if last == "loss" else "max")


def figures_of(recipe: Recipe, classes: int) -> list[str]:
    """The names of the figures that every epoch of a training reports."""
    outputs = draft(recipe, classes).outputs
    metrics = ["loss", "top1", *(["top5"] if classes > 5 else [])]
    heads = [f"{output}_{metric}" for output in outputs or () for metric in metrics]
    names = ["loss", *heads] if outputs else metrics
    return [*names, *(f"val_{name}" for name in names)]
