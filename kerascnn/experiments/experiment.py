"""The definition of an experiment, as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from kerascnn.errors import InputError
from kerascnn.training.recipe.recipe import Recipe

ErrorMetric = Literal["training error", "top-1 error"]


@dataclass(frozen=True)
class Arm:
    """One of the trainings that an experiment compares.

    Attributes:
        name: in tables, plots and folders.
        model: the network; empty if the scale names one for all arms.
        settings: the arm's difference from the others, for `Recipe.with_settings`.
        learning_rate_times: a factor on the recipe's learning rate.
        published: the paper's result, as text.
    """

    name: str
    model: str = ""
    settings: tuple[str, ...] = ()
    learning_rate_times: float = 1.0
    published: str = "–"


@dataclass(frozen=True)
class Scale:
    """The size of an experiment.

    Attributes:
        recipe: of all arms; empty for the paper's recipe of each arm's network.
        model: the network of arms that name none.
        settings: changes of the recipe.
        data: the default source of images; None if the user must name one.
        limit: the maximal number of images.
        seeds: every arm is trained with each.
    """

    recipe: str = ""
    model: str = ""
    settings: tuple[str, ...] = ()
    data: str | None = None
    limit: int | None = None
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Claim:
    """A claim of the paper: the arm `better` has a smaller final error than the arm `worse`."""

    text: str
    better: str
    worse: str
    metric: ErrorMetric = "top-1 error"


@dataclass(frozen=True)
class Experiment:
    """An experiment of a paper.

    Attributes:
        about: the question, in one line.
        paper: authors, title, year, and the section of the results.
        published_on: the data and protocol of the published results.
        arms: in the order of training.
        small, full: the two scales.
        claims: the paper's claims about two arms.
        small_cannot: what the small scale cannot show, and why; empty if there is nothing.
        measure: the kind of table: "errors" by arm; "folding" of batch normalization into the layers before it;
            "crops", errors by the number of models and crops.
        notes: further statements of the paper, and differences of this experiment.
    """

    about: str
    paper: str
    published_on: str
    arms: tuple[Arm, ...]
    small: Scale
    full: Scale
    small_cannot: str = ""
    claims: tuple[Claim, ...] = ()
    measure: Literal["errors", "folding", "crops"] = "errors"
    notes: tuple[str, ...] = ()

    def scale(self, name: str) -> Scale:
        """The scale called "small" or "full"; raises InputError for other names."""
        if name not in ("small", "full"):
            raise InputError(f"an experiment has the scales 'small' and 'full', not '{name}'.")
        return self.small if name == "small" else self.full


def recipe_of(arm: Arm, scale: Scale, seed: int, settings: Iterable[str] = ()) -> Recipe:
    """The recipe of an arm, with further changes for `Recipe.with_settings`.

    Example:
        >>> degradation = EXPERIMENTS["degradation"]
        >>> recipe_of(degradation.arms[0], degradation.full, seed=0).iterations
        64000
    """
    model = arm.model or scale.model
    recipe = Recipe.load(scale.recipe or model).with_values(model=model, seed=seed)
    recipe = recipe.with_settings((*scale.settings, *arm.settings, *settings))
    learning_rate = recipe.optimizer.learning_rate * arm.learning_rate_times
    return replace(recipe, optimizer=replace(recipe.optimizer, learning_rate=learning_rate))
