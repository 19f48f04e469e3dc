"""Files that are whole or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A file to write that gets its name, and reaches the disk, when all was written.

    Until then, and where writing ends in an exception or the process is killed, nothing new has that name; a killed
    process leaves a file whose name begins with a dot and ends in `.partial`.

    Args:
        path: its name in the end; folders above are made.

    Example:
        >>> with atomic_write(Path("index.json")) as file:
        ...     file.write(b"{}")
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"dir": path.parent, "prefix": f".{path.name}.", "suffix": ".partial", "delete": False}
    with tempfile.NamedTemporaryFile(**options) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            # Temporary files are for their owner alone.
            os.chmod(file.name, 0o666 & ~_mask())
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    _sync_folder(path.parent)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """The same for what writes a file by its name: a name beside `path`, with its suffixes, to write to.

    Example:
        >>> with atomic_path(Path("model.keras")) as partial:
        ...     model.save(partial)
    """
    partial = path.with_name(f".partial.{path.name}")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Makes a renaming survive a power cut, where folders can be opened."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
