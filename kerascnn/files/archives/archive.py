"""Unpacks untrusted .zip and .tar archives into one folder, and writes nowhere else."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from zstandard import ZstdDecompressor, ZstdError

from kerascnn.errors import InputError
from kerascnn.files.archives.archive_entry import ArchiveEntry, DamagedArchiveError, DamagedEntryError, SkippedFile
from kerascnn.files.archives.tar_entries import tar_entries
from kerascnn.files.archives.zip_entries import ENCRYPTED_PROBLEM, ZipReader
from kerascnn.files.disk_space import CHECK_EVERY, format_os_error, low_disk_space
from kerascnn.files.file_names import folded, safe_file_name
from kerascnn.files.progress import ByteTrack, untracked_bytes
from kerascnn.shown_text import printable

SUFFIXES = (
    ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst",
)  # fmt: skip

# The first bytes of archives, with the suffix.
SIGNATURES = {
    b"PK\3\4": ".zip",
    b"PK\5\6": ".zip",
    b"\x1f\x8b": ".tar.gz",
    b"BZh": ".tar.bz2",
    b"\xfd7zXZ\0": ".tar.xz",
    b"\x28\xb5\x2f\xfd": ".tar.zst",
}
WEB_PAGE = re.compile(rb"\s*(\xef\xbb\xbf)?\s*(<!doctype html|<html|<head|<\?xml)", re.IGNORECASE)
OTHER_SIGNATURES = {b"Rar!": "a .rar archive", b"7z\xbc\xaf\x27\x1c": "a .7z archive", b"%PDF": "a PDF file"}
UNKNOWN = "neither a .zip nor a .tar file"
HEAD = 1024

# Deep enough for any collection, and within the recursion limits of Python's functions on folders.
MAX_DEPTH = 64

# Raised by the decompressors.
DAMAGED = (OSError, ValueError, zlib.error, lzma.LZMAError, ZstdError)

INVALID_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EEXIST)


@dataclass(frozen=True)
class UnpackLimits:
    """Limits on the unpacked contents of an archive, counted as the bytes come out."""

    total: int = 10**12  # bytes
    ratio: float = 250.0  # unpacked bytes per packed byte; about 1 for photographs, over 1000 for bombs
    ratio_from: int = 256 << 20  # bytes up to which the ratio does not matter
    entries: int = 10**7  # files


def archive_stem(path: Path) -> str | None:
    """The file's name without its archive suffix, or None if it has none."""
    suffix = max(filter(path.name.lower().endswith, SUFFIXES), key=len, default=None)
    return path.name[: -len(suffix)] or None if suffix else None


def archive_suffix(head: bytes) -> str | None:
    """The suffix of the kind of archive, by the file's first `HEAD` bytes; None if it is none."""
    # First, because a .tar begins with a file name, which may look like any signature; its checksum is reliable.
    with suppress(tarfile.HeaderError, ValueError, OverflowError):
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "latin-1", "strict")
        return ".tar"
    return next((suffix for signature, suffix in SIGNATURES.items() if head.startswith(signature)), None)


def describe_other_file(head: bytes) -> str:
    """The kind of a file that is no archive, as a phrase."""
    if not head:
        return "empty"
    if WEB_PAGE.match(head):
        return "a web page, not an archive"
    kind = next((kind for signature, kind in OTHER_SIGNATURES.items() if head.startswith(signature)), None)
    return f"{kind}; unpack it and give the folder" if kind else UNKNOWN


