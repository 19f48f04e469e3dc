"""The experiments of the papers, as data that experiments.yaml lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from kerascnn.errors import InputError, closest
from kerascnn.training.recipe.files import read_yaml
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.recipe.validation import validated

AccuracyMetric = Literal["training accuracy", "top-1 accuracy"]


@dataclass(frozen=True)
class Arm:
    """One of the trainings that an experiment compares."""

    name: str  # in tables, plots and folders
    model: str = ""  # the network; empty if the scale names one for all arms
    settings: tuple[str, ...] = ()  # the arm's difference from the others, for `Recipe.with_settings`
    learning_rate_times: float = 1.0  # a factor on the recipe's learning rate
    published: str = "–"  # the paper's result, as text
    recipe: str = ""  # replaces the scale's
    pretrained: bool = False  # of a transfer: begins with the weights
    taught_by: str = ""  # the arm before, of the same seed, that teaches this one (`training.distill`); empty for none


@dataclass(frozen=True)
class Scale:
    """The size of an experiment."""

    # Of all arms; FEW_IMAGES for each arm's network's own for few images, empty for its paper's.
    recipe: str = ""
    model: str = ""  # the network of arms that name none
    settings: tuple[str, ...] = ()  # changes of the recipe
    data: str | None = None  # the default source of images; None if the user must name one
    limit: int | None = None  # the maximal number of images
    seeds: tuple[int, ...] = (0,)  # every arm is trained with each
    omitted: tuple[str, ...] = ()  # the names of arms that are not trained


@dataclass(frozen=True)
class Claim:
    """A claim of the paper: the arm `better` has a greater final accuracy than the arm `worse`."""

    text: str
    better: str
    worse: str
    metric: AccuracyMetric = "top-1 accuracy"


@dataclass(frozen=True)
class Experiment:
    """An experiment of a paper."""

    about: str  # the question, in one line
    paper: str  # authors, title, year, and the section of the results
    published_on: str  # the data and protocol of the published results
    arms: tuple[Arm, ...]  # in the order of training
    full: Scale
    small: Scale | None = None  # None if nothing can be shown on a CPU
    small_cannot: str = ""  # what the small scale, or a CPU, cannot show, and why; empty if there is nothing
    claims: tuple[Claim, ...] = ()  # the paper's claims about two arms
    # The kind of table: "accuracies" by arm; "slopes", with those that PReLUs learned; "folding" of batch normalization
    # into the layers before it; "crops", accuracies by the number of models and crops; "transfer", accuracies and
    # seconds by images per class.
    measure: Literal["accuracies", "slopes", "folding", "crops", "transfer"] = "accuracies"
    # Of a transfer: training images per class, with the epochs of a training from scratch.
    images_per_class: dict[int, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # further statements of the paper, and differences of this experiment

    def scale(self, name: str) -> Scale:
        """The scale called "small" or "full"; raises InputError for other names, and if there is no small one."""
        if name not in ("small", "full"):
            raise InputError(f"an experiment has the scales 'small' and 'full', not '{name}'.")
        if name == "small" and self.small is None:
            raise InputError(
                f"this experiment has no small scale: it cannot show {self.small_cannot}; use --scale full."
            )
        return self.full if name == "full" else self.small

    def arms_at(self, scale: Scale) -> list[Arm]:
        """The arms that are trained at a scale."""
        return [arm for arm in self.arms if arm.name not in scale.omitted]


FEW_IMAGES = "few images"
FILE = Path(__file__).with_name("experiments.yaml")
EXPERIMENTS = {name: validated(Experiment, values, name) for name, values in read_yaml(FILE).items()}


def find(name: str) -> Experiment:
    """The experiment called `name`; raises InputError if there is none.

    Example:
        >>> find("depth").arms[0].name
        'ResNet-20'
    """
    if name not in EXPERIMENTS:
        raise InputError(f"there is no experiment '{name}'; {closest(name, EXPERIMENTS)}")
    return EXPERIMENTS[name]


def recipe_of(arm: Arm, scale: Scale, seed: int, settings: Iterable[str] = ()) -> Recipe:
    """The recipe of an arm, with further changes for `Recipe.with_settings`.

    Example:
        >>> degradation = EXPERIMENTS["degradation"]
        >>> recipe_of(degradation.arms[0], degradation.full, seed=0).iterations
        64000
    """
    model = arm.model or scale.model
    name = arm.recipe or scale.recipe or model
    recipe = Recipe.for_model(model) if name == FEW_IMAGES else Recipe.load(name)
    recipe = recipe.with_values(model=model, seed=seed)
    recipe = recipe.with_settings((*scale.settings, *arm.settings, *settings))
    learning_rate = recipe.optimizer.learning_rate * arm.learning_rate_times
    return replace(recipe, optimizer=replace(recipe.optimizer, learning_rate=learning_rate))
