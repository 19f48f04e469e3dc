"""Files from elsewhere that are fetched once, kept under their names, and looked at before they are used."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_write
from kerascnn.files.checksums import Checksum
from kerascnn.files.disk_space import format_os_error
from kerascnn.files.download import RetryPolicy, fetch
from kerascnn.files.progress import ByteTrack, untracked_bytes


def cached_download(
    url: str,
    path: Path,
    checksum: Checksum | None = None,
    *,
    track: ByteTrack = untracked_bytes,
    patience: RetryPolicy = RetryPolicy(),
) -> Path:
    """A file, fetched if it is not there or is not the one that was published.

    Its checksum is computed the first time that the file is used, and again when its length or its date has changed; a
    note beside the file says when that was. Of processes that want the same file at once one fetches it, and the
    others wait. A download that was cut goes on where it ended.

    Args:
        url: http or https.
        path: where the file is kept; folders above are made.
        checksum: as published; None where none is, and the file must stay the one that came first.
        track: shows the bytes as they arrive.
        patience: with the server.

    Returns:
        `path`.

    Raises:
        InputError: the file cannot be fetched; the sentence says where it can be put by hand.

    Example:
        >>> cached_download("https://example.org/vgg16.h5", Path("models/vgg16.h5"), Checksum("md5", "6437…"))
        PosixPath('models/vgg16.h5')
    """
    if _is_good(path, checksum):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path):
            # Another process may have been here meanwhile.
            if not _is_good(path, checksum):
                _fetched(url, path, checksum, track, patience)
    except OSError as error:
        raise InputError(f"{path} cannot be kept: {format_os_error(error)}.") from None
    return path


def _fetched(url: str, path: Path, checksum: Checksum | None, track: ByteTrack, patience: RetryPolicy) -> None:
    folder = _beside(path, "download")
    try:
        arrived = fetch(url, folder, track=track, patience=patience)
    except InputError as refused:
        reason = str(refused).removesuffix(".")
        raise InputError(f"{reason}; get it elsewhere and put it as {path.name} into {path.parent}.") from None
    found = Checksum.of(arrived, checksum.algorithm if checksum else "sha256")
    good = checksum is None or found.digits.startswith(checksum.digits)
    if good:
        os.replace(arrived, path)
        _note(path, checksum or found)
    shutil.rmtree(folder, ignore_errors=True)
    if not good:
        raise InputError(f"what {url} gives is not the file that was published: it is {found}, not {checksum}.")


def _is_good(path: Path, checksum: Checksum | None) -> bool:
    """Whether the file is there, and is what it was published as, or else what it was at first."""
    if not path.is_file():
        return False
    state, noted = _noted(path)
    if state == _state(path) and checksum in (None, noted):
        return True
    expected = checksum or noted
    if expected and not expected.matches(path):
        return False
    # Without any, it was put there by hand.
    _note(path, expected or Checksum.of(path))
    return True


def _state(path: Path) -> list[int]:
    """What changes when a file does."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _noted(path: Path) -> tuple[list[int] | None, Checksum | None]:
    """How the file was when its checksum was computed, and which it had."""
    try:
        note = json.loads(_beside(path, "checked.json").read_text("utf-8"))
        return note["state"], Checksum(**note["checksum"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, None


def _note(path: Path, checksum: Checksum) -> None:
    # A folder that others look after may not be written to; the checksum is then computed every time.
    with contextlib.suppress(OSError), atomic_write(_beside(path, "checked.json")) as file:
        note = {"state": _state(path), "checksum": vars(checksum)}
        file.write(json.dumps(note).encode())


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f".{path.name}.{what}")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Waits for every process that is in here for the same file; one that is killed leaves the lock to the next."""
    with _beside(path, "lock").open("a") as lock:
        with contextlib.suppress(ImportError):  # Windows has none
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
