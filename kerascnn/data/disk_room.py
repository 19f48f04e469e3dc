"""How much more a disk takes, for what writes more than it can know beforehand."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

# Bytes that are left free, and that are written between two looks at what is.
RESERVE = 64 << 20
LOOK_EVERY = 64 << 20


def short_of_room(folder: Path, size: int) -> int | None:
    """How many bytes are free below `folder`, when `size` more would not leave a reserve; else None."""
    free = shutil.disk_usage(folder).free
    return free if size + RESERVE > free else None


def said(error: OSError) -> str:
    """What the operating system refuses, as a phrase."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    return (error.strerror or str(error)).rstrip(".")
