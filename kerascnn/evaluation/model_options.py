"""What has to be said of a Keras model of another program: class names, image size, scale of the pixels."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from kerascnn.errors import InputError, first_of, one_line
from kerascnn.image_shape import ImageSize, Size

# The scales that pixels may have had in training, outside the model.
INPUT_SCALINGS = ("none", "unit", "symmetric", "torch", "caffe")


def read_labels(path: Path) -> tuple[str, ...]:
    """Reads class names from a file: one per line, or a JSON list; InputError if one is empty or occurs twice."""
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
        names = json.loads(text) if text.startswith(("[", "{")) else text.splitlines()
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as class names: {getattr(error, 'strerror', None) or one_line(error)}"
        ) from None
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names) or not names:
        raise InputError(f"{path} must have one class name per line, or be a JSON list of names.")
    names = tuple(name.strip() for name in names)
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"{path} has the class name '{twice[0]}' more than once.")
    return names


def numbered_classes(count: int) -> tuple[str, ...]:
    """The names of classes that have none: "class 0", "class 1", …"""
    return tuple(f"class {number}" for number in range(count))


@dataclass(frozen=True)
class ModelOptions:
    """What a Keras model of another program does not say about itself.

    Attributes:
        class_names: in the order of the outputs; of a model with one sigmoid the class of 0, then that of 1. None for
            the model's own, or "class 0", "class 1", …
        image_size: of a model that takes images of any size.
        scaling: how pixels were scaled before they came to the model: "none" for [0, 255], "unit" for [0, 1],
            "symmetric" for [-1, 1], "torch" or "caffe" for these modes of keras.applications' `preprocess_input`. It
            becomes the first layer. None for "none".
    """

    class_names: tuple[str, ...] | None = None
    image_size: Size | None = None
    scaling: str | None = None

    def __post_init__(self):
        if self.scaling not in (None, *INPUT_SCALINGS):
            raise InputError(f"the scaling must be one of {', '.join(INPUT_SCALINGS)}, not '{self.scaling}'.")

    def check(self, model: object, class_names: tuple[str, ...], size: Size) -> None:
        """Raises InputError if a model that says all of this itself says something else."""
        if self.class_names not in (None, class_names):
            named = first_of(class_names)
            raise InputError(f"{model} names its classes itself ({named}); class names are for models that do not.")
        if self.image_size not in (None, size):
            raise InputError(f"{model} takes images of {ImageSize.of(size)}, not {ImageSize.of(self.image_size)}.")
        if self.scaling not in (None, "none"):
            raise InputError(f"{model} takes pixels from 0 to 255, so scaling must be none, not {self.scaling}.")


NO_OPTIONS = ModelOptions()
