"""Dataclasses that check their fields, with errors that name the field, its value and what is allowed."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import types
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar, Union, dataclass_transform, get_args, get_origin, get_type_hints

import numpy as np
import pydantic
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from kerascnn.errors import InputError, refused
from kerascnn.shown_text import printable

Kind = TypeVar("Kind")
Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]

RANGES = {
    ("gt",): "above {gt}",
    ("ge",): "of at least {ge}",
    ("ge", "le"): "from {ge} to {le}",
    ("ge", "lt"): "from {ge} to less than {lt}",
    ("gt", "le"): "above {gt} and at most {le}",
}
TYPES = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def checked_dataclass(group: str = "") -> Callable[[type[Kind]], type[Kind]]:
    """A frozen dataclass, checked by pydantic, that raises InputError for an unknown field or a wrong value.

    Error messages put `group` before the names of the fields.

    Example:
        >>> @checked_dataclass("optimizer")
        ... class Optimizer:
        ...     learning_rate: PositiveFloat = 0.1
    """

    def decorate(kind: type[Kind]) -> type[Kind]:
        kind = pydantic.dataclasses.dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))(kind)
        construct = kind.__init__

        @functools.wraps(construct)
        def checked_init(self, *arguments, **values):
            try:
                construct(self, *arguments, **values)
            except ValidationError as error:
                names = [field.name for field in dataclasses.fields(kind)]
                values |= dict(zip(names, arguments, strict=False))
                raise InputError(_sentence(kind, values, error, f"{group}." if group else "")) from None

        kind.__init__ = checked_init
        return kind

    return decorate


def validated(kind: type[Kind], values: dict[str, Any], source: str) -> Kind:
    """A dataclass of dataclasses from nested plain values, as YAML or JSON holds them.

    Types must be exact: "3" is no number. InputError names the `source` and the field that is unknown, or whose value
    is of the wrong type or outside its range.
    """
    with refused(f"{source} cannot be read"):
        # JSON, because pydantic's strict mode takes lists for tuples, and mappings for dataclasses, there only.
        text = to_json(values, fallback=_plain)
    try:
        return _adapter(kind).validate_json(text)
    except ValidationError as error:
        raise InputError(f"{source}: {_sentence(kind, values, error)}") from None


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else str(value)


@functools.cache
def _adapter(kind: type[Kind]) -> TypeAdapter[Kind]:
    return TypeAdapter(kind)


def _sentence(kind: Any, values: Any, error: ValidationError, path: str = "") -> str:
    first = error.errors()[0]
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    hint, value = kind, values
    for name in first["loc"]:
        if not dataclasses.is_dataclass(hint):
            break
        hints = get_type_hints(hint, include_extras=True)
        name = list(hints)[name] if isinstance(name, int) else name  # of a positional argument
        if name not in hints:
            [near] = difflib.get_close_matches(str(name), hints, n=1, cutoff=0.0)
            return f"unknown field '{path}{name}'; the closest is '{path}{near}'."
        if name not in value:
            return f"the field '{path}{name}' is missing."
        hint, value, path = hints[name], value[name], f"{path}{name}."
    sentence = f"{path.rstrip('.')} must be {_describe(hint)}, not {_show(value)}"
    near = difflib.get_close_matches(str(value), map(str, get_args(hint)), n=1)
    return f"{sentence}; the closest is {near[0]}." if near and get_origin(hint) is Literal else f"{sentence}."


def _show(value: Any) -> str:
    if value is None:
        return "null"
    text = printable(str(value).lower() if isinstance(value, bool) else str(value))
    return f"'{text}'" if isinstance(value, str) else text


def _describe(hint: Any) -> str:
    """The allowed values of a type: of `float | None`, "a number or null"."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        inner, *metadata = arguments
        constraints = [one for given in metadata for one in getattr(given, "metadata", [given])]
        bounds = {name: value for one in constraints for name, value in dataclasses.asdict(one).items()}
        if "strict" in bounds:
            return _describe(inner)
        if "min_length" in bounds:
            return f"a list of {bounds['min_length']}, each {_describe(get_args(inner)[0])}"
        return f"{_describe(inner)} {RANGES[tuple(sorted(bounds))].format(**bounds)}"
    if origin in (Union, types.UnionType):
        return " or ".join(map(_describe, arguments))
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin is tuple:
        return f"a list of {len(arguments)}, each {_describe(arguments[0])}"
    if origin is list:
        return f"a list, each {_describe(arguments[0])}"
    if dataclasses.is_dataclass(hint):
        return f"a group of fields ({', '.join(get_type_hints(hint))})"
    return TYPES.get(hint, "a mapping")
