"""Errors of the machine and not of the program: full disks, too little memory, paths that cannot be used."""

from __future__ import annotations

import re

from kerascnn.errors import one_line, phrase
from kerascnn.files.disk_space import format_disk_error
from kerascnn.shown_text import printable

# What the system, C++ and TensorFlow say of too little memory.
NO_MEMORY = re.compile(
    r"cannot allocate memory|failed to map segment|bad_alloc|OOM when allocating|can't start new thread", re.IGNORECASE
)


def machine_error(error: BaseException) -> str | None:
    """A sentence about an error of the machine, in an exception of any library; None for a fault of the program.

    Example:
        >>> machine_error(OSError(28, "No space left on device", "runs/mine/history.csv"))
        'runs/mine/history.csv cannot be written: the disk is full.'
    """
    name = printable(str(getattr(error, "filename", None) or "the output"))
    if reason := format_disk_error(error):
        return f"{name} cannot be written: {reason}."
    if isinstance(error, MemoryError) or NO_MEMORY.search(str(error)):
        return f"there is too little memory: {one_line(error)}"
    return f"{name} cannot be used: {phrase(error)}." if isinstance(error, OSError) and error.filename else None
