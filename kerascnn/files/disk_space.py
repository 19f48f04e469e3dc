"""Free disk space, and messages about disk errors."""

import errno
import os
import shutil
from pathlib import Path

# Bytes to leave free, and bytes written between two checks.
RESERVE = 64 << 20
CHECK_EVERY = 64 << 20


def low_disk_space(folder: Path, size: int) -> int | None:
    """The free bytes if writing `size` bytes more to `folder` would leave less than `RESERVE`; else None."""
    free = shutil.disk_usage(folder).free
    return free if size + RESERVE > free else None


def format_os_error(error: OSError) -> str:
    """The error as a phrase."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    return (error.strerror or str(error)).rstrip(".")


def format_disk_error(error: Exception) -> str | None:
    """A disk error as a phrase, None for other errors; TensorFlow and HDF5 put the system's message in their text."""
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO):
        if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
            return format_os_error(OSError(number, os.strerror(number)))
    return None
