"""Hyperparameter search with keras-tuner: a space as data, one process per trial, and a report.

Each part is imported when it is first used: spaces can be read without a backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerascnn.lazy import lazy_names

if TYPE_CHECKING:
    from kerascnn.training.search.config import Objective, TrialLimits
    from kerascnn.training.search.hypermodel import HyperModel
    from kerascnn.training.search.journal import TrialRecord
    from kerascnn.training.search.report import Search
    from kerascnn.training.search.space import Space
    from kerascnn.training.search.tuner import resume_search, tune

PARTS = {
    "config": ("Objective", "TrialLimits"),
    "hypermodel": ("HyperModel",),
    "journal": ("TrialRecord",),
    "report": ("Search",),
    "space": ("Space",),
    "tuner": ("resume_search", "tune"),
}

__all__ = ["HyperModel", "Objective", "Search", "Space", "TrialLimits", "TrialRecord", "resume_search", "tune"]

__getattr__, __dir__ = lazy_names(__name__, PARTS)
