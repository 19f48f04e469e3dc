"""Reads recipes from YAML files, which may build on others, and changes from the command line."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from kerascnn.errors import InputError, closest, refused
from kerascnn.files.user_file import read_text
from kerascnn.shown_text import printable

FOLDER = Path(__file__).parents[1] / "recipes"
BASE = "base"  # The field of a file that names the recipe it builds on
MOST_VALUES = 1_000_000  # In a file, counted as often as aliases repeat them
LENGTHS = ("epochs", "iterations")  # Alternatives: whoever sets one of them unsets the other
Values = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """YAML 1.2's numbers: 1e-3 is one. Aliases may repeat values, but not so often that these become too many."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        sizes: dict[int, int] = {}

        def size(node: yaml.Node) -> int:
            if id(node) not in sizes:
                # Of a node inside itself.
                sizes[id(node)] = MOST_VALUES + 1
                inner = node.value if isinstance(node, yaml.CollectionNode) else ()
                parts = itertools.chain.from_iterable(inner) if isinstance(node, yaml.MappingNode) else inner
                sizes[id(node)] = 1 + sum(map(size, parts))
            return sizes[id(node)]

        if node and size(node) > MOST_VALUES:
            raise yaml.YAMLError(f"its aliases make it more than {MOST_VALUES:,} values")
        return node

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        # PyYAML keeps the last of two values. Later on, a node also has the values that it merges and replaces.
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if repeated := next((name for name in names if names.count(name) > 1), None):
            raise yaml.YAMLError(f"it has '{repeated}' twice")
        return node


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+e[-+]?\d+$", re.I), list("-+0123456789"))


def file_names() -> list[str]:
    """The names of the recipes in the package."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def read_yaml(path: Path) -> Values:
    """Reads a YAML file; raises InputError if it cannot be read or holds no mapping."""
    with refused(f"{path} cannot be read as YAML"):
        values = yaml.load(read_text(path), _Loader)
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
    # Not `file.is_file()`, which fails where a path is too long.
    if not os.path.isfile(file):
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
        with refused(f"--set {printable(name)}: '{printable(value)}' cannot be read as YAML"):
            change = yaml.load(value, _Loader)
            for part in reversed(path):
                change = {part: change}
            result = overlaid(result, change)
    return result
