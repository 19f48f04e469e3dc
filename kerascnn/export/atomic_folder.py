"""Replaces a folder as a whole: readers see the old folder or the new one, whenever the program is killed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kerascnn.errors import InputError, writing
from kerascnn.files.disk_space import format_disk_error
from kerascnn.files.temporary import TemporaryFolder

# Constants of Linux' renameat2: paths as usual, exchange the two.
AT_FDCWD, RENAME_EXCHANGE = -100, 2


@contextlib.contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Yields a temporary folder next to `folder`, so that publishing is a rename; removes it if not published.

    InputError if `folder` is a file, nothing can be written next to it, or the disk is full.
    """
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; an export is a folder.")
        temporary = TemporaryFolder(folder.parent, f".{folder.name}-")
    with temporary:
        try:
            yield Path(temporary.name)
        except Exception as error:
            # In the words of any library that writes a model.
            if reason := format_disk_error(error):
                raise InputError(f"{folder} cannot be written: {reason}.") from None
            raise


def publish(staged: Path, folder: Path) -> None:
    """Renames a folder of `staging` to `folder` and removes the old folder.

    On Linux the two are exchanged in one step of the file system. Elsewhere there are two steps, and between them
    `folder` does not exist; the old folder is then next to it, with a dot before its name.
    """
    staged.chmod(0o755)
    if not folder.exists():
        os.replace(staged, folder)
    elif _exchange(staged, folder):
        shutil.rmtree(staged)
    else:
        replaced = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        os.replace(folder, replaced)
        os.replace(staged, folder)
        shutil.rmtree(replaced)


def _exchange(first: Path, second: Path) -> bool:
    """Exchanges two folders; False if this system cannot."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    return rename(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE) == 0
