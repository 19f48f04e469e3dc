"""Unpacking archives of images into a folder, and into no other, whoever made them."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import re
import shutil
import tarfile
import unicodedata
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kerascnn.errors import InputError
from kerascnn.files.archives.archive_entry import ArchiveEntry, DamagedArchiveError, DamagedEntryError, SkippedFile
from kerascnn.files.archives.tar_entries import Stream, tar_entries
from kerascnn.files.archives.zip_entries import ENCRYPTED_PROBLEM, ZipReader
from kerascnn.files.disk_space import LOOK_EVERY, format_os_error, short_of_room
from kerascnn.files.file_names import printable, safe_file_name
from kerascnn.files.progress import ByteTrack, untracked_bytes

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")
SUFFIXES = (".zip", *TAR_SUFFIXES)

# How files begin, with the suffix of what they are.
BEGINNINGS = {
    b"PK\3\4": ".zip",
    b"PK\5\6": ".zip",
    b"\x1f\x8b": ".tar.gz",
    b"BZh": ".tar.bz2",
    b"\xfd7zXZ\0": ".tar.xz",
    b"\x28\xb5\x2f\xfd": ".tar.zst",
}
WEB_PAGE = re.compile(rb"\s*(\xef\xbb\xbf)?\s*(<!doctype html|<html|<head|<\?xml)", re.IGNORECASE)
OTHERS = {b"Rar!": "a .rar archive", b"7z\xbc\xaf\x27\x1c": "a .7z archive", b"%PDF": "a PDF file"}
UNKNOWN = "neither a .zip nor a .tar file"
HEAD = 1024

# Deep enough for any collection, and far from what Python's functions on folders can follow.
DEEPEST = 64

UNFIT_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EEXIST)


@dataclass(frozen=True)
class UnpackLimits:
    """What an archive may unpack to; what is counted are the bytes that really come out.

    Attributes:
        total: bytes.
        ratio: bytes out of one byte in; photographs hardly compress, a bomb reaches a thousand and more.
        ratio_from: bytes up to which the ratio does not matter.
        entries: files.
    """

    total: int = 10**12
    ratio: float = 250.0
    ratio_from: int = 256 << 20
    entries: int = 10**7


def archive_stem(path: Path) -> str | None:
    """The file's name without its archive suffix, or None when it has none."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)] or None
    return None


def recognized(head: bytes) -> str | None:
    """The suffix of the kind of archive that a file is, by its first `HEAD` bytes; None when it is none."""
    # First, because a .tar begins with a name, which may be like anything, and a checksum is hard to meet by chance.
    with suppress(tarfile.HeaderError, ValueError, OverflowError):
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "latin-1", "strict")
        return ".tar"
    return next((suffix for beginning, suffix in BEGINNINGS.items() if head.startswith(beginning)), None)


def unlike_an_archive(head: bytes) -> str:
    """What a file that is no archive is, as a phrase."""
    if not head:
        return "empty"
    if WEB_PAGE.match(head):
        return "a web page, not an archive"
    for beginning, kind in OTHERS.items():
        if head.startswith(beginning):
            return f"{kind}; unpack it and give the folder"
    return UNKNOWN


