"""Downloads that are stored once and verified before use."""

import contextlib
import json
import os
import shutil
from pathlib import Path

from filelock import FileLock

from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_write
from kerascnn.files.checksums import Checksum
from kerascnn.files.disk_space import format_os_error
from kerascnn.files.download import RetryPolicy, download
from kerascnn.files.progress import ByteTrack, untracked_bytes
from kerascnn.shown_text import shown_url


def cached_download(
    url: str,
    path: Path,
    checksum: Checksum | None = None,
    *,
    track: ByteTrack = untracked_bytes,
    retry: RetryPolicy = RetryPolicy(),
) -> Path:
    """Downloads a file to `path`, which it returns, unless it is there and valid.

    Its checksum is computed at first use, and again when its size or date has changed; a hidden JSON file next to it
    records this. Without a published checksum, the file must stay the one that came first. If several processes want
    the file at once, one downloads it and the others wait. An interrupted download resumes; `track` and `retry` are
    those of `download`. InputError if the file cannot be downloaded or stored; it says where to put it by hand.
    """
    if _is_valid(path, checksum):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A killed process releases its lock.
        with FileLock(_hidden(path, "lock")):
            # Another process may have downloaded it meanwhile.
            if not _is_valid(path, checksum):
                _download(url, path, checksum, track, retry)
    except OSError as error:
        raise InputError(f"{path} cannot be stored: {format_os_error(error)}.") from None
    return path


def _download(url: str, path: Path, checksum: Checksum | None, track: ByteTrack, retry: RetryPolicy) -> None:
    folder = _hidden(path, "download")
    try:
        downloaded = download(url, folder, track=track, retry=retry)
    except InputError as error:
        reason = str(error).removesuffix(".")
        raise InputError(f"{reason}; get the file elsewhere and put it as {path.name} into {path.parent}.") from None
    found = Checksum.of(downloaded, checksum.algorithm if checksum else "sha256")
    valid = checksum is None or found.digits.startswith(checksum.digits)
    if valid:
        os.replace(downloaded, path)
        _record(path, checksum or found)
    shutil.rmtree(folder, ignore_errors=True)
    if not valid:
        raise InputError(
            f"the file at {shown_url(url)} is not the published one: its checksum is {found}, not {checksum}."
        )


def _is_valid(path: Path, checksum: Checksum | None) -> bool:
    """Whether the file is there and is the published one, or else the first one."""
    if not path.is_file():
        return False
    try:
        record = json.loads(_hidden(path, "checked.json").read_text("utf-8"))
        state, recorded = record["state"], Checksum(**record["checksum"])
    # Whatever the file holds: the download is then checked by its hash.
    except Exception:
        state, recorded = None, None
    if state == _state(path) and checksum in (None, recorded):
        return True
    expected = checksum or recorded
    if expected and not expected.matches(path):
        return False
    # Without an expected checksum, the user put the file there.
    _record(path, expected or Checksum.of(path))
    return True


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _record(path: Path, checksum: Checksum) -> None:
    # In a read-only folder the checksum is computed every time.
    with contextlib.suppress(OSError), atomic_write(_hidden(path, "checked.json")) as file:
        file.write(json.dumps({"state": _state(path), "checksum": vars(checksum)}).encode())


def _hidden(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}.{suffix}")
