"""What the command line says of a data set: the layout, the classes, and every file that is not used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from kerascnn.console import BOX

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from kerascnn.data import DataSet, Ingested
    from kerascnn.data.ingestion.image_check import FileRecord

# Beyond this a list of files hides what it says.
LISTED_FILES = 20
LISTED_GROUPS = 5

# How many times as many images a class may have as another before it is spoken of.
IMBALANCE = 3


def print_summary(console: Console, found: Ingested, used: DataSet) -> None:
    """Says before a training what was found, what of it is used, and what is wrong with it."""
    names = used.class_names
    shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    _print(
        console,
        f"{used.name}: {len(used.training)} training and {len(used.validation)} validation images of "
        f"{len(names)} classes ({shown})",
        *([f"recognized: {found.layout}"] if found.entries else []),
        *_set_aside(found),
        *_doubts(found),
    )


def print_report(console: Console, found: Ingested, records: Path | None = None) -> None:
    """Shows everything that is known of a source, and where it was written as records."""
    data = found.data
    _print(console, f"{data.name}: {found.layout}")
    table = Table("class", "training", "validation", box=BOX)
    table.columns[1].justify = table.columns[2].justify = "right"
    training = np.bincount(data.training.labels, minlength=len(data.class_names))
    validation = np.bincount(data.validation.labels, minlength=len(data.class_names))
    for name, *counts in zip(data.class_names, training, validation, strict=True):
        table.add_row(name, *map(str, counts))
    table.add_section()
    table.add_row("all", str(len(data.training)), str(len(data.validation)))
    console.print(table)
    written = [f"written as TFRecord shards to {records}"] if records else []
    _print(console, *_files(found), *_set_aside(found), *_left_out(found), *_doubts(found), *written)


def _files(found: Ingested) -> Iterator[str]:
    if not found.entries:
        return
    read = found.with_status("read")
    formats = _counted(found.to_dict()["formats"].items())
    yield f"{len(found.entries)} files, {len(read)} of them read: {formats}"
    unusual = sum(bool(entry.remarks) for entry in read)
    if unusual:
        yield f"{unusual} are unusual and read all the same: {_counted(found.remarks().most_common())}"
    apart = sum(entry.split == "test" for entry in read)
    if apart:
        yield f"{apart} images for testing take no part in training"
    if found.manifest:
        yield f"manifest: {found.manifest}"


def _counted(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts)


def _set_aside(found: Ingested) -> Iterator[str]:
    for verdict, what in (
        ("unreadable", "cannot be read as images and {} set aside:"),
        ("refused", "of the archive {} not unpacked:"),
    ):
        entries = found.with_status(verdict)
        if entries:
            yield f"{_number(entries)} {what.format('is' if len(entries) == 1 else 'are')}"
            yield from _listed([f"{entry.path}: {entry.reason}" for entry in entries], LISTED_FILES)


def _left_out(found: Ingested) -> Iterator[str]:
    if found.moved:
        yield f"moved to {found.quarantine}, where list.jsonl tells why"
    ignored = found.with_status("ignored")
    if ignored:
        yield f"{_number(ignored)} left out, being no images of any class:"
        yield from _listed([f"{entry.path}: {entry.reason}" for entry in ignored], LISTED_FILES)


def _number(entries: Sequence[FileRecord]) -> str:
    return f"{len(entries)} {'file' if len(entries) == 1 else 'files'}"


def _doubts(found: Ingested) -> Iterator[str]:
    """What will make results look better or worse than they are."""
    copies = found.copies
    for groups, what in (
        (copies.across_splits, "are both in training and in validation or test, which flatters every score"),
        (copies.across_classes, "are in two classes at once"),
    ):
        if groups:
            yield f"{len(groups)} {'image' if len(groups) == 1 else 'images'} {what}:"
            yield from _listed([" = ".join(group) for group in groups], LISTED_GROUPS)
    if copies.groups:
        spare = sum(len(group) - 1 for group in copies.groups)
        yield f"{spare} {'file is an exact copy' if spare == 1 else 'files are exact copies'} of others"
    data = found.data
    if data.imbalance() > IMBALANCE:
        counts = np.bincount(data.training.labels, minlength=len(data.class_names))
        largest, smallest = data.class_names[counts.argmax()], data.class_names[counts.argmin()]
        yield (
            f"'{largest}' has {data.imbalance():.1f} times as many training images as '{smallest}'; "
            "'kerascnn train --class-weights balanced' evens this out"
        )


def _listed(items: Sequence[str], limit: int) -> Iterator[str]:
    for item in items[:limit]:
        yield f"  {item}"
    if len(items) > limit:
        yield f"  and {len(items) - limit} more"


def _print(console: Console, *lines: str) -> None:
    for line in lines:
        text = line.encode("utf-8", "replace").decode()
        console.print(text, highlight=False, markup=False, soft_wrap=True)
