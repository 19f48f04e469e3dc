"""Temporary folders that are not left behind for good: the next one in the same place removes those of the dead.

Nobody else removes what a program that is killed has left. As long as its owner lives, a folder or file is locked; the
system releases the locks of a process that ends in any way. Machines that share a disk may not see each other's locks;
folders of others are left alone for a day.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
import tempfile
import time
import weakref
from contextlib import suppress
from pathlib import Path

from kerascnn.files.cache_folder import short_hash

with suppress(ImportError):  # Windows has none; there, nothing is removed.
    import fcntl

SUFFIX = ".kerascnn-partial"

# Seconds in which a new folder need not be locked, and until one of another machine counts as abandoned.
GRACE = 2.0
OTHERS = 86_400.0

MACHINE = short_hash(platform.node())


class TemporaryFolder(tempfile.TemporaryDirectory):
    """A new folder in `parent`, by default the system's for temporary files; its name says what it is for.

    OSError if it cannot be made. It need not be there any more at the end: it may have been renamed.

    Example:
        >>> with TemporaryFolder(Path("saved_models"), ".pets-") as name:
        ...     os.replace(name, "saved_models/pets")
    """

    def __init__(self, parent: Path | None = None, prefix: str = "kerascnn-"):
        parent = parent or Path(tempfile.gettempdir())
        remove_abandoned(parent, f"*{SUFFIX}")
        super().__init__(f".{MACHINE}{SUFFIX}", prefix[:40], parent, ignore_cleanup_errors=True)
        with suppress(OSError):
            descriptor = os.open(self.name, os.O_RDONLY)
            weakref.finalize(self, os.close, descriptor)
            lock(descriptor)


def lock(descriptor: int) -> None:
    """Locks an open file or folder until it is closed; BlockingIOError if another process has locked it."""
    if "fcntl" in globals():
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_abandoned(folder: Path, pattern: str) -> None:
    """Removes this user's folders and files of a pattern that nobody has locked."""
    for path in folder.glob(pattern) if "fcntl" in globals() else ():
        # Others may remove them, or may not let us.
        with suppress(OSError):
            status = path.lstat()
            # Files change as long as they are written; folders do not.
            ours = stat.S_ISREG(status.st_mode) or MACHINE in path.name
            if status.st_uid != os.getuid() or time.time() - status.st_mtime < (GRACE if ours else OTHERS):
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                lock(descriptor)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            finally:
                os.close(descriptor)
