"""What a network costs: parameters, multiply-adds, memory of activations, receptive fields.

What needs Keras is imported when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from kerascnn.complexity.report import Report, Row, Stage, Totals

if TYPE_CHECKING:
    from kerascnn.complexity.analysis import analyze, analyze_by_name

__all__ = ["Report", "Row", "Stage", "Totals", "analyze", "analyze_by_name"]


def __getattr__(name: str):
    if name in ("analyze", "analyze_by_name"):
        return getattr(importlib.import_module("kerascnn.complexity.analysis"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
