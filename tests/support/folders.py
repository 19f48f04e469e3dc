"""Folders of data, made of empty files: layouts are recognized by names and tables alone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from kerascnn import InputError
from kerascnn.data import DataOptions
from kerascnn.data.ingestion.layouts import recognize_layout


def expanded(pattern: str) -> Iterator[str]:
    """The paths that a pattern stands for, as in a shell.

    Example:
        >>> list(expanded("{cat,dog}/{0..1}.jpg"))
        ['cat/0.jpg', 'cat/1.jpg', 'dog/0.jpg', 'dog/1.jpg']
    """
    parts = re.split(r"\{(.*?)\}", pattern)
    for number, text in enumerate(parts):
        if span := re.fullmatch(r"(\d+)\.\.(\d+)", text):
            parts[number] = [str(n) for n in range(int(span[1]), int(span[2]) + 1)]
        else:
            parts[number] = text.split(",") if number % 2 else [text]
    yield from map("".join, itertools.product(*parts))


def lay_out(root: Path, *patterns: str, **tables: str) -> Path:
    """Makes the empty files that the patterns stand for, and the tables `name`.csv; returns the folder."""
    for path in itertools.chain.from_iterable(map(expanded, patterns)):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")
    return write_text(root, **{f"{name}.csv": text for name, text in tables.items()})


def write_text(root: Path, **texts: str) -> Path:
    """Writes files by their paths, as in `write_text(root, **{"meta/train.txt": "a 0"})`; returns the folder."""
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def said(root: Path, **options: object) -> str:
    """What a user reads about a folder: the line of evidence, or "refused: " and the error."""
    try:
        return recognize_layout(root, "data", DataOptions(**options)).description
    except InputError as error:
        return f"refused: {error}"
