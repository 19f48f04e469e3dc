"""A reader of untrusted .tar files, as a stream (POSIX.1-2017, pax; GNU tar's long names).

Python's tarfile parses the headers, but does not walk them: it would end silently at a damaged header, hold extension
headers of any length in memory, and recurse over chains of them.
"""

import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress

from kerascnn.files.archives.archive_entry import CHUNK, ArchiveEntry, DamagedArchiveError, read_chunks
from kerascnn.files.file_names import decode_name

BLOCK = tarfile.BLOCKSIZE

# Bytes of an extension header, which holds little more than a long name.
MAX_EXTENSION_SIZE = 1 << 20

FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
EXTENSIONS = (*PAX, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
LINKS = (tarfile.LNKTYPE, tarfile.SYMTYPE)
WITHOUT_CONTENTS = (*LINKS, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE)
# GNU tar's folder with a list of its files as contents.
DUMP_FOLDER = b"D"

# The pax records that are needed; others, such as times and rights, are dropped.
NEEDED_RECORDS = (b"path", b"size")
SPARSE_RECORD = b"GNU.sparse"

# Offsets of the flags in GNU's sparse headers that another header follows.
SPARSE_FLAG, SPARSE_EXTENSION_FLAG = 482, 504

DAMAGED_HEADER = "an entry's header is damaged"

Read = Callable[[int], bytes]


def tar_entries(read: Read) -> Iterator[ArchiveEntry]:
    """Yields every entry that is no folder; DamagedArchiveError if a header is damaged, or the end mark is missing.

    `read` gives at most so many of the next unpacked bytes, none at the end; it is read to the end.
    """
    extended: dict[bytes, bytes] = {}
    while any(block := _read_exactly(read, BLOCK)):
        header = _header(block)
        if header.type in EXTENSIONS:
            extended |= _extension(read, header)
            continue
        if header.type == tarfile.GNUTYPE_SPARSE:
            more = block[SPARSE_FLAG]
            while more:
                more = _read_exactly(read, BLOCK)[SPARSE_EXTENSION_FLAG]
        size = header.size
        if header.type in WITHOUT_CONTENTS:
            size = 0
        elif b"size" in extended:
            size = _number(extended[b"size"])
        contents = read_chunks(read, size, DamagedArchiveError)
        if header.type not in (tarfile.DIRTYPE, DUMP_FOLDER):
            raw_name = extended.get(b"path", header.name.encode("utf-8", "surrogateescape"))
            yield ArchiveEntry(decode_name(raw_name, "latin-1"), _problem(header.type, extended), contents)
        # The rest, which the caller has not read.
        for _ in contents:
            pass
        _read_exactly(read, -size % BLOCK)
        extended = {}
    while read(CHUNK):
        pass


def _read_exactly(read: Read, size: int) -> bytes:
    return b"".join(read_chunks(read, size, DamagedArchiveError))


def _header(block: bytes) -> tarfile.TarInfo:
    with suppress(tarfile.HeaderError, ValueError, OverflowError):
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if header.size >= 0:
            return header
    raise DamagedArchiveError(DAMAGED_HEADER)


def _extension(read: Read, header: tarfile.TarInfo) -> dict[bytes, bytes]:
    """The records that an extension header has for the entry after it."""
    if header.size > MAX_EXTENSION_SIZE:
        raise DamagedArchiveError(DAMAGED_HEADER)
    body = _read_exactly(read, header.size + -header.size % BLOCK)[: header.size]
    if header.type not in PAX:
        return {b"path": body.rstrip(b"\0")} if header.type == tarfile.GNUTYPE_LONGNAME else {}
    # Records of the form "length keyword=value" and a line feed; the length is that of the whole record.
    records, at = {}, 0
    while at < len(body) and body[at]:
        digits, space, _ = body[at : at + 20].partition(b" ")
        length = _number(digits)
        record = body[at + len(digits) + 1 : at + length]
        keyword, equals, value = record.partition(b"=")
        if not space or not equals or not record.endswith(b"\n") or at + length > len(body):
            raise DamagedArchiveError(DAMAGED_HEADER)
        if keyword in NEEDED_RECORDS:
            records[keyword] = value[:-1]
        elif keyword.startswith(SPARSE_RECORD):
            records[SPARSE_RECORD] = b""
        at += length
    return records


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 18:
        raise DamagedArchiveError(DAMAGED_HEADER)
    return int(digits)


def _problem(kind: bytes, extended: dict[bytes, bytes]) -> str | None:
    if kind in LINKS:
        return "it is a link"
    if kind == tarfile.GNUTYPE_SPARSE or SPARSE_RECORD in extended:
        return "it is a sparse file"
    return None if kind in FILES else "it is no regular file"
