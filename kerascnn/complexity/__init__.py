"""What a network costs: parameters, multiply-adds, memory of activations, receptive fields.

`analyze` is imported when first used, because it needs Keras; the published figures do not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from kerascnn.complexity.report import Report, Row, Stage, Totals

if TYPE_CHECKING:
    from kerascnn.complexity.analysis import analyze

__all__ = ["Report", "Row", "Stage", "Totals", "analyze"]


def __getattr__(name: str):
    if name == "analyze":
        return importlib.import_module("kerascnn.complexity.analysis").analyze
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
