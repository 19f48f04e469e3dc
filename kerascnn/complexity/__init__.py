"""What a network costs: parameters, multiply-adds, memory of activations, receptive fields.

What needs Keras is imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerascnn.complexity.report import Report, Row, Stage, Totals
from kerascnn.lazy import lazy_names

if TYPE_CHECKING:
    from kerascnn.complexity.analysis import analyze, analyze_by_name

__all__ = ["Report", "Row", "Stage", "Totals", "analyze", "analyze_by_name"]

__getattr__, __dir__ = lazy_names(__name__, {"analysis": ("analyze", "analyze_by_name")})
