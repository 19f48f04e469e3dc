"""Hyper-parameter search with keras-tuner: the space as data, trials in processes of their own, one report.

Each part is imported when it is first used: spaces can be read without a backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerascnn.lazy import lazy_names

if TYPE_CHECKING:
    from .hypermodel import HyperModel
    from .journal import Record
    from .objective import Objective
    from .processes import Limits
    from .result import Search
    from .space import Space
    from .tuning import resume_search, tune

PARTS = {
    "hypermodel": ("HyperModel",),
    "journal": ("Record",),
    "objective": ("Objective",),
    "processes": ("Limits",),
    "result": ("Search",),
    "space": ("Space",),
    "tuning": ("resume_search", "tune"),
}

__all__ = ["HyperModel", "Limits", "Objective", "Record", "Search", "Space", "resume_search", "tune"]

__getattr__, __dir__ = lazy_names(__name__, PARTS)
