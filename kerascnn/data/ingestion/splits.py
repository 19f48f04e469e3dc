"""Splits images into training and validation data, and finds duplicates."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from kerascnn.data.dataset import ArrayExamples
from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.file_table import FileTable
from kerascnn.data.ingestion.image_check import READ, FileRecord
from kerascnn.errors import InputError

TRAINING, VALIDATION, TEST = "training", "validation", "test"

# Names of folders and tables, and values in tables.
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), TRAINING),
    **dict.fromkeys(("val", "valid", "validation"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}

VALIDATION_SHARE = 0.2

# Multi-label images without a class are split as if they had this one.
NO_CLASS = ("",)

MAX_HASH = np.uint64(2**64 - 1)


def split_by_content(
    files: FileTable, options: DataOptions = DataOptions(), near: Iterable[Sequence[int]] = ()
) -> FileTable:
    """Assigns every readable file that is no test image to training or validation by the hash of its contents alone.

    An image is for validation if its SHA-256, read as a number, lies in the lowest fifth of all hashes, or in another
    `validation_fraction`. So its split does not depend on the machine, its name or other images, and copies of an image
    are in one split. Of n images of a class 20 % ± 40 / sqrt(n) percentage points are held out. If all images of a
    class are in one split, the one with the hash next to the threshold changes sides; only there an image's split can
    change when others are added.

    A fold is the k-th of n parts of each class, in the order of the hashes: the parts of a class are of equal size, and
    an image can move to the next fold when others are added.

    `near` are groups of near-duplicates, as indices of `files`. One is held out as a whole, and so are images with the
    same `group`. InputError if no image can be held out, because every class is one group.
    """
    splits = np.array(files.column("split"), dtype=object)
    chosen = files.rows(status=READ)
    chosen = chosen[splits[chosen] != TEST]
    images, classes = _memberships(files, chosen)
    units = _units(files, chosen, near, images, classes)
    members = _Members.of(classes, units[images])
    if options.validation_source:
        held_out = units[:0]
    elif options.fold:
        if options.fold[1] > len(np.unique(units)):
            raise InputError(
                f"the images can be divided into {len(np.unique(units))} folds at most, not into {options.fold[1]}."
            )
        held_out = _fold(members, *options.fold)
    else:
        held_out = _lowest(members, options.validation_fraction or VALIDATION_SHARE)
    # What several classes share, a group or a multi-label image, may be all that one of them has.
    for _, theirs, _ in members.held_out_by(held_out).by_class():
        if np.isin(theirs, held_out).all():
            held_out = held_out[held_out != theirs[-1]]
    if options.group_column and not (len(held_out) or options.validation_source):
        raise InputError(
            f"none of {len(np.unique(units))} values of '{options.group_column}' can be held out whole; "
            "leave out --group-column, or give more images."
        )
    splits[chosen] = np.where(np.isin(units, held_out), VALIDATION, TRAINING)
    return files.with_column("split", splits)


def groups_of(files: FileTable, near: Sequence[Sequence[int]]) -> np.ndarray | None:
    """For each file the hash, uint64, of what must be in one split with it; None without groups and near-duplicates."""
    if not near and files.distinct("group")[1] in ([None], []):
        return None
    rows = files.rows(status=READ)
    units = np.zeros(len(files), np.uint64)
    units[rows] = _units(files, rows, near, *_memberships(files, rows))
    return units


def check_groups(files: FileTable, column: str) -> None:
    """Raises InputError if images of one group are in several splits, which the source then has of its own."""
    splits, values = files.distinct("split")
    groups, names = files.distinct("group")
    pairs = np.unique(np.stack([groups, splits])[:, files.rows(status=READ)], axis=1).T.tolist()
    split_of: dict[int, int] = {}
    for group, split in pairs:
        first = split_of.setdefault(group, split)
        if first != split and names[group] is not None:
            both = {values[first], values[split]}
            advice = "--val-fraction or --fold splits them anew" if TEST not in both else "leave out one of the two"
            where = " and ".join(sorted(both))
            raise InputError(f"'{names[group]}' of column '{column}' is in the source's {where} images; {advice}.")


def describe_held_out(files: FileTable, options: DataOptions, had_validation: bool) -> str:
    """What the options say about the split, as the end of a layout's description.

    `had_validation` is whether the source has validation images of its own.
    """
    parts = []
    if options.validation_source:
        parts.append(f"validation images from {options.validation_source}")
    elif options.fold:
        parts.append("fold {} of {} held out".format(*options.fold))
    elif options.validation_fraction:
        parts.append(f"{100 * options.validation_fraction:g} % held out by their contents")
    if had_validation and parts:
        parts[0] += ", instead of the source's own validation images"
    if options.group_column:
        numbers, groups = files.distinct("group")
        numbers = numbers[files.rows(status=READ)]
        without = sum(np.count_nonzero(numbers == number) for number, group in enumerate(groups) if group is None)
        none = f", {without} images have none" if without else ""
        count = sum(group is not None for group in groups)
        parts.append(f"{count} groups from column '{options.group_column}', each in one split{none}")
    return "".join(f"; {part}" for part in parts)


def split_arrays(
    examples: ArrayExamples, options: DataOptions, groups: Sequence[str] | None = None
) -> tuple[ArrayExamples, ArrayExamples]:
    """The training and the validation images, split by the hash of their pixels as `split_by_content` does.

    `groups` has a name for each image; images of one group are in one split.
    """
    records = FileTable()
    rows = zip(examples.images, examples.labels.tolist(), groups or [None] * len(examples), strict=True)
    for number, (image, label, group) in enumerate(rows):
        # A multi-hot row as the numbers of its classes.
        several = tuple(str(place) for place, bit in enumerate(label) if bit) if isinstance(label, list) else str(label)
        digest = hashlib.sha256(np.ascontiguousarray(image)).hexdigest()
        records.append(FileRecord(str(number), several, sha256=digest, group=group))
    held_out = np.array([split == VALIDATION for split in split_by_content(records, options).column("split")])
    return examples.take(np.flatnonzero(~held_out)), examples.take(np.flatnonzero(held_out))


def _memberships(files: FileTable, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every class of every chosen file, the file's place among them and the class's among the sorted names."""
    numbers, values = files.distinct("class_name")
    names = [FileRecord("", value).classes or NO_CLASS for value in values]
    place = {name: number for number, name in enumerate(sorted({name for several in names for name in several}))}
    counts = np.array([len(several) for several in names], int)[numbers[chosen]]
    classes = [np.array([place[name] for name in several]) for several in names]
    images = np.repeat(np.arange(len(chosen)), counts)
    if (counts == 1).all():
        return images, np.array([several[0] for several in classes], int)[numbers[chosen]]
    return images, np.concatenate([classes[number] for number in numbers[chosen]])


