"""What an experiment is: data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from kerascnn.errors import InputError
from kerascnn.training.recipe.recipe import Recipe

Figure = Literal["training error", "top-1 error"]


@dataclass(frozen=True)
class Arm:
    """One of the trainings that are set beside each other.

    Attributes:
        name: in tables, plots and folders.
        model: the network; empty where the scale names one for all arms.
        settings: what distinguishes the arm, as `Recipe.with_settings` takes it.
        learning_rate_times: what the recipe's learning rate is multiplied by.
        published: the paper's figure, as it is to be printed.
    """

    name: str
    model: str = ""
    settings: tuple[str, ...] = ()
    learning_rate_times: float = 1.0
    published: str = "–"


@dataclass(frozen=True)
class Scale:
    """How large an experiment is run.

    Attributes:
        recipe: of all arms; empty for the paper's recipe of each arm's network.
        model: the network of the arms that name none.
        settings: what is changed in the recipe.
        data: where the images come from where the user does not say; None where the user has to.
        limit: the most images.
        seeds: a training of every arm for each.
    """

    recipe: str = ""
    model: str = ""
    settings: tuple[str, ...] = ()
    data: str | None = None
    limit: int | None = None
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Claim:
    """What the paper says of two arms: one has the smaller error.

    Attributes:
        words: the claim, as a sentence without its full stop.
        better, worse: the arms' names.
        figure: which error, at the end of the training.
    """

    words: str
    better: str
    worse: str
    figure: Figure = "top-1 error"


@dataclass(frozen=True)
class Experiment:
    """An experiment of a paper.

    Attributes:
        about: what is asked, in a line.
        paper: authors, title, year and the place of the figures.
        published_on: what the published figures are of.
        arms: in the order in which they are run.
        small, full: the two scales.
        claims: what is compared.
        small_cannot: what the small scale cannot show, and why; empty where there is nothing.
        measure: what the table is of: "errors"; "folding", batch normalization worked into the layers before it;
            "crops", errors by the number of models and crops.
        remarks: what the paper says in words, or does otherwise than this experiment.
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
    remarks: tuple[str, ...] = ()

    def scale(self, name: str) -> Scale:
        """The scale called "small" or "full".

        Raises:
            InputError: there is no such scale.
        """
        if name not in ("small", "full"):
            raise InputError(f"an experiment has the scales 'small' and 'full', not '{name}'.")
        return self.small if name == "small" else self.full


def recipe_of(arm: Arm, scale: Scale, seed: int, settings: Iterable[str] = ()) -> Recipe:
    """What an arm is trained by.

    Args:
        arm, scale: of one experiment.
        seed: of everything random.
        settings: more changes, as `Recipe.with_settings` takes them.

    Example:
        >>> degradation = EXPERIMENTS["degradation"]
        >>> recipe_of(degradation.arms[0], degradation.full, seed=0).iterations
        64000
    """
    model = arm.model or scale.model
    recipe = Recipe.load(scale.recipe or model).with_values(model=model, seed=seed)
    recipe = recipe.with_settings((*scale.settings, *arm.settings, *settings))
    rate = recipe.optimizer.learning_rate * arm.learning_rate_times
    return replace(recipe, optimizer=replace(recipe.optimizer, learning_rate=rate))
