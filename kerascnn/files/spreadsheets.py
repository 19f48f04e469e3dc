"""Writes CSV files that spreadsheets open without obeying them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import Any, TextIO

from kerascnn.shown_text import for_spreadsheet


class RowWriter:
    """Writes rows as `csv.writer` does; `options` are its own. No text becomes a formula (`for_spreadsheet`).

    Example:
        >>> RowWriter(sys.stdout).writerows([("image", "label"), ("1.jpg", "=1+1")])
        image,label
        1.jpg,'=1+1
    """

    def __init__(self, file: TextIO, **options: Any):
        self._writer = csv.writer(file, **options)

    def writerow(self, row: Iterable[object]) -> None:
        """Writes a row of cells: texts, paths and numbers."""
        self._writer.writerow([cell if isinstance(cell, int | float) else for_spreadsheet(cell) for cell in row])

    def writerows(self, rows: Iterable[Iterable[object]]) -> None:
        """Writes several rows."""
        for row in rows:
            self.writerow(row)