def _units(
    files: FileTable, chosen: np.ndarray, near: Iterable[Sequence[int]], images: np.ndarray, classes: np.ndarray
) -> np.ndarray:
    """For each chosen file the hash, 64 bits, of what is held out as a whole: its group, or all images like it."""
    digests = files.prefixes("sha256")[chosen]
    units, texts = digests.copy(), files.column("sha256")
    place_of = np.full(len(files), -1)
    place_of[chosen] = np.arange(len(chosen))
    for group in near:
        inside = place_of[np.asarray(group)]
        inside = inside[inside >= 0]
        if len(np.unique(digests[inside])) > 1:
            units[inside] = _hash(min(texts[index] for index in chosen[inside]))
    # A class of which all images look the same is split image by image.
    least, most = np.full(classes.max(initial=0) + 1, MAX_HASH), np.zeros(classes.max(initial=0) + 1, np.uint64)
    np.minimum.at(least, classes, units[images])
    np.maximum.at(most, classes, units[images])
    several = np.zeros(len(chosen), bool)
    np.logical_or.at(several, images, (least != most)[classes])
    units = np.where(several, units, digests)
    numbers, groups = files.distinct("group")
    hashes = np.array([_hash(f"group {group}") for group in groups], np.uint64)
    grouped = np.array([group is not None for group in groups], bool)[numbers[chosen]]
    return np.where(grouped, hashes[numbers[chosen]], units)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8], "big")


