"""Atomic writes: a file is either complete or not there."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import BinaryIO

from kerascnn.files.temporary import lock, remove_abandoned


@contextmanager
def atomic_write(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Opens a file that gets its name, `path`, and reaches the disk, when the block ends; missing folders are made.

    If the block raises, or the process is killed, `path` stays as it was. A killed process leaves a file whose name
    begins with a dot and ends in `.partial`; the next write to `path` removes it. `mode` is as of `os.open`.

    Example:
        >>> with atomic_write(Path("index.json")) as file:
        ...     file.write(b"{}")
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent, f".{escape(path.name)}.*.partial")
    options = {"dir": path.parent, "prefix": f".{path.name}.", "suffix": ".partial", "delete": False}
    with tempfile.NamedTemporaryFile(**options) as file:
        try:
            with suppress(OSError):
                lock(file.fileno())
            yield file
            file.flush()
            os.fsync(file.fileno())
            # Only their owner may read temporary files.
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(file.name, mode & ~mask)
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    _sync_folder(path.parent)


def atomic_text(path: Path, text: str) -> None:
    """Writes a whole text file, in UTF-8, as `atomic_write` does."""
    with atomic_write(path) as file:
        file.write(text.encode())


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """As `atomic_write`, for code that writes by file name: yields a name in the same folder, of the same suffix."""
    partial = path.with_name(f".partial.{path.name}")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Makes a rename survive a power failure, where folders can be opened."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
