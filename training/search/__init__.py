"""Hyper-parameter search with keras-tuner: the space as data, trials in processes of their own, one report.

Each part is imported when it is first used: spaces can be read without a backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerascnn.lazy import lazy_names

if TYPE_CHECKING:
    from kerascnn.training.search.hypermodel import HyperModel
    from kerascnn.training.search.journal import Record
    from kerascnn.training.search.objective import Objective
    from kerascnn.training.search.processes import TrialLimits
    from kerascnn.training.search.result import Search
    from kerascnn.training.search.space import Space
    from kerascnn.training.search.tuning import resume_search, tune

PARTS = {
    "hypermodel": ("HyperModel",),
    "journal": ("Record",),
    "objective": ("Objective",),
    "processes": ("TrialLimits",),
    "result": ("Search",),
    "space": ("Space",),
    "tuning": ("resume_search", "tune"),
}

__all__ = ["HyperModel", "Objective", "Record", "Search", "Space", "TrialLimits", "resume_search", "tune"]

__getattr__, __dir__ = lazy_names(__name__, PARTS)
