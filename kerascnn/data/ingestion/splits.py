"""Splits images into training and validation data, and finds duplicates."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kerascnn.data.dataset import ArrayExamples
from kerascnn.data.ingestion.data_options import DataOptions
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


def split_by_content(
    files: Sequence[FileRecord], options: DataOptions = DataOptions(), near: Iterable[Sequence[int]] = ()
) -> list[FileRecord]:
    """Assigns every readable file that is no test image to training or validation by the hash of its contents alone.

    An image is for validation if its SHA-256, read as a number, lies in the lowest fifth of all hashes, or in another
    `validation_fraction`. So its split does not depend on the machine, its name or other images, and copies of an image
    are in one split. Of n images of a class 20 % ± 40 / sqrt(n) percentage points are held out. If all images of a
    class are in one split, the one with the hash next to the threshold changes sides; only there an image's split can
    change when others are added.

    A fold is the k-th of n parts of each class, in the order of the hashes: the parts of a class are of equal size, and
    an image can move to the next fold when others are added.

    Args:
        files: of which the readable ones get another split.
        options: the share, the fold, or the source of the validation images.
        near: groups of near-duplicates, as indices of `files`. One is held out as a whole, and so are images with the
            same `group`.

    Raises:
        InputError: no image can be held out, because every class is one group.
    """
    chosen = [index for index, file in enumerate(files) if file.status == READ and file.split != TEST]
    units = _units(files, chosen, near)
    members: dict[str, Counter[str]] = defaultdict(Counter)
    for index in chosen:
        for name in files[index].classes or NO_CLASS:
            members[name][units[index]] += 1
    if options.validation_source:
        held_out = set()
    elif options.fold:
        held_out = _fold(members, *options.fold)
    else:
        held_out = _lowest(members, options.validation_fraction or VALIDATION_SHARE)
    if options.group_column and not (held_out or options.validation_source):
        raise InputError(
            f"none of {len(set(units.values()))} values of '{options.group_column}' can be held out whole; "
            "leave out --group-column, or give more images."
        )
    assigned = list(files)
    for index in chosen:
        assigned[index] = replace(files[index], split=VALIDATION if units[index] in held_out else TRAINING)
    return assigned


def split_arrays(
    examples: ArrayExamples, options: DataOptions, groups: Sequence[str] | None = None
) -> tuple[ArrayExamples, ArrayExamples]:
    """The training and the validation images, split by the hash of their pixels as `split_by_content` does.

    `groups` has a name for each image; images of one group are in one split.
    """
    records = [
        FileRecord(
            str(number), _class_of(label), sha256=hashlib.sha256(np.ascontiguousarray(image)).hexdigest(), group=group
        )
        for number, (image, label, group) in enumerate(
            zip(examples.images, examples.labels.tolist(), groups or [None] * len(examples), strict=True)
        )
    ]
    held_out = np.array([record.split == VALIDATION for record in split_by_content(records, options)])
    return examples.take(np.flatnonzero(~held_out)), examples.take(np.flatnonzero(held_out))


def _class_of(label: int | list[int]) -> str | tuple[str, ...]:
    """A name for a label: an index, or a multi-hot row."""
    if isinstance(label, list):
        return tuple(str(column) for column, present in enumerate(label) if present)
    return str(label)


def _units(files: Sequence[FileRecord], chosen: Sequence[int], near: Iterable[Sequence[int]]) -> dict[int, str]:
    """For the index of each chosen file, the hash of what is held out as a whole: its group, or all images like it."""
    digests = {index: files[index].sha256 for index in chosen}
    units = dict(digests)
    for group in near:
        inside = [index for index in group if index in digests]
        if len({digests[index] for index in inside}) > 1:
            units.update(dict.fromkeys(inside, _hash(min(digests[index] for index in inside))))
    # A class of which all images look the same is split image by image.
    different: dict[str, set[str]] = defaultdict(set)
    for index in chosen:
        for name in files[index].classes or NO_CLASS:
            different[name].add(units[index])
    for index in chosen:
        if all(len(different[name]) == 1 for name in files[index].classes or NO_CLASS):
            units[index] = digests[index]
        if files[index].group is not None:
            units[index] = _hash(f"group {files[index].group}")
    return units


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _lowest(members: Mapping[str, Mapping[str, int]], share: float) -> set[str]:
    """The hashes below a share of all hashes; every class with two or more has some on either side."""
    held_out, released = set(), set()
    for hashes in members.values():
        ordered = sorted(hashes)
        low = [digits for digits in ordered if int(digits[:8], 16) / 2**32 < share]
        held_out.update(low or ordered[: len(ordered) > 1])
        released.update(ordered[-1:] if len(low) == len(ordered) else ())
    held_out -= released
    # Of multi-label images, one class may hold out the only images of another.
    for hashes in members.values():
        if held_out.issuperset(hashes):
            held_out.remove(max(hashes))
    return held_out


def _fold(members: Mapping[str, Mapping[str, int]], part: int, parts: int) -> set[str]:
    """The hashes of the k-th of n parts of each class; what belongs to several classes counts in its most frequent."""
    sizes: Counter[str] = Counter()
    home: dict[str, str] = {}
    for name in sorted(members):
        for digits, count in members[name].items():
            sizes[digits] += count
            if digits not in home or count > members[home[digits]][digits]:
                home[digits] = name
    classes = defaultdict(list)
    for digits in sorted(home):
        classes[home[digits]].append(digits)
    held_out = set()
    for ordered in classes.values():
        # Classes begin with different folds, so that those of few images do not all leave out the last ones.
        first, total, before = int(ordered[0], 16), sum(sizes[digits] for digits in ordered), 0
        for digits in ordered:
            middle = 2 * before + sizes[digits]
            if len(ordered) > 1 and (first + middle * parts // (2 * total)) % parts == part - 1:
                held_out.add(digits)
            before += sizes[digits]
    return held_out


@dataclass(frozen=True)
class Duplicates:
    """Groups of files with equal contents, or that look the same, each a tuple of paths.

    Attributes:
        groups: all with equal contents.
        across_splits: those in more than one split: images that are trained on and validated with.
        across_classes: those in more than one class: images with contradictory labels.
        near: groups of near-duplicates: images that look the same, and not all with equal contents.
        near_across_splits: those in more than one split.
    """

    groups: tuple[tuple[str, ...], ...] = ()
    across_splits: tuple[tuple[str, ...], ...] = ()
    across_classes: tuple[tuple[str, ...], ...] = ()
    near: tuple[tuple[str, ...], ...] = ()
    near_across_splits: tuple[tuple[str, ...], ...] = ()


def find_duplicates(files: Sequence[FileRecord], near: Iterable[Sequence[int]] = ()) -> Duplicates:
    """Finds the readable files that have equal contents, or are in groups of near-duplicates, given as indices."""
    by_digest = defaultdict(list)
    for file in files:
        if file.status == READ:
            by_digest[file.sha256].append(file)
    groups = [group for group in by_digest.values() if len(group) > 1]
    near_groups = _differing(([files[index] for index in group] for group in near), "sha256")

    def paths(found: Sequence[Sequence[FileRecord]]) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(file.path for file in group) for group in found)

    return Duplicates(
        paths(_differing(groups, "path")),
        paths(_differing(groups, "split")),
        paths(_differing(groups, "class_name")),
        paths(near_groups),
        paths(_differing(near_groups, "split")),
    )


def _differing(groups: Iterable[Sequence[FileRecord]], field: str) -> list[Sequence[FileRecord]]:
    return [group for group in groups if len({getattr(file, field) for file in group}) > 1]
