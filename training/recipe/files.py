"""Reads recipes from YAML files, which may build on others, and changes from the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from kerascnn.errors import InputError, closest

FOLDER = Path(__file__).parents[1] / "recipes"
BASE = "base"  # The field of a file that names the recipe it builds on
LENGTHS = ("epochs", "iterations")  # Alternatives: whoever sets one of them unsets the other
Values = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """YAML 1.2's numbers: 1e-3 is one."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+e[-+]?\d+$", re.I), list("-+0123456789"))


def file_names() -> list[str]:
    """The names of the recipes in the package."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def read_yaml(path: Path) -> Values:
    """Reads a YAML file; raises InputError if it cannot be read or holds no mapping."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no fields.")
    return values


def read_recipe(path: Path, dependents: tuple[Path, ...] = ()) -> Values:
    """Reads a recipe's file, merged into the recipe that its field `base` names.

    `base` is a recipe of the package, or a path relative to this file's folder; `dependents` build on this file.
    InputError if a file cannot be read, a base is unknown, or files build on each other in a circle.
    """
    if path in dependents:
        raise InputError(f"{path} builds on itself: {' -> '.join(file.name for file in (*dependents, path))}.")
    values = read_yaml(path)
    base = values.pop(BASE, None)
    if base is None:
        return values
    file = FOLDER / f"{base}.yaml" if base in file_names() else path.parent / str(base)
    if not file.is_file():
        raise InputError(f"{path} builds on '{base}', which does not exist; {closest(str(base), file_names())}")
    return overlaid(read_recipe(file, (*dependents, path)), values)


def overlaid(values: Values, changes: Values) -> Values:
    """`values` with `changes` merged in, group by group; lists are replaced as a whole, and {} resets a group."""
    result = dict(values)
    if any(name in changes for name in LENGTHS):
        result = {name: value for name, value in result.items() if name not in LENGTHS}
    for name, change in changes.items():
        both = bool(change) and isinstance(change, dict) and isinstance(result.get(name), dict)
        result[name] = overlaid(result[name], change) if both else change
    return result


def assignments(texts: Iterable[str]) -> Values:
    """Parses a command line's `NAME=VALUE` texts, with values in YAML; raises InputError for other texts.

    Example:
        >>> assignments(["optimizer.learning_rate=0.05", "epochs=3"])
        {'optimizer': {'learning_rate': 0.05}, 'epochs': 3}
    """
    result: Values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        path = name.strip().split(".")
        if not equals or not all(path):
            raise InputError(f"--set takes NAME=VALUE, such as optimizer.learning_rate=0.05, not '{text}'.")
        try:
            change = yaml.load(value, _Loader)
        except yaml.YAMLError:
            raise InputError(f"--set {name}: '{value}' is not YAML.") from None
        for part in reversed(path):
            change = {part: change}
        result = overlaid(result, change)
    return result
