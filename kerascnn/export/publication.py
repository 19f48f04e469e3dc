"""A folder that is replaced whole: whoever looks sees the old one or the new one, whenever the program dies."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kerascnn.errors import InputError

# Of Linux' renameat2: paths are as usual, and the two change places.
AT_FDCWD, RENAME_EXCHANGE = -100, 2


@contextlib.contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A folder to write in, beside the target, so that publishing is a rename; gone afterwards if not published.

    Args:
        folder: where its contents are to go.

    Raises:
        InputError: the target is a file, or nothing can be written beside it.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; an export is a folder.")
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}.") from None
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def publish(staged: Path, folder: Path) -> None:
    """Gives a folder of `staging` its name. A folder that had it before is removed.

    On Linux the two change places in one step of the file system. Where that is not to be had there are two steps, and
    between them neither has the name; the old folder is then beside it, with a dot before its name.

    Args:
        staged: the new folder.
        folder: its name to be.
    """
    staged.chmod(0o755)
    if not folder.exists():
        os.replace(staged, folder)
    elif _exchanged(staged, folder):
        shutil.rmtree(staged)
    else:
        replaced = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        os.replace(folder, replaced)
        os.replace(staged, folder)
        shutil.rmtree(replaced)


def _exchanged(first: Path, second: Path) -> bool:
    """Whether two folders could change places."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    return rename(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE) == 0
