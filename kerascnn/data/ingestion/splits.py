"""Splits images into training and validation data, and finds duplicates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.image_check import READ, FileRecord

TRAINING, VALIDATION, TEST = "training", "validation", "test"

# Names of folders and tables, and values in tables.
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), TRAINING),
    **dict.fromkeys(("val", "valid", "validation"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}

VALIDATION_SHARE = 0.2


def split_by_content(files: Sequence[FileRecord], options: DataOptions = DataOptions()) -> list[FileRecord]:
    """Assigns every readable file to training or validation by the hash of its contents alone.

    An image is for validation if its SHA-256, read as a number, lies in the lowest fifth of all hashes. So its split
    does not depend on the machine, its name or other images, and copies of an image are in one split. Of n images of
    a class 20 % ± 40 / sqrt(n) percentage points are held out. If all images of a class are in one split, the one with
    the hash next to the threshold changes sides; only there an image's split can change when others are added.
    """
    part, parts = options.fold or (1, 1 / (options.validation_fraction or VALIDATION_SHARE))
    digests = defaultdict(set)
    for file in files:
        if file.status == READ and file.split != TEST:
            digests[file.class_name].add(file.sha256)
    held_out, released = set(), set()
    for members in digests.values():
        ordered = sorted(members)
        low = [digest for digest in ordered if part - 1 <= parts * int(digest[:8], 16) / 2**32 < part]
        held_out.update(low or ordered[: len(ordered) > 1])
        released.update(ordered[-1:] if len(low) == len(ordered) else ())
    held_out -= released
    return [
        replace(file, split=VALIDATION if file.sha256 in held_out else TRAINING)
        if file.status == READ and file.split != TEST
        else file
        for file in files
    ]


@dataclass(frozen=True)
class Duplicates:
    """Groups of files with equal contents, each a tuple of paths.

    Attributes:
        groups: all of them.
        across_splits: those in more than one split: images that are trained on and validated with.
        across_classes: those in more than one class: images with contradictory labels.
    """

    groups: tuple[tuple[str, ...], ...] = ()
    across_splits: tuple[tuple[str, ...], ...] = ()
    across_classes: tuple[tuple[str, ...], ...] = ()


def find_duplicates(files: Sequence[FileRecord]) -> Duplicates:
    """Finds the readable files that have equal contents."""
    by_digest = defaultdict(list)
    for file in files:
        if file.status == READ:
            by_digest[file.sha256].append(file)
    groups = [group for group in by_digest.values() if len(group) > 1]

    def differing(key: str) -> tuple[tuple[str, ...], ...]:
        found = (group for group in groups if len({getattr(file, key) for file in group}) > 1)
        return tuple(tuple(file.path for file in group) for group in found)

    return Duplicates(differing("path"), differing("split"), differing("class_name"))
