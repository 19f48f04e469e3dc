"""A reader of untrusted .zip files (APPNOTE.TXT 6.3.10, .ZIP File Format Specification).

Python's zipfile rejects a whole archive for one name that is not the UTF-8 it claims to be, and an entry whose two
names differ; it holds the whole directory in memory; before Python 3.11.8 it accepts overlapping entries, and it never
reports an entry that is longer than its declared size as such.
"""

import bz2
import stat
import struct
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kerascnn.files.archives.archive_entry import (
    CHUNK,
    ArchiveEntry,
    DamagedArchiveError,
    DamagedEntryError,
    read_chunks,
)
from kerascnn.files.file_names import decode_name

# Sections 4.3.7, 4.3.12, 4.3.14, 4.3.15 and 4.3.16, each with its signature.
LOCAL_HEADER = struct.Struct("<4s5H3L2H")
DIRECTORY_HEADER = struct.Struct("<4s6H3L5H2L")
END64 = struct.Struct("<4sQ2H2L4Q")
END64_LOCATOR = struct.Struct("<4sLQL")
END = struct.Struct("<4s4H2LH")

MAX_COMMENT_LENGTH = 0xFFFF
ENCRYPTED = 0x1
STORED, DEFLATED, DEFLATED64, BZIP2 = 0, 8, 9, 12
ENCRYPTED_PROBLEM = "it is encrypted"


@dataclass(frozen=True)
class _DirectoryRecord:
    """An entry in the directory; `offset` counts from the start of the file, `packed` is its compressed size."""

    name: str
    flags: int
    method: int
    checksum: int
    packed: int
    size: int
    offset: int
    mode: int

    @property
    def end(self) -> int:
        return self.offset + LOCAL_HEADER.size + self.packed


class ZipReader:
    """Reads the entries of a .zip file, as the directory at its end lists them.

    `declared_size` is the sum of the entries' unpacked sizes by the directory, in bytes. DamagedArchiveError if the
    directory is missing or damaged, or entries overlap.
    """

    def __init__(self, path: Path):
        self._path = path
        with path.open("rb") as file:
            self._start, self._size, self._shift = _find_directory(file, path.stat().st_size)
        self.declared_size = 0
        # In zip bombs many entries share one body (D. Fifield, "A better zip bomb", WOOT 2019).
        starts, ends = array("q"), array("q")
        for record in self._records():
            self.declared_size += record.size
            if not self._is_outside(record):
                starts.append(record.offset)
                ends.append(record.end)
        order = np.argsort(np.asarray(starts), kind="stable")
        if (np.asarray(starts)[order][1:] < np.asarray(ends)[order][:-1]).any():
            raise DamagedArchiveError("its entries overlap, as in a zip bomb")

    def entries(self) -> Iterator[ArchiveEntry]:
        """Yields every entry that is no folder, in the directory's order."""
        with self._path.open("rb") as file:
            for record in self._records():
                if record.size or not (record.name.endswith(("/", "\\")) or stat.S_ISDIR(record.mode)):
                    yield ArchiveEntry(record.name, self._problem(record), _contents(file, record))

    def _is_outside(self, record: _DirectoryRecord) -> bool:
        return record.offset < 0 or record.end > self._start

    def _records(self) -> Iterator[_DirectoryRecord]:
        with self._path.open("rb") as file:
            file.seek(self._start)
            left = self._size
            while left:
                header = file.read(min(left, DIRECTORY_HEADER.size))
                if len(header) < DIRECTORY_HEADER.size or header[:4] != b"PK\1\2":
                    raise DamagedArchiveError("its directory is damaged")
                fields = DIRECTORY_HEADER.unpack(header)
                _, _, _, flags, method, _, _, checksum, packed, size, *lengths, _, _, attributes, offset = fields
                left -= DIRECTORY_HEADER.size + sum(lengths)
                if left < 0:
                    raise DamagedArchiveError("its directory is damaged")
                raw_name, extra, _ = (file.read(length) for length in lengths)
                size, packed, offset = _widen(extra, [size, packed, offset])
                # Flag 11 distinguishes UTF-8 from cp437, but many writers set it wrongly.
                name = decode_name(raw_name, "cp437")
                yield _DirectoryRecord(
                    name, flags, method, checksum, packed, size, offset + self._shift, attributes >> 16
                )

    def _problem(self, record: _DirectoryRecord) -> str | None:
        if stat.S_ISLNK(record.mode):
            return "it is a link"
        if stat.S_IFMT(record.mode) not in (0, stat.S_IFREG):
            return "it is no regular file"
        if record.flags & ENCRYPTED:
            return ENCRYPTED_PROBLEM
        if record.method not in (STORED, DEFLATED, BZIP2):
            name = "Deflate64" if record.method == DEFLATED64 else f"method {record.method}"
            return f"it is compressed with {name}; pack it again with Deflate"
        return "its position in the archive is damaged" if self._is_outside(record) else None


