"""The cost of a network: parameters, multiply-adds, memory of activations, receptive fields.

Modules that need Keras are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerascnn.complexity.report import LayerRow, Report, Stage, Totals
from kerascnn.lazy import lazy_names

if TYPE_CHECKING:
    from kerascnn.complexity.analysis import analyze, analyze_by_name

__all__ = ["LayerRow", "Report", "Stage", "Totals", "analyze", "analyze_by_name"]

__getattr__, __dir__ = lazy_names(__name__, {"analysis": ("analyze", "analyze_by_name")})
