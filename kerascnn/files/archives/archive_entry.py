"""Entries of archives, and the errors of reading them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

# Bytes read or unpacked at a time; no entry is ever in memory as a whole.
CHUNK = 1 << 18


@dataclass(frozen=True)
class ArchiveEntry:
    """A file in an archive; folders are no entries."""

    name: str  # as in the archive; any text
    problem: str | None = None  # why it cannot be unpacked, as a phrase; None if it can
    # Its bytes in chunks, to be read before the next entry; may raise `DamagedEntryError` or `DamagedArchiveError` at
    # any chunk.
    contents: Iterable[bytes] = ()


@dataclass(frozen=True)
class SkippedFile:
    """A file that is not used, and the reason."""

    path: str
    reason: str


class DamagedEntryError(Exception):
    """One entry cannot be read; others may. The message is a phrase."""


class DamagedArchiveError(Exception):
    """The archive cannot be read further. The message is a phrase."""


def read_chunks(read: Callable[[int], bytes], size: int, error: type[Exception]) -> Iterator[bytes]:
    """The next `size` bytes in chunks; raises `error` if they end before."""
    while size:
        piece = read(min(CHUNK, size))
        if not piece:
            raise error("it is cut short")
        size -= len(piece)
        yield piece
