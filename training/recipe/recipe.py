"""A recipe: every hyperparameter of a training, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, Strict
from pydantic_core import to_jsonable_python

from kerascnn.applications import registry
from kerascnn.data.augment.augmentation import Augmentation
from kerascnn.errors import InputError, closest
from kerascnn.image_shape import RGB, ImageSize
from kerascnn.training.recipe import fields
from kerascnn.training.recipe.files import FOLDER, assignments, file_names, overlaid, read_recipe
from kerascnn.training.recipe.validation import Count, Fraction, checked_dataclass, validated


@checked_dataclass()
class Recipe:
    """Everything that determines a training except the data.

    Attributes:
        about: the source of the recipe.
        model: a name of `kerascnn.applications.list_models()`.
        model_arguments: additional arguments of its builder.
        task: "single-label", one class per image, by softmax; "multi-label", any number of classes per image, by
            sigmoid and binary cross-entropy. "auto" is that of the data, which a training records; without data it is
            "single-label".
        image_size: height and width in pixels: one number for both, or [height, width]; None for the paper's.
        channels: of the images that the network takes: 3 for RGB, 1 for gray; None for those of the pretrained weights'
            images, else 3.
        epochs: passes over the training images.
        early_stopping: stops when the validation accuracy, or mAP, has had no new maximum for so many epochs; 0 for
            never.
        iterations: the length in steps of the optimizer instead; the last epoch is completed.
        batch_size: images per step, over all devices.
        seed: of initialization, order, augmentation and dropout.
        precision: "auto" chooses float16 on a GPU with tensor cores, bfloat16 on a CPU with such instructions, else
            float32.
        optimizer, schedule, averaging, initialization, pixels, fine_tuning, augmentation, auxiliary_heads,
            distillation, evaluation: see these classes.
        class_weights: "balanced" gives every class the same weight in the loss, however many images it has; of
            multi-label data, the images with a class and those without it.
        sampling: "balanced" draws as many images of every class in each epoch, those of small classes several times;
            "uniform" draws every image once.
        label_smoothing: the fraction of a label's weight that is spread over all classes; of multi-label data, the
            fraction of the way from 0 or 1 to 0.5.
        synchronized_normalization: whether batch normalization on several devices uses the statistics of the whole
            batch instead of each device's share.

    Raises:
        InputError: an unknown field or network, or a value of the wrong type or outside its range.

    Example:
        >>> Recipe.load("resnet_small").with_values(model="resnet56", epochs=30)
    """

    about: fields.About = field(default_factory=fields.About)
    model: str = "resnet20"
    model_arguments: dict[str, Any] = field(default_factory=dict)
    task: Literal["auto", "single-label", "multi-label"] = "auto"
    image_size: Count | Annotated[tuple[Count, Count], Strict(False)] | None = None
    channels: Literal[1, 3] | None = None
    epochs: Count = 12
    early_stopping: Annotated[int, Field(ge=0)] = 0
    iterations: Count | None = None
    batch_size: Count = 64
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    precision: Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"] = "auto"
    optimizer: fields.Optimizer = field(default_factory=fields.Optimizer)
    schedule: fields.Schedule = field(default_factory=fields.Schedule)
    averaging: fields.Averaging = field(default_factory=fields.Averaging)
    initialization: fields.Initialization = field(default_factory=fields.Initialization)
    pixels: fields.Pixels = field(default_factory=fields.Pixels)
    fine_tuning: fields.FineTuning = field(default_factory=fields.FineTuning)
    augmentation: Augmentation = field(default_factory=Augmentation)
    auxiliary_heads: fields.AuxiliaryHeads = field(default_factory=fields.AuxiliaryHeads)
    distillation: fields.Distillation = field(default_factory=fields.Distillation)
    evaluation: fields.Evaluation = field(default_factory=fields.Evaluation)
    class_weights: Literal["none", "balanced"] = "none"
    sampling: Literal["uniform", "balanced"] = "uniform"
    label_smoothing: Fraction = 0.0
    synchronized_normalization: bool = False

    def __post_init__(self):
        registry.info(self.model)
        if self.sampling == self.class_weights == "balanced":
            raise InputError("sampling and class_weights are both balanced, which counts small classes twice; set one.")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the network's images; the image size must be resolved."""
        return *ImageSize.of(self.image_size), self.channels or RGB

    @property
    def balances_classes(self) -> bool:
        """Whether every class counts the same, however many images it has, by weights or by sampling."""
        return "balanced" in (self.class_weights, self.sampling)

    @staticmethod
    def load(name: str | Path) -> Recipe:
        """Loads a recipe of the package, the paper's recipe of a network, or a YAML file.

        Args:
            name: of a recipe or of a network, or the path of a file that ends in .yaml or .yml.

        Raises:
            InputError: no such recipe or file, or a field that is unknown or of the wrong type.

        Example:
            >>> Recipe.load("resnet50").optimizer.weight_decay
            0.0001
        """
        path = FOLDER / f"{name}.yaml"
        if not path.exists():
            path = Path(name)
        if path.suffix in (".yaml", ".yml"):
            return Recipe.from_dict(read_recipe(path), path.name)
        try:
            network = registry.canonical(str(name))
        except InputError:
            known = [*file_names(), *registry.REGISTRY]
            raise InputError(f"there is no recipe '{name}'; {closest(str(name), known)}") from None
        return _paper_recipe(network)

    @staticmethod
    def for_model(model: str) -> Recipe:
        """The default recipe of a network."""
        return Recipe.load(registry.info(model).recipe).with_values(model=model)

    @staticmethod
    def from_dict(values: dict[str, Any], source: str) -> Recipe:
        """A recipe from nested plain values; `source` is where they come from, for error messages."""
        return validated(Recipe, values, source)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as YAML holds them."""
        return to_jsonable_python(self)

    def to_yaml(self) -> str:
        """The text of a file from which `load` reads the same recipe."""
        import yaml

        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True, width=120)

    def with_values(self, **values: Any) -> Recipe:
        """A copy with some fields changed.

        Args:
            values: by the fields' names; a dict changes some fields of a group, None changes nothing.

        Raises:
            InputError: a field that is unknown or of the wrong type.

        Example:
            >>> Recipe.load("resnet50").with_values(epochs=30, optimizer={"learning_rate": 0.05})
        """
        numpy = {name: value.item() for name, value in values.items() if isinstance(value, np.generic)}
        given = {name: value for name, value in (values | numpy).items() if value is not None}
        known = [one.name for one in dataclasses.fields(self)]
        for name, value in given.items():
            if name not in known:
                raise InputError(f"a recipe has no field '{name}'; {closest(name, known)}")
            if isinstance(value, dict):
                changed = Recipe.from_dict(overlaid(self.to_dict(), {name: value}), "with_values")
                given[name] = getattr(changed, name)
        if "epochs" in given:
            given.setdefault("iterations", None)
        return dataclasses.replace(self, **given)

    def with_settings(self, settings: Iterable[str]) -> Recipe:
        """A copy with fields changed by `NAME=VALUE` texts, as on the command line.

        Args:
            settings: texts such as "optimizer.learning_rate=0.05"; the values are YAML.

        Raises:
            InputError: another kind of text, or a field that is unknown or of the wrong type.

        Example:
            >>> Recipe.load("resnet_small").with_settings(["optimizer.nesterov=false"]).optimizer.nesterov
            False
        """
        return Recipe.from_dict(overlaid(self.to_dict(), assignments(settings)), "--set")

    @property
    def peak_learning_rate(self) -> float:
        """The learning rate for this batch size, before the schedule."""
        return self.optimizer.peak(self.batch_size)

    def check_devices(self, count: int) -> None:
        """Raises InputError if the recipe cannot be trained on so many devices, those of all workers."""
        if count > 1 and self.fine_tuning.tunes_after_probe:
            raise InputError(
                f"a fine-tuning after a probe runs on one device, and there are {count}; name one as devices, gpu:0 or "
                "cpu, or set fine_tuning.hold_out=0."
            )

    def steps(self, steps_per_epoch: int) -> int:
        """The length in steps of the optimizer; a probe takes none in the first epoch."""
        return self.iterations or max(self.epochs - self.fine_tuning.probe, 1) * steps_per_epoch


def recipes() -> dict[str, Recipe]:
    """Every recipe of the package by name: first the papers', then the modern, small and fine-tuning recipes."""
    found = {name: Recipe.load(name) for name in file_names()}
    order = ("paper", "modern", "small", "transfer")
    return dict(sorted(found.items(), key=lambda item: (order.index(item[1].about.kind), item[0])))


def _paper_recipe(network: str) -> Recipe:
    for file in file_names():
        about = read_recipe(FOLDER / f"{file}.yaml").get("about", {})
        if about.get("kind") == "paper" and network in about["networks"]:
            return Recipe.load(file).with_values(model=network)
    raise InputError(f"there is no published recipe for {network}; Recipe.for_model loads the one for few images.")