class _Members(NamedTuple):
    """How many images of each class are in each unit: one row per class and unit, sorted by class and unit."""

    classes: np.ndarray
    units: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, classes: np.ndarray, units: np.ndarray) -> Self:
        order = np.lexsort((units, classes))
        classes, units = classes[order], units[order]
        starts = np.flatnonzero(np.append(True, (np.diff(classes) != 0) | (units[1:] != units[:-1]))[: len(units)])
        return cls(classes[starts], units[starts], np.diff(np.append(starts, len(units))))

    def held_out_by(self, units: np.ndarray) -> _Members:
        """The rows of the classes all of whose units are among `units`."""
        kept = np.isin(self.classes, self.classes[~np.isin(self.units, units)])
        return _Members(*(column[~kept] for column in self))

    def by_class(self) -> Iterator[_Members]:
        """The rows of each class."""
        bounds = np.flatnonzero(np.diff(self.classes)) + 1
        for parts in zip(*(np.split(column, bounds) for column in self), strict=True):
            if len(parts[0]):
                yield _Members(*parts)


def _lowest(members: _Members, share: float) -> np.ndarray:
    """The units below a share of all hashes; every class with two or more has some on either side."""
    held_out, released = [members.units[:0]], [members.units[:0]]
    for _, units, _ in members.by_class():
        low = np.count_nonzero((units >> np.uint64(32)) / 2**32 < share)
        held_out.append(units[: low or int(len(units) > 1)])
        released.append(units[-1:] if low == len(units) else units[:0])
    return np.setdiff1d(np.concatenate(held_out), np.concatenate(released))


def _fold(members: _Members, part: int, parts: int) -> np.ndarray:
    """The units of the k-th of n parts of each class; what belongs to several classes counts in its most frequent."""
    units, unit_of = np.unique(members.units, return_inverse=True)
    sizes = np.bincount(unit_of, members.counts).astype(int)
    # The last row of each unit is that of the class with most of it, of equal ones the first by name.
    order = np.lexsort((-members.classes, members.counts, unit_of))
    home = np.empty(len(units), int)
    home[unit_of[order]] = members.classes[order]
    order = np.lexsort((units, home))
    held_out = [units[:0]]
    for _, ordered, counts in _Members(home[order], units[order], sizes[order]).by_class():
        middles = 2 * np.cumsum(counts) - counts
        # Classes begin with different folds, so that those of few images do not all leave out the last ones.
        folds = (int(ordered[0]) % parts + middles * parts // (2 * counts.sum())) % parts
        held_out.append(ordered[(folds == part - 1) & (len(ordered) > 1)])
    return np.concatenate(held_out)


@dataclass(frozen=True)
class Duplicates:
    """Groups of files with equal contents, or that look the same, each a tuple of paths."""

    groups: tuple[tuple[str, ...], ...] = ()  # all with equal contents
    across_splits: tuple[tuple[str, ...], ...] = ()  # those in several splits: images that are trained and validated
    across_classes: tuple[tuple[str, ...], ...] = ()  # those in several classes: images with contradictory labels
    near: tuple[tuple[str, ...], ...] = ()  # images that look the same, and not all with equal contents
    near_across_splits: tuple[tuple[str, ...], ...] = ()  # those in several splits


def find_duplicates(files: FileTable, near: Iterable[Sequence[int]] = ()) -> Duplicates:
    """Finds the readable files that have equal contents, or are in groups of near-duplicates, given as indices."""
    rows = files.rows(status=READ)
    prefixes = files.prefixes("sha256")[rows]
    _, number_of, counts = np.unique(prefixes, return_inverse=True, return_counts=True)
    by_digest = defaultdict(list)
    for row in rows[counts[number_of] > 1]:
        by_digest[files.column("sha256")[row]].append(row)
    groups = [group for group in by_digest.values() if len(group) > 1]
    near = _differing(files, near, "sha256")

    def paths(found: Iterable[Sequence[int]]) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(files.column("path")[row] for row in group) for group in found)

    return Duplicates(
        paths(groups),
        paths(_differing(files, groups, "split")),
        paths(_differing(files, groups, "class_name")),
        paths(near),
        paths(_differing(files, near, "split")),
    )


def _differing(files: FileTable, groups: Iterable[Sequence[int]], field: str) -> list[Sequence[int]]:
    values = files.column(field)
    return [group for group in groups if len({values[row] for row in group}) > 1]
