"""Digests that exported files have of themselves, so that a changed bit is noticed: their formats have none."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from pathlib import Path

from kerascnn.files.user_file import open_file

# The key in a file's metadata, and what comes before its value in JSON.
KEY = "sha256"
MARK, UNKNOWN = f'"{KEY}": "'.encode(), b"0" * 64

CHANGED = f"it has changed since it was written; if that was on purpose, take {KEY} out of its metadata, kerascnn.json"
CHUNK = 1 << 20


def with_digest(metadata: str, digest: str = UNKNOWN.decode()) -> str:
    """Metadata, in JSON, with a digest; by default with the place of one for `seal`."""
    return json.dumps(json.loads(metadata) | {KEY: digest})


def digest_before(path: Path, size: int) -> str:
    """The SHA-256 of the first so many bytes of a file."""
    digest = hashlib.sha256()
    with open_file(path) as file:
        while size > 0 and (piece := file.read(min(size, CHUNK))):
            digest.update(piece)
            size -= len(piece)
    return digest.hexdigest()


def saved_model_digest(folder: Path, but: Path) -> str:
    """The SHA-256 of the names and contents of a SavedModel's files but one.

    Servers may add files of their own, and file managers hidden ones, such as .DS_Store.
    """
    digest = hashlib.sha256()
    found = (path for part in ("saved_model.pb", "variables/[!.]*", "assets/[!.]*") for path in folder.glob(part))
    for path in sorted(path for path in found if path.is_file() and path != but):
        line = f"{path.relative_to(folder).as_posix()} {digest_before(path, path.stat().st_size)}\n"
        digest.update(os.fsencode(line))
    return digest.hexdigest()


def seal(path: Path) -> None:
    """Writes a file's digest into the last place that `with_digest` has left for it."""
    place, digest = _around(path)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(digest)


def check_seal(path: Path) -> None:
    """ValueError if a file is not as `seal` left it; files without a digest pass."""
    place, digest = _around(path)
    if place is not None:
        with open_file(path) as file:
            file.seek(place)
            if file.read(len(UNKNOWN)) != digest:
                raise ValueError(CHANGED)


def _around(path: Path) -> tuple[int | None, bytes]:
    """Where the digest of a file is, and the SHA-256 of the file without it."""
    digest = hashlib.sha256()
    with open_file(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as contents:
        found = contents.rfind(MARK)
        if found < 0:
            return None, b""
        place = found + len(MARK)
        for start, end in ((0, place), (place + len(UNKNOWN), len(contents))):
            for at in range(start, end, CHUNK):
                digest.update(contents[at : min(at + CHUNK, end)])
    return place, digest.hexdigest().encode()
