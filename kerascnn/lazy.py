"""Packages whose parts are imported when they are first used, so that what needs no backend starts none."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazy_names(
    package: str, parts: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package that offers names of its modules.

    Args:
        package: its `__name__`; its `__all__` is what `dir` shows.
        parts: the names that each module, called as within the package, has to offer.

    Example:
        >>> __getattr__, __dir__ = lazy_names(__name__, {"space": ("Space",)})
    """
    module_of = {name: module for module, names in parts.items() for name in names}

    def of_a_part(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{module_of[name]}"), name)

    def names() -> list[str]:
        return sorted(sys.modules[package].__all__)

    return of_a_part, names
