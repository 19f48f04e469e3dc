"""Reading recipes: YAML files that build on others, checked field by field."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from kerascnn.errors import InputError, closest

FOLDER = Path(__file__).parents[1] / "recipes"

# The field of a file that names the recipe it builds on.
BASE = "base"

# A recipe lasts so many epochs or so many iterations: who states the one takes the other back.
LENGTHS = ("epochs", "iterations")

Values = dict[str, Any]
Kind = TypeVar("Kind")


def file_names() -> list[str]:
    """The names of the recipes that come with the package."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def read_yaml(path: Path) -> Values:
    """A YAML file that holds a mapping.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no fields.")
    return values


def read_recipe(path: Path, above: tuple[Path, ...] = ()) -> Values:
    """The values of a recipe's file, laid over those of the recipe that its field `base` names.

    Args:
        path: of the file. `base` is the name of a recipe of the package, or a file's path beside this one.
        above: the files that build on this one.

    Raises:
        InputError: a file that cannot be read, an unknown base, or files that build on each other in a circle.
    """
    if path in above:
        raise InputError(f"{path} builds on itself: {' -> '.join(file.name for file in (*above, path))}.")
    values = read_yaml(path)
    base = values.pop(BASE, None)
    if base is None:
        return values
    if base in file_names():
        file = FOLDER / f"{base}.yaml"
    else:
        file = path.parent / str(base)
        if not file.is_file():
            raise InputError(f"{path} builds on '{base}', which does not exist; {closest(str(base), file_names())}")
    return overlaid(read_recipe(file, (*above, path)), values)


def overlaid(values: Values, changes: Values) -> Values:
    """`values` with `changes` in their place, group by group; lists are replaced as a whole, and by {} groups."""
    result = dict(values)
    if any(name in changes for name in LENGTHS):
        for name in LENGTHS:
            result.pop(name, None)
    for name, change in changes.items():
        both = bool(change) and isinstance(change, dict) and isinstance(result.get(name), dict)
        result[name] = overlaid(result[name], change) if both else change
    return result


def assignments(texts: Iterable[str]) -> Values:
    """What `name=value` texts of a command line say, as nested values; the values are YAML.

    Raises:
        InputError: a text without a name or an equals sign, or a value that is not YAML.

    Example:
        >>> assignments(["optimizer.learning_rate=0.05", "epochs=3"])
        {'optimizer': {'learning_rate': 0.05}, 'epochs': 3}
    """
    import yaml

    result: Values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        path = name.strip().split(".")
        if not equals or not all(path):
            raise InputError(f"--set takes NAME=VALUE, such as optimizer.learning_rate=0.05, not '{text}'.")
        try:
            change = yaml.safe_load(value)
        except yaml.YAMLError:
            raise InputError(f"--set {name}: '{value}' is not YAML.") from None
        for part in reversed(path):
            change = {part: change}
        result = overlaid(result, change)
    return result


def typed(kind: type[Kind], values: Values, origin: str) -> Kind:
    """An object of a dataclass from nested plain values, read strictly.

    Args:
        kind: a dataclass, whose fields may be dataclasses.
        values: what jsonargparse reads into it.
        origin: whose mistake it would be, for the sentence.

    Raises:
        InputError: an unknown field, or a value of the wrong type or outside its range.
    """
    import jsonargparse

    _check_fields(kind, values, origin)
    # Leaf by leaf: given whole classes, jsonargparse imports what their modules import for type checkers, TensorFlow.
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    for name, hint in _leaves(kind, values):
        parser.add_argument(f"--{name}", type=hint)
    try:
        read = parser.parse_object(values)
    except Exception as error:
        raise InputError(_sentence(kind, values, origin, str(error))) from None
    try:
        return _built(kind, read.as_dict())
    except InputError as error:
        raise InputError(f"{origin}: {error}") from None


def _leaves(kind: type, values: Values, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The fields that `values` states, and their types."""
    hints = get_type_hints(kind)
    for name, value in values.items():
        if dataclasses.is_dataclass(hints[name]):
            yield from _leaves(hints[name], value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", hints[name]


def _built(kind: type[Kind], values: Values) -> Kind:
    hints = get_type_hints(kind)
    return kind(
        **{
            name: _built(hints[name], value) if dataclasses.is_dataclass(hints[name]) else value
            for name, value in values.items()
        }
    )


def _check_fields(kind: type, values: Values, origin: str, prefix: str = "") -> None:
    """Names and nothing else, but for what jsonargparse lets pass: null for what cannot be."""
    hints = get_type_hints(kind)
    for name, value in values.items():
        if name not in hints:
            near = difflib.get_close_matches(str(name), hints, n=1, cutoff=0.0)
            raise InputError(f"{origin} has an unknown field '{prefix}{name}'; the closest is '{prefix}{near[0]}'.")
        hint = hints[name]
        group = dataclasses.is_dataclass(hint)
        if group and isinstance(value, dict):
            _check_fields(hint, value, origin, f"{prefix}{name}.")
        elif group or (value is None and type(None) not in get_args(hint)):
            raise InputError(f"{origin}: {prefix}{name} must be {_words(hint)}, not {_shown(value)}.")


def _sentence(kind: type, values: Values, origin: str, error: str) -> str:
    """jsonargparse names the field; what would be right is said in words."""
    found = re.search(r'"([\w.]+)"', error)
    if not found:
        return f"{origin}: {' '.join(error.split())}"
    value: Any = values
    hint: Any = kind
    for name in found[1].split("."):
        hint, value = get_type_hints(hint)[name], value[name]
    sentence = f"{origin}: {found[1]} must be {_words(hint)}, not {_shown(value)}"
    near = difflib.get_close_matches(str(value), [str(choice) for choice in get_args(hint)], n=1)
    return f"{sentence}; the closest is {near[0]}." if near and get_origin(hint) is Literal else f"{sentence}."


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return f"'{value}'" if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _words(hint: Any) -> str:
    """What a value of this type is.

    Example:
        >>> _words(float | None)
        'a number or null'
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_words(argument) for argument in arguments)
    if origin is Literal:
        return " or ".join(str(argument) for argument in arguments)
    if origin is tuple:
        return f"a list of {len(arguments)}, each {_words(arguments[0])}"
    if origin is list:
        return f"a list, each {_words(arguments[0])}"
    if dataclasses.is_dataclass(hint):
        return f"a group of fields ({', '.join(get_type_hints(hint))})"
    plain = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    return plain.get(hint, "a mapping")
