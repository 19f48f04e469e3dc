"""A recipe: every hyper-parameter of a training, as data."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kerascnn.applications import registry
from kerascnn.data.augmentation import Augmentation
from kerascnn.errors import InputError, closest

FOLDER = Path(__file__).parent / "recipes"

Precision = Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"]


@dataclass(frozen=True)
class Optimizer:
    """Attributes:
    name: "sgd" (with momentum), "adam" or "rmsprop".
    learning_rate: the peak of the schedule.
    momentum: of SGD and RMSProp.
    nesterov: whether SGD looks ahead.
    weight_decay: each step subtracts learning rate x weight_decay x weight; biases and batch
        normalization are spared.
    clip_norm: the gradient's greatest global norm, or None.
    """

    name: Literal["sgd", "adam", "rmsprop"] = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    clip_norm: float | None = None


@dataclass(frozen=True)
class Schedule:
    """Attributes:
    name: "cosine" (to zero at the end) or "constant".
    warmup_epochs: the learning rate first rises linearly for so many epochs.
    """

    name: Literal["cosine", "constant"] = "cosine"
    warmup_epochs: float = 0.0


@dataclass(frozen=True)
class Pixels:
    """Attributes:
    mean: what is subtracted from the pixels: one number a "pixel" or a "channel", measured on the
        training pictures, or "none".
    std: what they are divided by then.
    crop_fraction: evaluation resizes the shorter side to size / crop_fraction and cuts the centre.
    """

    mean: Literal["pixel", "channel", "none"] = "channel"
    std: float = 64.0
    crop_fraction: float = 0.875


@dataclass(frozen=True)
class AuxiliaryHeads:
    """Attributes:
    use: whether a network that has auxiliary classifiers trains with them.
    weight: of each one's loss, beside 1 for the main classifier's.
    """

    use: bool = True
    weight: float = 0.3


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a training but the data.

    Attributes:
        model: a name of `kerascnn.applications.list_models()`.
        model_arguments: extras for its builder.
        image_size: height and width in pixels; None for the paper's.
        epochs: passes over the training pictures.
        batch_size: pictures a step.
        seed: of initialization, order, augmentation and dropout.
        precision: "auto" takes float16 on a GPU, bfloat16 on a processor with such instructions, else float32.
        optimizer, schedule, pixels, augmentation, auxiliary_heads: see there.
        label_smoothing: the share of a label's weight that is spread over all classes.

    Example:
        >>> Recipe.load("resnet_small").with_values(model="resnet56", epochs=30)
    """

    model: str = "resnet20"
    model_arguments: dict[str, Any] = field(default_factory=dict)
    image_size: int | None = None
    epochs: int = 12
    batch_size: int = 64
    seed: int = 0
    precision: Precision = "auto"
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    pixels: Pixels = field(default_factory=Pixels)
    augmentation: Augmentation = field(default_factory=Augmentation)
    auxiliary_heads: AuxiliaryHeads = field(default_factory=AuxiliaryHeads)
    label_smoothing: float = 0.0

    def __post_init__(self):
        registry.info(self.model)
        for name in ("epochs", "batch_size", "image_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}.")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"seed must be from 0 to 2147483647, not {self.seed}.")

    @staticmethod
    def load(name: str | Path) -> Recipe:
        """A recipe of the package by name, or a YAML file of your own.

        Raises:
            InputError: no such recipe or file, or a field that is unknown or of the wrong type.
        """
        path = FOLDER / f"{name}.yaml"
        if not path.exists():
            path = Path(name)
            if path.suffix not in (".yaml", ".yml"):
                known = [recipe.stem for recipe in FOLDER.glob("*.yaml")]
                raise InputError(f"there is no recipe '{name}'; {closest(str(name), known)}")
        return Recipe.from_dict(read_yaml(path), str(path.name))

    @staticmethod
    def for_model(model: str) -> Recipe:
        """The recipe that a network is trained with where none is named."""
        return Recipe.load(registry.info(model).recipe).with_values(model=model)

    @staticmethod
    def from_dict(values: dict[str, Any], origin: str) -> Recipe:
        """A recipe from nested plain values; `origin` is for error sentences."""
        _check_fields(Recipe, values, origin)
        return _typed(values, origin)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, fit for YAML."""
        return _plain(dataclasses.asdict(self))

    def with_values(self, **values: Any) -> Recipe:
        """The recipe with some fields changed; None leaves a field as it is."""
        return dataclasses.replace(self, **{name: value for name, value in values.items() if value is not None})


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    import yaml

    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no fields.")
    return values


def _check_fields(kind: type, values: dict[str, Any], origin: str, prefix: str = "") -> None:
    fields = {item.name: item for item in dataclasses.fields(kind)}
    for name, value in values.items():
        if name not in fields:
            near = difflib.get_close_matches(str(name), fields, n=1, cutoff=0.0)
            raise InputError(f"{origin} has an unknown field '{prefix}{name}'; the closest is '{prefix}{near[0]}'.")
        inner = fields[name].default_factory
        if dataclasses.is_dataclass(inner) and isinstance(value, dict):
            _check_fields(inner, value, origin, f"{prefix}{name}.")


def _typed(values: dict[str, Any], origin: str) -> Recipe:
    import jsonargparse

    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Recipe, "recipe")
    try:
        return parser.instantiate(parser.parse_object({"recipe": values})).recipe
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{origin}: {' '.join(str(error).split())}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
