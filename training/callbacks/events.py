"""TensorBoard's files, taken back to what they were when a state was written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

PATTERN = "*.tfevents.*"


def event_sizes(folder: Path) -> dict[str, int]:
    """How long every event file below `folder` is, in bytes, by its path in it."""
    return {file.relative_to(folder).as_posix(): file.stat().st_size for file in sorted(folder.rglob(PATTERN))}


def sync_events(folder: Path) -> None:
    """Has all of the event files below `folder` on the disk, for when the power fails."""
    for file in folder.rglob(PATTERN):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())


def cut_events(folder: Path, sizes: Mapping[str, int]) -> None:
    """Removes from the event files below `folder` what was written after `event_sizes` gave these `sizes`.

    A training that goes on writes it again, and no point of a curve is there twice.
    """
    for file in folder.rglob(PATTERN):
        size = sizes.get(file.relative_to(folder).as_posix())
        if size is None:
            file.unlink()
        elif file.stat().st_size > size:
            os.truncate(file, size)
