"""Folders of data, made of empty files: layouts are recognized by names and tables alone."""

from __future__ import annotations

from pathlib import Path

from kerascnn import InputError
from kerascnn.data import DataOptions
from kerascnn.data.ingestion.layouts import recognize_layout


def lay_out(root: Path, *paths: str, **tables: str) -> Path:
    """Makes empty files, and the tables `name`.csv; returns the folder."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")
    for name, text in tables.items():
        (root / f"{name}.csv").write_text(text)
    return root


def write_text(root: Path, **texts: str) -> Path:
    """Writes files by their paths, as in `write_text(root, **{"meta/train.txt": "a 0"})`; returns the folder."""
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def said(root: Path, **options: object) -> str:
    """What a user is told of a folder: the line of evidence, or "refused: " and the error."""
    try:
        return recognize_layout(root, "data", DataOptions(**options)).description
    except InputError as error:
        return f"refused: {error}"