def unpack(
    archive: Path, folder: Path, limits: UnpackLimits = UnpackLimits(), track: ByteTrack = untracked_bytes
) -> list[SkippedFile]:
    """Unpacks the files of a .zip or .tar archive, the latter bare or compressed, into a new or empty folder.

    The first bytes decide the kind of the file. Names stay as they are as far as the file system can hold them
    (`safe_file_name`); backslashes separate folders. A second file of the same name, also in another case on file
    systems that ignore case, becomes "name (2)". Files get default permissions. Links, devices, names that lead outside
    the folder, encrypted and damaged entries are skipped, and returned with the reason. Nothing is left of an archive
    that is cut short or damaged as a whole.

    `limits` are against archive bombs; `track` shows the unpacked bytes, whose number is known beforehand for .zip and
    bare .tar files. InputError if the file is no archive, is damaged as a whole, has no entry that can be unpacked,
    exceeds the limits or the disk space, or `folder` is not empty; `folder` is then left as it was.

    Example:
        >>> unpack(Path("pets.zip"), Path("pets"))
        [SkippedFile(path='../passwd', reason='its name leads outside the archive')]
    """
    existed = folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(f"{folder} is not empty; give a new or an empty folder to unpack {archive} into.")
    except OSError as error:
        raise InputError(f"{archive} cannot be unpacked into {folder}: {format_os_error(error)}.") from None
    try:
        return _unpack(archive, folder, limits, track)
    # Ctrl-C too leaves no unfinished files.
    except BaseException as error:
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink()
        if not existed:
            folder.rmdir()
        if isinstance(error, DamagedArchiveError):
            raise InputError(f"{archive} cannot be unpacked: {error}.") from None
        if isinstance(error, OSError):
            raise InputError(f"{archive} cannot be unpacked into {folder}: {format_os_error(error)}.") from None
        raise


def _unpack(archive: Path, folder: Path, limits: UnpackLimits, track: ByteTrack) -> list[SkippedFile]:
    budget, paths = _Budget(archive, folder, limits), _UniquePaths(folder)
    skipped, count = [], 0
    # Closed, so that the progress bar is gone before an error is printed.
    with closing(_entries(archive, budget, track)) as entries:
        for count, entry in enumerate(entries, 1):
            if count > limits.entries:
                raise InputError(f"{archive} has more than {limits.entries:,} files, the most that are unpacked.")
            problem = entry.problem or _write(entry, paths)
            if problem:
                skipped.append(SkippedFile(printable(entry.name), problem))
    if skipped and len(skipped) == count:
        if {item.reason for item in skipped} == {ENCRYPTED_PROBLEM}:
            raise DamagedArchiveError("it is encrypted; unpack it with its password and give the folder")
        first = skipped[0]
        raise DamagedArchiveError(f"none of its {count} files can be unpacked; the first, {first.path}: {first.reason}")
    return skipped


def _entries(archive: Path, budget: _Budget, track: ByteTrack) -> Generator[ArchiveEntry, None, None]:
    with archive.open("rb") as file:
        head = file.read(HEAD)
    suffix = archive_suffix(head)
    # Self-extracting archives are .zip files with a program before them.
    if suffix is None and archive.suffix.lower() == ".zip" and describe_other_file(head) == UNKNOWN:
        suffix = ".zip"
    if suffix is None:
        raise DamagedArchiveError(f"it is {describe_other_file(head)}")
    if suffix == ".zip":
        reader = ZipReader(archive)
        budget.require_space(reader.declared_size)
        with budget.tracked(track, reader.declared_size):
            for entry in reader.entries():
                yield ArchiveEntry(entry.name, entry.problem, budget.count(entry.contents))
    else:
        total = archive.stat().st_size if suffix == ".tar" else None
        with _open_tar(archive, suffix) as stream, budget.tracked(track, total):
            yield from tar_entries(budget.counting_reader(stream))


def _open_tar(archive: Path, suffix: str) -> BinaryIO:
    if suffix == ".tar.zst":
        return ZstdDecompressor().stream_reader(archive.open("rb"), read_across_frames=True)
    openers = {".tar": open, ".tar.gz": gzip.open, ".tar.bz2": bz2.open, ".tar.xz": lzma.open}
    return openers[suffix](archive, "rb")