def _find_directory(file: BinaryIO, file_size: int) -> tuple[int, int, int]:
    """Start and size of the directory, and the number of bytes before the archive."""
    file.seek(max(0, file_size - MAX_COMMENT_LENGTH - END.size))
    before, tail = file.tell(), file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or at + END.size > len(tail):
        raise DamagedArchiveError(
            "its directory, at the end of a .zip file, is missing; it was cut short or is no .zip"
        )
    _, disk, _, _, _, size, offset, _ = END.unpack_from(tail, at)
    end = before + at
    locator = end - END64_LOCATOR.size
    if locator >= END64.size:
        file.seek(locator - END64.size)
        end64, locator64 = END64.unpack(file.read(END64.size)), END64_LOCATOR.unpack(file.read(END64_LOCATOR.size))
        if end64[0] == b"PK\6\6" and locator64[0] == b"PK\6\7":
            disk, size, offset, end = end64[4], end64[8], end64[9], locator - END64.size
    if disk not in (0, 0xFFFF):
        raise DamagedArchiveError("it is one part of several")
    start = end - size
    if start < 0 or offset > start:
        raise DamagedArchiveError("its directory is damaged")
    return start, size, start - offset


def _widen(extra: bytes, sizes: list[int]) -> list[int]:
    """Takes the sizes and the offset that need 64 bits from the extra field 1 (section 4.5.3)."""
    at = 0
    while at + 4 <= len(extra) and 0xFFFFFFFF in sizes:
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            wide = extra[at + 4 : at + 4 + length]
            values = iter(struct.unpack(f"<{len(wide) // 8}Q", wide[: len(wide) // 8 * 8]))
            return [next(values, size) if size == 0xFFFFFFFF else size for size in sizes]
        at += 4 + length
    return sizes


def _contents(file: BinaryIO, record: _DirectoryRecord) -> Iterator[bytes]:
    """Yields the entry's bytes, at most its declared size, and verifies size and checksum."""
    file.seek(record.offset)
    header = file.read(LOCAL_HEADER.size)
    if len(header) < LOCAL_HEADER.size or header[:4] != b"PK\3\4":
        raise DamagedEntryError("its header is damaged")
    file.seek(sum(LOCAL_HEADER.unpack(header)[-2:]), 1)
    checksum = size = 0
    packed = read_chunks(file.read, record.packed, DamagedEntryError)
    for piece in packed if record.method == STORED else _decompress(packed, record.method):
        checksum = zlib.crc32(piece, checksum)
        size += len(piece)
        if size > record.size:
            break
        yield piece
    if size != record.size:
        raise DamagedEntryError("it is not as long as the archive says")
    if checksum != record.checksum:
        raise DamagedEntryError("its checksum does not match")


def _decompress(packed: Iterator[bytes], method: int) -> Iterator[bytes]:
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS) if method == DEFLATED else bz2.BZ2Decompressor()
    waiting = b""
    while not decompressor.eof:
        try:
            piece = decompressor.decompress(waiting, CHUNK)
        except (zlib.error, OSError, ValueError):
            raise DamagedEntryError("its compressed data is damaged") from None
        waiting = decompressor.unconsumed_tail if method == DEFLATED else b""
        if piece:
            yield piece
        elif not waiting and not decompressor.eof:
            waiting = next(packed, b"")
            if not waiting:
                raise DamagedEntryError("its compressed data is cut short")
