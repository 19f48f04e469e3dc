"""A recipe: every hyper-parameter of a training, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kerascnn.applications import registry
from kerascnn.data.augment.augmentation import Augmentation
from kerascnn.errors import InputError, closest
from kerascnn.training.recipe.fields import (
    About,
    AuxiliaryHeads,
    Averaging,
    Evaluation,
    FineTuning,
    Initialization,
    Optimizer,
    Pixels,
    Schedule,
)
from kerascnn.training.recipe.files import FOLDER, LENGTHS, assignments, file_names, overlaid, read_recipe, typed

Precision = Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"]


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a training but the data.

    Attributes:
        about: where the recipe comes from.
        model: a name of `kerascnn.applications.list_models()`.
        model_arguments: extras for its builder.
        image_size: height and width in pixels; None for the paper's.
        epochs: passes over the training images.
        iterations: the length in steps of the optimizer instead; the last epoch is run to its end.
        batch_size: images a step, over all devices.
        seed: of initialization, order, augmentation and dropout.
        precision: "auto" takes float16 on a GPU, bfloat16 on a processor with such instructions, else float32.
        optimizer, schedule, averaging, initialization, pixels, fine_tuning, augmentation, auxiliary_heads, evaluation:
            see there.
        class_weights: "balanced" lets every class count the same in the loss, however many images it has.
        label_smoothing: the share of a label's weight that is spread over all classes.
        synchronized_normalization: whether batch normalization on several devices takes the statistics of the whole
            batch, instead of each device's those of its share.

    Example:
        >>> Recipe.load("resnet_small").with_values(model="resnet56", epochs=30)
    """

    about: About = field(default_factory=About)
    model: str = "resnet20"
    model_arguments: dict[str, Any] = field(default_factory=dict)
    image_size: int | None = None
    epochs: int = 12
    iterations: int | None = None
    batch_size: int = 64
    seed: int = 0
    precision: Precision = "auto"
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    averaging: Averaging = field(default_factory=Averaging)
    initialization: Initialization = field(default_factory=Initialization)
    pixels: Pixels = field(default_factory=Pixels)
    fine_tuning: FineTuning = field(default_factory=FineTuning)
    augmentation: Augmentation = field(default_factory=Augmentation)
    auxiliary_heads: AuxiliaryHeads = field(default_factory=AuxiliaryHeads)
    evaluation: Evaluation = field(default_factory=Evaluation)
    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: float = 0.0
    synchronized_normalization: bool = False

    def __post_init__(self):
        registry.info(self.model)
        for name in (*LENGTHS, "batch_size", "image_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}.")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"seed must be from 0 to 2147483647, not {self.seed}.")
        if self.class_weights not in ("none", "balanced"):
            raise InputError(f"class_weights must be 'none' or 'balanced', not '{self.class_weights}'.")
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"label_smoothing must be from 0 to less than 1, not {self.label_smoothing}.")

    @staticmethod
    def load(name: str | Path) -> Recipe:
        """A recipe of the package by name, the paper's recipe of a network by the network's, or a YAML file.

        Raises:
            InputError: no such recipe or file, or a field that is unknown or of the wrong type.

        Example:
            >>> Recipe.load("resnet50").optimizer.weight_decay
            0.0001
        """
        path = FOLDER / f"{name}.yaml"
        if path.exists():
            return Recipe.from_dict(read_recipe(path), path.name)
        path = Path(name)
        if path.suffix in (".yaml", ".yml"):
            return Recipe.from_dict(read_recipe(path), path.name)
        network = _network(str(name))
        if network is None:
            raise InputError(f"there is no recipe '{name}'; {closest(str(name), [*file_names(), *registry.REGISTRY])}")
        return _of_paper(network)

    @staticmethod
    def for_model(model: str) -> Recipe:
        """The recipe that a network is trained with where none is named."""
        return Recipe.load(registry.info(model).recipe).with_values(model=model)

    @staticmethod
    def from_dict(values: dict[str, Any], origin: str) -> Recipe:
        """A recipe from nested plain values; `origin` is for error sentences."""
        return typed(Recipe, values, origin)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, fit for YAML."""
        return _plain(dataclasses.asdict(self))

    def to_yaml(self) -> str:
        """The text of a file that `load` reads the same recipe from."""
        import yaml

        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True, width=120)

    def with_values(self, **values: Any) -> Recipe:
        """The recipe with some fields changed; None leaves a field as it is."""
        given = {name: value for name, value in values.items() if value is not None}
        if "epochs" in given:
            given.setdefault("iterations", None)
        return dataclasses.replace(self, **given)

    def with_settings(self, settings: Iterable[str]) -> Recipe:
        """The recipe with fields changed as a command line says it.

        Args:
            settings: texts such as "optimizer.learning_rate=0.05"; the values are YAML.

        Raises:
            InputError: a text that is no setting, or a field that is unknown or of the wrong type.

        Example:
            >>> Recipe.load("resnet_small").with_settings(["optimizer.nesterov=false"]).optimizer.nesterov
            False
        """
        return Recipe.from_dict(overlaid(self.to_dict(), assignments(settings)), "--set")

    @property
    def peak_learning_rate(self) -> float:
        """The learning rate for this batch, before the schedule."""
        return self.optimizer.peak(self.batch_size)

    def steps(self, steps_per_epoch: int) -> int:
        """The length in steps of the optimizer."""
        return self.iterations or self.epochs * steps_per_epoch


def recipes() -> dict[str, Recipe]:
    """Every recipe of the package by name: the papers', the modern ones, those for few images, for fine-tuning."""
    found = {name: Recipe.load(name) for name in file_names()}
    order = ("paper", "modern", "small", "transfer")
    return dict(sorted(found.items(), key=lambda item: (order.index(item[1].about.kind), item[0])))


def _network(name: str) -> str | None:
    try:
        return registry.canonical(name)
    except InputError:
        return None


def _of_paper(network: str) -> Recipe:
    for file in file_names():
        about = read_recipe(FOLDER / f"{file}.yaml").get("about", {})
        if about.get("kind") == "paper" and network in about["networks"]:
            return Recipe.load(file).with_values(model=network)
    raise InputError(f"there is no published recipe for {network}; Recipe.for_model gives the one for few images.")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