def unpack(
    archive: Path, folder: Path, limits: UnpackLimits = UnpackLimits(), track: ByteTrack = untracked_bytes
) -> list[SkippedFile]:
    """Unpacks the files of a .zip or .tar archive, the latter bare or compressed, below an empty folder.

    What the file is, its first bytes tell. Names are kept as far as the file system can hold them (`safe_file_name`);
    backslashes separate folders. A second file of a name, or one that differs in case only where the file system
    does not tell cases apart, becomes "name (2)". Files get the rights of any new file. Links, devices, names that
    lead outside, encrypted and damaged entries are set aside. Of an archive that is cut short or damaged as a whole
    nothing is kept.

    Args:
        archive: the file.
        folder: where to; made if it is not there.
        limits: against archives that unpack to more than anyone could want.
        track: shows the bytes as they come out; a .zip and a bare .tar tell beforehand how many there are.

    Returns:
        The entries that were not unpacked, each with its reason.

    Raises:
        InputError: it is no archive, is damaged as a whole, has no entry that can be unpacked, exceeds the limits or
            the disk's room, or `folder` is not empty. `folder` is left as it was.

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
        return _unpacked(archive, folder, limits, track)
    # Whatever ends it, Ctrl-C too, leaves nothing half-written.
    except BaseException as error:
        _clear(folder, existed)
        if isinstance(error, DamagedArchiveError):
            raise InputError(f"{archive} cannot be unpacked: {error}.") from None
        if isinstance(error, OSError):
            raise InputError(f"{archive} cannot be unpacked into {folder}: {format_os_error(error)}.") from None
        raise


def _unpacked(archive: Path, folder: Path, limits: UnpackLimits, track: ByteTrack) -> list[SkippedFile]:
    budget = _Budget(archive, folder, limits)
    places = _Places(folder)
    set_aside, count = [], 0
    # Closed, so that what shows the progress is gone before an error is told.
    with closing(_entries(archive, budget, track)) as entries:
        for count, entry in enumerate(entries, 1):
            if count > limits.entries:
                raise InputError(f"{archive} has more than {limits.entries:,} files, the most that are unpacked.")
            problem = entry.problem or _written(entry, places)
            if problem:
                set_aside.append(SkippedFile(printable(entry.name), problem))
    if set_aside and len(set_aside) == count:
        reasons = {item.reason for item in set_aside}
        if reasons == {ENCRYPTED_PROBLEM}:
            raise DamagedArchiveError("it is encrypted; unpack it with its password and give the folder")
        first = set_aside[0]
        raise DamagedArchiveError(f"none of its {count} files can be, beginning with {first.path}: {first.reason}")
    return set_aside


def _entries(archive: Path, budget: _Budget, track: ByteTrack) -> Generator[ArchiveEntry, None, None]:
    with archive.open("rb") as file:
        head = file.read(HEAD)
    kind = recognized(head)
    # Archives that unpack themselves are .zip files with a program before them.
    if kind is None and archive.suffix.lower() == ".zip" and unlike_an_archive(head) == UNKNOWN:
        kind = ".zip"
    if kind == ".zip":
        reader = ZipReader(archive)
        budget.expect(reader.declared)
        with budget.followed(track, reader.declared):
            for entry in reader.entries():
                yield ArchiveEntry(entry.name, entry.problem, budget.counted(entry.contents))
    elif kind is None:
        raise DamagedArchiveError(f"it is {unlike_an_archive(head)}")
    else:
        total = archive.stat().st_size if kind == ".tar" else None
        with _decompressed(archive, kind) as stream, budget.followed(track, total):
            yield from tar_entries(_CountedStream(stream, budget))


@contextmanager
def _decompressed(archive: Path, kind: str) -> Iterator[Stream]:
    openers = {".tar": open, ".tar.gz": gzip.open, ".tar.bz2": bz2.open, ".tar.xz": lzma.open}
    if kind in openers:
        with openers[kind](archive, "rb") as stream:
            yield stream
        return
    import zstandard

    with archive.open("rb") as file:
        yield zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)


class _Budget:
    """Keeps count of what comes out of an archive."""

    def __init__(self, archive: Path, folder: Path, limits: UnpackLimits):
        self._archive, self._folder, self._limits = archive, folder, limits
        self._packed = archive.stat().st_size
        self._spent = self._seen = 0
        self._tick: Callable[[int], object] = lambda size: None
        self.expect(0)

    @contextmanager
    def followed(self, track: ByteTrack, total: int | None) -> Iterator[None]:
        """Shows meanwhile how much was spent, of `total` bytes where that is known."""
        with track(f"Unpacking {printable(self._archive.name)}", total, 0) as self._tick:
            yield

    def expect(self, size: int) -> None:
        """Sees whether there is room for so many bytes more."""
        free = short_of_room(self._folder, size)
        if free is not None:
            more = self._spent + size
            raise InputError(
                f"{self._archive} unpacks to {more:,} bytes or more, and {self._folder} has room for {free:,} only."
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
        if self._spent >= self._seen + LOOK_EVERY:
            self._seen = self._spent
            self.expect(0)

    def counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.spend(len(piece))
            yield piece


class _CountedStream:
    """Unpacked bytes of a .tar file, headers and skipped entries included, on the account of a budget."""

    def __init__(self, stream: Stream, budget: _Budget):
        self._stream, self._budget = stream, budget

    def read(self, size: int, /) -> bytes:
        try:
            data = self._stream.read(size)
        except EOFError:
            raise DamagedArchiveError("it is cut short") from None
        # zlib, lzma, bz2 and zstandard have an error each.
        except Exception as error:
            raise DamagedArchiveError(f"its compressed data is damaged ({str(error).rstrip('.')})") from None
        self._budget.spend(len(data))
        return data


class _Places:
    """Gives every entry a path of its own below a folder, and makes the folders on the way."""

    def __init__(self, folder: Path):
        self._folders = {(): folder}
        # How often each name was wanted, so that a million entries of one name take no million million tries.
        self._taken: dict[tuple[Path, str], int] = {}
        self._tells_cases = _tells_cases(folder)

    def place(self, parts: tuple[str, ...]) -> Path:
        """A path that does not exist yet."""
        return self._free(self._folder(parts[:-1]), parts[-1])

    def _folder(self, parts: tuple[str, ...]) -> Path:
        if parts not in self._folders:
            path = self._free(self._folder(parts[:-1]), parts[-1])
            path.mkdir()
            self._folders[parts] = path
        return self._folders[parts]

    def _free(self, parent: Path, name: str) -> Path:
        wanted, candidate = self._key(parent, safe_file_name(name)), safe_file_name(name)
        while self._key(parent, candidate) in self._taken:
            self._taken[wanted] += 1
            candidate = safe_file_name(name, f" ({self._taken[wanted]})")
        self._taken[self._key(parent, candidate)] = 1
        return parent / candidate

    def _key(self, parent: Path, name: str) -> tuple[Path, str]:
        return parent, name if self._tells_cases else unicodedata.normalize("NFC", name).casefold()


def _tells_cases(folder: Path) -> bool:
    probe = folder / "kerascnn-case"
    probe.touch()
    try:
        return not probe.with_name("KERASCNN-CASE").exists()
    finally:
        probe.unlink()


def _written(entry: ArchiveEntry, places: _Places) -> str | None:
    """Writes an entry to its place; the problem, when there is one."""
    parts = tuple(part for part in entry.name.replace("\\", "/").split("/") if part not in ("", "."))
    if ".." in parts or entry.name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[/\\]", entry.name):
        return "its name leads outside the archive"
    if not parts:
        return "it has no name"
    if len(parts) > DEEPEST:
        return f"it lies more than {DEEPEST} folders deep"
    path = None
    try:
        path = places.place(parts)
        with path.open("xb") as file:
            for piece in entry.contents:
                file.write(piece)
    except (DamagedEntryError, OSError) as error:
        if path:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno not in UNFIT_NAME:
            raise
        return str(error) if isinstance(error, DamagedEntryError) else "the file system cannot hold its name"
    return None


def _clear(folder: Path, keep: bool) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            os.unlink(entry)
    if not keep:
        folder.rmdir()
