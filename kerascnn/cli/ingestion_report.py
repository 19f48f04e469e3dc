"""Prints a data set's layout, its classes, and every file that is not used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from kerascnn.console import BOX

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from kerascnn.data import DataSet, Ingested
    from kerascnn.data.ingestion.image_check import FileRecord

MAX_LISTED_FILES = 20
MAX_LISTED_GROUPS = 5

# The ratio of the largest to the smallest class from which a warning is printed.
MAX_IMBALANCE = 3


def print_summary(console: Console, found: Ingested, used: DataSet) -> None:
    """Prints, before a training, the classes, the part that is used, and problems."""
    names = used.class_names
    first_names = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    _print(
        console,
        f"{used.name}: {len(used.training)} training and {len(used.validation)} validation images of "
        f"{len(names)} classes ({first_names})",
        *([f"recognized: {found.layout}"] if found.files else []),
        *_skipped_files(found),
        *_data_problems(found),
    )


def print_report(console: Console, found: Ingested, records: Path | None = None) -> None:
    """Prints everything that is known of a source, and the folder of its TFRecord shards if they were written."""
    data = found.data
    _print(console, f"{data.name}: {found.layout}")
    table = Table("class", "training", "validation", box=BOX)
    table.columns[1].justify = table.columns[2].justify = "right"
    for name, *counts in zip(
        data.class_names, _counts(data.training, data), _counts(data.validation, data), strict=True
    ):
        table.add_row(name, *map(str, counts))
    table.add_section()
    table.add_row("all", str(len(data.training)), str(len(data.validation)))
    console.print(table)
    written = [f"written as TFRecord shards to {records}"] if records else []
    _print(console, *_files(found), *_skipped_files(found), *_ignored_files(found), *_data_problems(found), *written)


def _counts(examples, data: DataSet) -> np.ndarray:
    return np.bincount(examples.labels, minlength=len(data.class_names))


def _files(found: Ingested) -> Iterator[str]:
    if not found.files:
        return
    read = found.with_status("read")
    yield f"{len(found.files)} files, {len(read)} of them read: {_join_counts(found.format_counts())}"
    if any(file.warnings for file in read):
        count = sum(bool(file.warnings) for file in read)
        yield f"{count} are read with warnings: {_join_counts(dict(found.warning_counts().most_common()))}"
    test_images = sum(file.split == "test" for file in read)
    if test_images:
        yield f"{test_images} test images are not used in training"
    if found.manifest:
        yield f"manifest: {found.manifest}"


def _join_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _skipped_files(found: Ingested) -> Iterator[str]:
    yield from _listed_files(found.with_status("unreadable"), "skipped, not readable as images:")
    yield from _listed_files(found.with_status("rejected"), "rejected, not unpacked from the archive:")


def _ignored_files(found: Ingested) -> Iterator[str]:
    if found.moved:
        yield f"moved to {found.quarantine}; its list.jsonl has the reasons"
    yield from _listed_files(found.with_status("ignored"), "ignored, no images of any class:")


def _listed_files(files: Sequence[FileRecord], title: str) -> Iterator[str]:
    if files:
        yield f"{len(files)} {'file' if len(files) == 1 else 'files'} {title}"
        yield from _listed([f"{file.path}: {file.reason}" for file in files], MAX_LISTED_FILES)


def _data_problems(found: Ingested) -> Iterator[str]:
    """What will make scores better or worse than they should be."""
    data, duplicates = found.data, found.duplicates
    for groups, problem in (
        (duplicates.across_splits, "both in training and in validation or test, which makes scores too good"),
        (duplicates.across_classes, "in two classes"),
    ):
        if groups:
            yield f"{len(groups)} {'image is' if len(groups) == 1 else 'images are'} {problem}:"
            yield from _listed([" = ".join(group) for group in groups], MAX_LISTED_GROUPS)
    if duplicates.groups:
        spare = sum(len(group) - 1 for group in duplicates.groups)
        yield f"{spare} {'file is an exact copy' if spare == 1 else 'files are exact copies'} of others"
    if data.imbalance() > MAX_IMBALANCE:
        counts = _counts(data.training, data)
        largest, smallest = data.class_names[counts.argmax()], data.class_names[counts.argmin()]
        yield (
            f"'{largest}' has {data.imbalance():.1f} times as many training images as '{smallest}'; "
            "'kerascnn train --class-weights balanced' compensates for this"
        )


def _listed(items: Sequence[str], limit: int) -> Iterator[str]:
    yield from (f"  {item}" for item in items[:limit])
    if len(items) > limit:
        yield f"  and {len(items) - limit} more"


def _print(console: Console, *lines: str) -> None:
    for line in lines:
        text = line.encode("utf-8", "replace").decode()
        console.print(text, highlight=False, markup=False, soft_wrap=True)
