"""Archives made in memory, and what came out of them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import zstandard

NOISE = np.random.default_rng(0).bytes(300_000)
FILES = {"cat/1.jpg": NOISE[:3000], "cat/2.jpg": b"", "dog/deep/er/1.jpg": NOISE, "readme.txt": b"words " * 5000}
# How a .tar is compressed, by suffix.
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
    ".tar.zst": lambda packed: zstandard.ZstdCompressor().compress(packed),
}


def tarred(entries: Iterable[tuple[str | tarfile.TarInfo, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    """A .tar of names and contents, or of headers and contents."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as packed:
        for entry, contents in entries:
            header = tarfile.TarInfo(entry) if isinstance(entry, str) else entry
            header.size = len(contents)
            packed.addfile(header, io.BytesIO(contents))
    return buffer.getvalue()


def zipped(entries: Iterable[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A .zip of names and contents, or of headers and contents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as packed:
        for name, contents in entries:
            packed.writestr(name, contents)
    return buffer.getvalue()


def packed(folder: Path, suffix: str, entries: Mapping[str, bytes] | list) -> Path:
    """An archive `set` with a suffix in a folder."""
    entries = list(entries.items()) if isinstance(entries, Mapping) else entries
    file = folder / f"set{suffix}"
    file.write_bytes(zipped(entries) if suffix == ".zip" else PACKERS[suffix](tarred(entries)))
    return file


def found(folder: Path) -> dict[str, bytes]:
    """The files below a folder and their contents."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def reasons(skipped) -> dict[str, str]:
    """The reason why each path was skipped."""
    return {item.path: item.reason for item in skipped}
