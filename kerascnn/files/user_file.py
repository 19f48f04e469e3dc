"""Opens the files that users name: regular files of a bounded size, within a bounded time.

Pipes, devices and sockets never end or never begin, and files of /proc have no size; nothing is read of them.
"""

from __future__ import annotations

import errno
import os
import queue
import stat
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

# Seconds until a file must be open; a disk of a network may never answer.
SECONDS = 60.0

# Bytes of a text that people write: a recipe, a list of classes.
MAX_TEXT = 16 << 20

# Unpacked bytes per packed byte; texts have about 10.
MAX_RATIO = 100

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_file(path: str | Path, most: int | None = None) -> BinaryIO:
    """Opens a regular file for reading bytes; never waits for a writer, as opening a pipe does.

    OSError if there is none, it is something else, or has more than `most` bytes; its `strerror` says which.

    Example:
        >>> open_file("/dev/zero")
        Traceback (most recent call last):
        OSError: [Errno 22] it is a device, not a regular file: '/dev/zero'
    """
    # Sockets cannot be opened at all.
    _check(path, os.stat(path), most)
    file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115
    try:
        _check(path, os.fstat(file.fileno()), most)
    except OSError:
        file.close()
        raise
    return file


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check(path: str | Path, status: os.stat_result, most: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
    if most is not None and status.st_size > most:
        size = f"it has {status.st_size / 1e6:,.0f} MB, more than the {most / 1e6:,.0f} MB that are read"
        raise OSError(errno.EFBIG, size, str(path))


def read_bytes(path: str | Path, most: int | None = None) -> bytes:
    """The contents of a file, as long as it was when it was opened; OSError as `open_file`."""
    with open_file(path, most) as file:
        return file.read(os.fstat(file.fileno()).st_size)


def read_text(path: str | Path, most: int = MAX_TEXT, encoding: str = "utf-8") -> str:
    """The text of a file; OSError as `open_file` or after `SECONDS`, UnicodeDecodeError for another encoding."""
    return _in_time(lambda: read_bytes(path, most)).decode(encoding)


def checked_file(path: str | Path, most: int | None = None) -> Path:
    """The path of a file for a library that opens it by its name.

    OSError as `open_file`, after `SECONDS`, or if the file is empty: in /proc, files without a size may never end.
    """
    with _in_time(lambda: open_file(path, most)) as file:
        if not os.fstat(file.fileno()).st_size:
            raise OSError(errno.EINVAL, "it is empty", str(path))
    return Path(path)


def checked_folder(path: Path) -> Path:
    """The path of a folder for a library that opens the files in it; OSError if one of them is no regular file."""
    for file in path.rglob("*"):
        if file.is_symlink() and not file.is_dir():
            checked_file(file)
        elif not file.is_dir():
            # A model may have empty files.
            open_file(file).close()
    return path


def open_zip(path: str | Path) -> zipfile.ZipFile:
    """Opens a zip archive for reading; OSError as `checked_file`, or if it is a zip bomb."""
    archive = zipfile.ZipFile(checked_file(path))
    if sum(entry.file_size for entry in archive.infolist()) > MAX_RATIO * os.stat(path).st_size:
        archive.close()
        raise OSError(errno.EFBIG, f"it unpacks to more than {MAX_RATIO} times its size, as a zip bomb", str(path))
    return archive


def _in_time(call: Callable[[], Any]) -> Any:
    """What a call returns or raises; TimeoutError if it does neither in time."""
    found: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def run() -> None:
        try:
            found.put((True, call()))
        except Exception as error:
            found.put((False, error))

    # A daemon: a process can end although it waits for a disk.
    threading.Thread(target=run, daemon=True).start()
    try:
        returned, value = found.get(timeout=SECONDS)
    except queue.Empty:
        raise TimeoutError(errno.ETIMEDOUT, f"it cannot be read within {SECONDS:.0f} seconds") from None
    if not returned:
        raise value
    return value
