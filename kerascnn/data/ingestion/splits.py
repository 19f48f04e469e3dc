"""Which images are for training, which for validation, and which are there twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kerascnn.data.ingestion.image_check import READ, FileRecord

TRAINING, VALIDATION, TEST = "training", "validation", "test"

VALIDATION_SHARE = 0.2


def split_by_content(entries: Sequence[FileRecord]) -> list[FileRecord]:
    """Gives every readable entry its split, by the hash of its contents alone.

    An image is for validation when its SHA-256, read as a number, lies in the lowest fifth of all hashes. So it
    stays where it is whatever is added, removed or renamed around it, on every machine, and copies of an image
    are on one side. Of n images of a class 20 % are held out give or take 40 / sqrt(n) points. A class of
    which all images fall on one side has that with the hash next to the threshold put on the other; only there a
    image can change sides when others come.
    """
    digests = defaultdict(set)
    for entry in entries:
        if entry.verdict == READ:
            digests[entry.class_name].add(entry.sha256)
    held, released = set(), set()
    for members in digests.values():
        ordered = sorted(members)
        low = [digest for digest in ordered if _position(digest) < VALIDATION_SHARE]
        held.update(low or ordered[: len(ordered) > 1])
        released.update(ordered[-1:] if len(low) == len(ordered) else ())
    held -= released
    return [
        replace(entry, split=VALIDATION if entry.sha256 in held else TRAINING) if entry.verdict == READ else entry
        for entry in entries
    ]


def _position(digest: str) -> float:
    """Where a hash lies among all hashes, from 0 to 1."""
    return int(digest[:8], 16) / 2**32


@dataclass(frozen=True)
class Duplicates:
    """Groups of files with equal contents, each a tuple of paths.

    Attributes:
        groups: all of them.
        across_splits: those in more than one split, so that an image is trained on and then validated with.
        across_classes: those in more than one class, so that an image's label contradicts itself.
    """

    groups: tuple[tuple[str, ...], ...] = ()
    across_splits: tuple[tuple[str, ...], ...] = ()
    across_classes: tuple[tuple[str, ...], ...] = ()


def duplicates(entries: Sequence[FileRecord]) -> Duplicates:
    """The readable files that are there more than once."""
    by_digest = defaultdict(list)
    for entry in entries:
        if entry.verdict == READ:
            by_digest[entry.sha256].append(entry)
    groups = [group for group in by_digest.values() if len(group) > 1]

    def where(differs) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(entry.path for entry in group) for group in groups if differs(group))

    return Duplicates(
        where(lambda group: True),
        where(lambda group: len({entry.split for entry in group}) > 1),
        where(lambda group: len({entry.class_name for entry in group}) > 1),
    )
