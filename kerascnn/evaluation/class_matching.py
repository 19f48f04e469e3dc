"""Matches the classes of data to those of a model, by their names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kerascnn.errors import InputError
from kerascnn.files.file_names import composed, folded


class MatchedClasses(NamedTuple):
    """The classes of data as numbers of a model's classes."""

    class_names: tuple[str, ...]  # the model's, then the unknown ones
    numbers: np.ndarray  # int, for each class of the data its index into `class_names`
    unknown: tuple[str, ...] = ()  # the classes of the data that the model does not know
    # Pairs of a name in the data and the model's name for it, where only upper and lower case differ.
    respelled: tuple[tuple[str, str], ...] = ()


def match_classes(data_names: Sequence[str], model_names: Sequence[str], source: str) -> MatchedClasses:
    """Finds the model's class for every class of the data of a source.

    An equal name comes first, then one that differs in how its accents are encoded (NFC or NFD, as macOS and Linux do
    in names of folders), then one that differs in upper and lower case too. InputError if two classes of the data are
    the same class of the model, or one may be two of the model's.

    Example:
        >>> match_classes(["bird", "cat"], ["Cat", "Dog"], "holdout")
        MatchedClasses(class_names=('Cat', 'Dog', 'bird'), numbers=array([2, 0]), unknown=('bird',),
            respelled=(('cat', 'Cat'),))
    """
    found: dict[str, str] = {}
    for key in (str, composed, folded):
        candidates = defaultdict(list)
        for name in model_names:
            candidates[key(name)].append(name)
        for name in data_names:
            matches = candidates[key(name)] if name not in found else []
            if len(matches) > 1:
                raise InputError(
                    f"the class '{name}' of {source} may be {' or '.join(map(repr, matches))} of the model; rename it."
                )
            found.update((name, match) for match in matches)
    _check_twins(found, source)
    unknown = tuple(name for name in data_names if name not in found)
    names = (*model_names, *unknown)
    number_of = {name: number for number, name in enumerate(names)}
    numbers = np.array([number_of[found.get(name, name)] for name in data_names], int)
    respelled = tuple(pair for pair in found.items() if composed(pair[0]) != composed(pair[1]))
    return MatchedClasses(names, numbers, unknown, respelled)


def _check_twins(found: dict[str, str], source: str) -> None:
    names = defaultdict(list)
    for name, match in found.items():
        names[match].append(name)
    for match, twins in names.items():
        if len(twins) > 1:
            raise InputError(
                f"{source} has the classes {' and '.join(map(repr, twins))}, and the model has one, {match!r}; "
                "make them one class or rename one."
            )
