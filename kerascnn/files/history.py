"""Reads a training's history: a row of metrics per epoch, as text."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from kerascnn.errors import refused
from kerascnn.files.user_file import read_text

# Bytes of a table with a row per epoch.
MAX_HISTORY = 1 << 28


def read_history(path: Path) -> list[dict[str, float]]:
    """The metrics of every epoch; none if there is no such file, InputError if it cannot be read."""
    if not path.is_file():
        return []
    with refused(f"{path} cannot be read"):
        rows = csv.DictReader(io.StringIO(read_text(path, MAX_HISTORY), newline=""))
        return [{name: float(value or "nan") for name, value in row.items()} for row in rows]
