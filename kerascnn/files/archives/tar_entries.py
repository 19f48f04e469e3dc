"""Reading .tar files that nobody vouches for, as a stream (POSIX.1-2017, pax; GNU tar's long names).

Headers are taken apart by Python's tarfile. Its own walk over them would end in silence at a damaged one, hold
extension headers of any length in memory, and follow chains of them until Python's stack ends.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import Protocol

from kerascnn.files.archives.archive_entry import CHUNK, ArchiveEntry, DamagedArchiveError
from kerascnn.files.file_names import decoded

BLOCK = tarfile.BLOCKSIZE

# Bytes of an extension header, which hold little more than a long name.
LONGEST_EXTENSION = 1 << 20

FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
EXTENSIONS = (*PAX, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
LINKS = (tarfile.LNKTYPE, tarfile.SYMTYPE)
WITHOUT_CONTENTS = (*LINKS, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE)
# GNU tar's folder with a list of its files as contents.
DUMP_FOLDER = b"D"

# What matters of pax headers; the rest, times and rights and the like, is not kept.
KEPT_RECORDS = (b"path", b"size")
SPARSE_RECORD = b"GNU.sparse"

# Where GNU's sparse headers say that another one follows.
SPARSE_FLAG, SPARSE_EXTENSION_FLAG = 482, 504


class Stream(Protocol):
    """Unpacked bytes, in order."""

    def read(self, size: int, /) -> bytes: ...


def tar_entries(stream: Stream) -> Iterator[ArchiveEntry]:
    """Every entry that is no folder; reads the stream to its end.

    Raises:
        DamagedArchiveError: a header is damaged, or the mark that ends every .tar file is missing.
    """
    extended: dict[bytes, bytes] = {}
    while any(block := _exactly(stream, BLOCK)):
        header = _header(block)
        size = header.size
        if header.type in EXTENSIONS:
            extended |= _extension(stream, header.type, size)
            continue
        if header.type == tarfile.GNUTYPE_SPARSE:
            _skip_sparse_headers(stream, block)
        if header.type in WITHOUT_CONTENTS:
            size = 0
        elif b"size" in extended:
            size = _number(extended[b"size"])
        body = _Body(stream, size)
        if header.type not in (tarfile.DIRTYPE, DUMP_FOLDER):
            raw_name = extended.get(b"path", header.name.encode("utf-8", "surrogateescape"))
            yield ArchiveEntry(decoded(raw_name, "latin-1"), _problem(header.type, extended), body)
        body.skip()
        extended = {}
    while stream.read(CHUNK):
        pass


class _Body:
    """The bytes of one entry."""

    def __init__(self, stream: Stream, size: int):
        self._stream = stream
        self._left = size
        self._padding = -size % BLOCK

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            piece = self._stream.read(min(CHUNK, self._left))
            if not piece:
                raise DamagedArchiveError("it is cut short")
            self._left -= len(piece)
            yield piece

    def skip(self) -> None:
        for _ in self:
            pass
        _exactly(self._stream, self._padding)


def _exactly(stream: Stream, size: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < size:
        piece = stream.read(size - len(pieces))
        if not piece:
            raise DamagedArchiveError("it is cut short")
        pieces += piece
    return bytes(pieces)


def _header(block: bytes) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError, OverflowError):
        raise DamagedArchiveError("an entry's header is damaged") from None
    if header.size < 0:
        raise DamagedArchiveError("an entry's header is damaged")
    return header


def _extension(stream: Stream, kind: bytes, size: int) -> dict[bytes, bytes]:
    """What an extension header says of the entry after it."""
    if size > LONGEST_EXTENSION:
        raise DamagedArchiveError("an entry's header is damaged")
    body = _exactly(stream, size + -size % BLOCK)[:size]
    if kind in PAX:
        return _pax_records(body)
    if kind == tarfile.GNUTYPE_LONGNAME:
        return {b"path": body.rstrip(b"\0")}
    return {}


def _pax_records(body: bytes) -> dict[bytes, bytes]:
    """Records of the form "length keyword=value" and a line feed, the length counting all of it."""
    records, at = {}, 0
    while at < len(body) and body[at]:
        digits, space, _ = body[at : at + 20].partition(b" ")
        length = _number(digits)
        record = body[at + len(digits) + 1 : at + length]
        keyword, equals, value = record.partition(b"=")
        if not space or not equals or not record.endswith(b"\n") or at + length > len(body):
            raise DamagedArchiveError("an entry's header is damaged")
        if keyword in KEPT_RECORDS:
            records[keyword] = value[:-1]
        elif keyword.startswith(SPARSE_RECORD):
            records[SPARSE_RECORD] = b""
        at += length
    return records


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 18:
        raise DamagedArchiveError("an entry's header is damaged")
    return int(digits)


def _skip_sparse_headers(stream: Stream, block: bytes) -> None:
    more = block[SPARSE_FLAG]
    while more:
        more = _exactly(stream, BLOCK)[SPARSE_EXTENSION_FLAG]


def _problem(kind: bytes, extended: dict[bytes, bytes]) -> str | None:
    if kind in LINKS:
        return "it is a link"
    if kind == tarfile.GNUTYPE_SPARSE or SPARSE_RECORD in extended:
        return "it is a sparse file"
    return None if kind in FILES else "it is no regular file"
