"""What has to be said of a Keras model of another program: class names, image size, scale of the pixels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

from kerascnn.errors import InputError, first_of, refused
from kerascnn.files.user_file import read_text
from kerascnn.image_shape import ImageSize, Size

# The scales that pixels may have had in training, outside the model.
INPUT_SCALINGS = ("none", "unit", "symmetric", "torch", "caffe")


def read_labels(path: Path) -> tuple[str, ...]:
    """Reads class names from a file: one per line, or a JSON list; InputError if one is empty or occurs twice."""
    with refused(f"{path} cannot be read as class names"):
        text = read_text(path, encoding="utf-8-sig").strip()
        names = json.loads(text) if text.startswith(("[", "{")) else text.splitlines()
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names) or not names:
        raise InputError(f"{path} must have one class name per line, or be a JSON list of names.")
    return _without_repetition(tuple(name.strip() for name in names), path)


def _without_repetition(names: tuple[str, ...], source: object) -> tuple[str, ...]:
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"{source} has the class name '{twice[0]}' more than once.")
    return names


def _checked_names(names: Iterable[str]) -> tuple[str, ...]:
    # The letters of a text, and what has no order, are not names in the order of the outputs.
    listed = not isinstance(names, str | bytes | Mapping | Set) and isinstance(names, Iterable)
    values = tuple(names) if listed else ()
    if not values or not all(isinstance(name, str | Integral) and len(str(name).splitlines()) == 1 for name in values):
        raise InputError(f"class_names must be a list of names of one line each, in order, not {names!r}.")
    return _without_repetition(tuple(map(str, values)), "class_names")


def _checked_size(size: Size) -> Size:
    sides = [size] if isinstance(size, Integral) else size
    sized = isinstance(sides, Sequence) and not isinstance(sides, str) and len(sides) in (1, 2)
    if not sized or not all(isinstance(side, Integral) and side >= 1 for side in sides):
        raise InputError(f"image_size must be a number of pixels of at least 1, or (height, width), not {size!r}.")
    return ImageSize(int(sides[0]), int(sides[-1])).plain


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

    class_names: Sequence[str] | None = None
    image_size: Size | None = None
    scaling: str | None = None

    def __post_init__(self):
        if self.class_names is not None:
            object.__setattr__(self, "class_names", _checked_names(self.class_names))
        if self.image_size is not None:
            object.__setattr__(self, "image_size", _checked_size(self.image_size))
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
