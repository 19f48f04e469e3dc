"""What is measured: parts of rows of contestants, as plain data that costs no import."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from kerascnn.errors import InputError, closest

Measure = Callable[[], float]  # One round: a value in the row's unit


class Prepared(NamedTuple):
    """What a contestant's function may return instead of a `Measure`."""

    measure: Measure
    macs: float = 0.0  # Multiply-adds of one image


@dataclass(frozen=True)
class Contestant:
    """A function that runs in a process of its own.

    Attributes:
        name: the library, and after a comma how it is used: "PyTorch, compiled".
        prepare: a function at the top of a module, which returns a `Measure` or a `Prepared`.
        arguments: of the function, as JSON has them.
        packages: that must be installed.
        wanted: how many times better ours should be; 0 for no wish.
    """

    name: str
    prepare: Callable[..., Measure | Prepared]
    arguments: dict[str, Any] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    wanted: float = 0.0

    def to_json(self) -> str:
        """The function and its arguments, for another process."""
        return json.dumps([self.prepare.__module__, self.prepare.__name__, self.arguments])

    @property
    def library(self) -> str:
        """The name without how it is used."""
        return self.name.split(",")[0]


def prepare(contestant: str) -> Prepared:
    """Calls the function of `Contestant.to_json`."""
    module, function, arguments = json.loads(contestant)
    prepared = getattr(importlib.import_module(module), function)(**arguments)
    return prepared if isinstance(prepared, Prepared) else Prepared(prepared)


@dataclass(frozen=True)
class Row:
    """One question to several contestants.

    Attributes:
        name: unique in its part, and in its curve with `x`.
        unit: of the values; more is better if it ends in "/s", else less.
        contestants: ours first.
        x: the place on a curve of that name, for rows that show how a cost grows.
        rounds: at most, for rows that take long.
    """

    name: str
    unit: str
    contestants: tuple[Contestant, ...]
    x: float | None = None
    rounds: int | None = None


@dataclass(frozen=True)
class Options:
    """What a command asks for; None leaves it to the part. `__main__.OPTIONS` says what each means."""

    networks: list[str] | None = None
    policies: list[str] | None = None
    batches: list[int] | None = None
    image_size: int | None = None
    images: int | None = None
    curves: list[str] | None = None
    most: int | None = None
    photographs: Path | None = None
    cifar: Path | None = None
    accuracy: float | None = None
    seconds: float = 2.0


def chosen(names: Sequence[str] | None, known: Iterable[str], what: str) -> list[str]:
    """The names, or all if there are none; InputError for an unknown one.

    Example:
        >>> chosen(["resnet50"], ("resnet18", "resnet50"), "network")
        ['resnet50']
    """
    known = list(known)
    for name in names or ():
        if name not in known:
            raise InputError(f"there is no {what} '{name}' here; {closest(name, known)}")
    return list(names or known)


class Part(NamedTuple):
    """A file of parts/: its sentence, the options that it reads, its rows, and the option that it cannot do without."""

    sentence: str
    options: tuple[str, ...]
    rows: Callable[[Options], Iterable[Row]]
    needs: str | None = None
