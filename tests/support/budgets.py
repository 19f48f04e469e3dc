"""What each test file may take, from budgets.toml, and what it took."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

# Files that the table does not name.
REST = 5.0

BUDGETS: dict[str, float] = tomllib.loads(Path(__file__).with_name("budgets.toml").read_text())


def file_of(nodeid: str) -> str:
    """A test's file below tests/, as in "tests/data/test_splits.py::test_shares"."""
    return nodeid.partition("::")[0].removeprefix("tests/")


def of(nodeid: str) -> float:
    """The seconds of a test's file, on one core."""
    return BUDGETS.get(file_of(nodeid), REST)


def lines(stats: dict[str, Iterable]) -> list[str]:
    """A table of the files that took more than a second, the longest first; `stats` are pytest's reports by outcome."""
    took: Counter[str] = Counter()
    for reports in stats.values():
        for report in reports:
            if hasattr(report, "duration") and hasattr(report, "when"):
                took[file_of(report.nodeid)] += report.duration
    rows = [
        f"{seconds:8.1f} {of(file):8.0f}  {file}{'  over its budget' if seconds > of(file) else ''}"
        for file, seconds in took.most_common()
        if seconds > 1
    ]
    return [f"{'seconds':>8} {'budget':>8}  file", *rows, f"{sum(took.values()):8.1f} {'':8}  in all, on one core"]
