"""What the readers of archives give: one entry after the other, each with its bytes or with what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Bytes read or unpacked at a time; no entry is ever held as a whole.
CHUNK = 1 << 18


@dataclass(frozen=True)
class ArchiveEntry:
    """A file in an archive. Folders are no entries: those that hold files follow from the names.

    Attributes:
        name: as the archive has it, which may be anything.
        problem: why it cannot be unpacked, as a phrase; None when it can.
        contents: its bytes, piece by piece, to be read before the next entry is asked for; may raise
            `DamagedEntryError` or `DamagedArchiveError` at any piece.
    """

    name: str
    problem: str | None = None
    contents: Iterable[bytes] = ()


@dataclass(frozen=True)
class SkippedFile:
    """A file that is not used, and why."""

    path: str
    reason: str


class DamagedEntryError(Exception):
    """One entry cannot be read, the others may; the message is the reason, as a phrase."""


class DamagedArchiveError(Exception):
    """The archive cannot be read any further; the message is the reason, as a phrase."""