class _Budget:
    """Counts the unpacked bytes and enforces the limits."""

    def __init__(self, archive: Path, folder: Path, limits: UnpackLimits):
        self._archive, self._folder, self._limits = archive, folder, limits
        self._packed = archive.stat().st_size
        self._spent = self._checked = 0
        self._tick: Callable[[int], object] = lambda size: None
        self.require_space(0)

    @contextmanager
    def tracked(self, track: ByteTrack, total: int | None) -> Iterator[None]:
        with track(f"Unpacking {printable(self._archive.name)}", total, 0) as self._tick:
            yield

    def require_space(self, size: int) -> None:
        """Raises an error unless the disk has space for `size` bytes more."""
        free = low_disk_space(self._folder, size)
        if free is not None:
            raise InputError(
                f"{self._archive} unpacks to {self._spent + size:,} bytes or more, and {self._folder} has only "
                f"{free:,} bytes free."
            )

    def spend(self, size: int) -> None:
        self._spent += size
        self._tick(size)
        if self._spent > self._limits.total:
            raise InputError(f"{self._archive} unpacks to more than {self._limits.total:,} bytes, the most allowed.")
        if self._spent > max(self._limits.ratio_from, self._limits.ratio * self._packed):
            raise InputError(
                f"{self._archive} unpacks to more than {self._limits.ratio:g} times its size, as a zip bomb does."
            )
        if self._spent >= self._checked + CHECK_EVERY:
            self._checked = self._spent
            self.require_space(0)

    def count(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.spend(len(piece))
            yield piece

    def counting_reader(self, stream: BinaryIO) -> Callable[[int], bytes]:
        """A function that reads a .tar file, and counts headers and skipped entries too."""

        def read(size: int) -> bytes:
            try:
                data = stream.read(size)
            except EOFError:
                raise DamagedArchiveError("it is cut short") from None
            except DAMAGED as error:
                raise DamagedArchiveError(f"its compressed data is damaged ({str(error).rstrip('.')})") from None
            self.spend(len(data))
            return data

        return read


class _UniquePaths:
    """Gives every entry a path of its own below a folder, and makes the folders above it."""

    def __init__(self, folder: Path):
        self._folders = {(): folder}
        # The uses of each name, so that a million entries of one name do not take a million million attempts.
        self._taken: dict[tuple[Path, str], int] = {}
        self._case_sensitive = _is_case_sensitive(folder)

    def path(self, parts: tuple[str, ...]) -> Path:
        """A path that does not exist yet."""
        parent, name = self._folder(parts[:-1]), safe_file_name(parts[-1])
        wanted = key = self._key(parent, name)
        while key in self._taken:
            self._taken[wanted] += 1
            name = safe_file_name(parts[-1], f" ({self._taken[wanted]})")
            key = self._key(parent, name)
        self._taken[key] = 1
        return parent / name

    def _folder(self, parts: tuple[str, ...]) -> Path:
        if parts not in self._folders:
            path = self.path(parts)
            path.mkdir()
            self._folders[parts] = path
        return self._folders[parts]

    def _key(self, parent: Path, name: str) -> tuple[Path, str]:
        return parent, name if self._case_sensitive else folded(name)


def _is_case_sensitive(folder: Path) -> bool:
    probe = folder / "kerascnn-case"
    probe.touch()
    try:
        return not probe.with_name("KERASCNN-CASE").exists()
    finally:
        probe.unlink()


def _write(entry: ArchiveEntry, paths: _UniquePaths) -> str | None:
    """Writes an entry; returns the problem if there is one."""
    parts = tuple(part for part in entry.name.replace("\\", "/").split("/") if part not in ("", "."))
    if ".." in parts or entry.name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[/\\]", entry.name):
        return "its name leads outside the archive"
    if not parts:
        return "it has no name"
    if len(parts) > MAX_DEPTH:
        return f"it lies more than {MAX_DEPTH} folders deep"
    path = None
    try:
        path = paths.path(parts)
        with path.open("xb") as file:
            file.writelines(entry.contents)
    except (DamagedEntryError, OSError) as error:
        if path:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno not in INVALID_NAME:
            raise
        return str(error) if isinstance(error, DamagedEntryError) else "the file system cannot hold its name"
    return None
