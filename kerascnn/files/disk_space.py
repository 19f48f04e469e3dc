"""How much more a disk takes, for what writes more than it can know beforehand."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

# Bytes that are left free, and that are written between two looks at what is.
RESERVE = 64 << 20
LOOK_EVERY = 64 << 20


def short_of_room(folder: Path, size: int) -> int | None:
    """How many bytes are free below `folder`, when `size` more would not leave a reserve; else None."""
    free = shutil.disk_usage(folder).free
    return free if size + RESERVE > free else None


def format_os_error(error: OSError) -> str:
    """What the operating system refuses, as a phrase."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    return (error.strerror or str(error)).rstrip(".")


def format_disk_error(error: Exception) -> str | None:
    """What the disk refuses, as a phrase; None where an exception is about something else.

    TensorFlow and HDF5 say it in the text of exceptions of their own.
    """
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO):
        if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
            return format_os_error(OSError(number, os.strerror(number)))
    return None
