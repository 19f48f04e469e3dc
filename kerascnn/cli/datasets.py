"""`kerascnn ingest`; loads data sets, and reports their layout, classes, and every file that is not used."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.cli.arguments import SOURCES, Subcommands, add_source_options, data_options
from kerascnn.cli.loading import print_json, print_message
from kerascnn.errors import InputError, first_of

if TYPE_CHECKING:
    from rich.console import Console

    from kerascnn.data import DataOptions, DataSet, Ingested, IngestedPart, LabeledImages
    from kerascnn.data.ingestion.checking import Effort
    from kerascnn.data.ingestion.file_table import FileTable
    from kerascnn.data.ingestion.image_check import FileRecord

# Before a training, and by `kerascnn ingest`.
MAX_LISTED_FILES = 20
MAX_REPORTED_FILES = 1000
MAX_LISTED_GROUPS = 5

# Files that are not used although their names or tables promise images, by status.
SKIPPED = {
    "unreadable": "skipped, not readable as images",
    "contradictory": "skipped, in two classes",
    "rejected": "rejected, not unpacked from the archive",
}

# The ratio of the largest to the smallest class from which a warning is printed.
MAX_IMBALANCE = 3


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds `ingest` to the command."""
    parser = subcommands.add(
        "ingest",
        _run_ingest,
        "check every file of a data set, and report classes and problems",
        "kerascnn ingest photos/",
        "kerascnn ingest pets.zip --to pets && kerascnn train --data pets",
        "kerascnn ingest https://example.org/flowers.tar.gz --to flowers --sha256 6a6d3c…",
        "kerascnn ingest photos/ --on-bad move --json",
        "kerascnn ingest /shared/photos --to /shared/checked --shard 2/3",
        "kerascnn ingest photos/ --tfrecord shards && kerascnn train --data shards",
    )
    add = parser.add_argument
    add("source", metavar="SOURCE", help=SOURCES)
    text = "folder for the unpacked images of an archive, the manifest and the quarantine"
    add("--to", type=Path, metavar="FOLDER", help=text)
    text = "files that cannot be read as images: skip (default), end with an error, or move to a quarantine"
    add("--on-bad", choices=("skip", "fail", "move"), default="skip", help=text)
    add("--sha256", metavar="HEX", help="the archive's expected SHA-256")
    text = "check the I-th of N parts, on each of N machines; the last one puts them together"
    add("--shard", metavar="I/N", help=text)
    add_source_options(parser)
    text = "write the images as TFRecord shards with an index to this folder"
    add("--tfrecord", type=Path, metavar="FOLDER", help=text)


def _run_ingest(options: argparse.Namespace) -> int:
    from kerascnn.console import output, track, track_bytes
    from kerascnn.data import ingest, ingest_part, write_records

    given = {"to": options.to, "sha256": options.sha256, "options": data_options(options)}
    given |= {"track": track, "track_bytes": track_bytes}
    if options.shard:
        for name, changed in (("--on-bad", options.on_bad != "skip"), ("--tfrecord", options.tfrecord)):
            if changed:
                raise InputError(f"{name} is for whole sources; leave it out with --shard.")
        return _print_part(ingest_part(options.source, options.shard, **given), options)
    found = ingest(options.source, on_bad=options.on_bad, **given)
    records = write_records(found.data, options.tfrecord, track=track) if options.tfrecord else None
    if options.json:
        print_json({**found.to_dict(), "records": records and str(records)})
    else:
        _print_report(output(), found, records)
    _warn_of_output_inside(found.folder, options.tfrecord)
    return 0


def _print_part(found: IngestedPart, options: argparse.Namespace) -> int:
    from kerascnn.console import output, print_text

    if options.json:
        print_json(found.to_dict())
        return 0
    missing = f"missing: {', '.join(found.missing)}; manifest: {found.manifest}"
    state = missing if found.missing else "all parts are there"
    print_text(output(), f"part {found.part}; {state}", *_checked(found.effort))
    if found.whole:
        _print_report(output(), found.whole)
    return 0


def load(source: str, limit: int | None, options: DataOptions, output: Path | None = None) -> DataSet:
    """Loads the data, and reports on standard error what was found, and whether `output` lies inside it."""
    return load_splits(source, limit, options, output).data


def load_splits(source: str, limit: int | None, options: DataOptions, output: Path | None = None) -> Ingested:
    """As `load`, with what is known of every file."""
    from kerascnn.console import messages, track, track_bytes
    from kerascnn.data import ingest
    from kerascnn.data.dataset import shortened

    found = ingest(source, options=options, track=track, track_bytes=track_bytes)
    loaded = replace(found, data=shortened(found.data, limit))
    _print_summary(messages(), found, loaded.data)
    _warn_of_output_inside(found.folder, output)
    return loaded


def load_all(
    source: str, options: DataOptions, class_names: Collection[str] = (), output: Path | None = None
) -> LabeledImages:
    """As `load`, for all images of a source, of any number of classes.

    `class_names` are the model's, if they are needed to recognize a folder.
    """
    from kerascnn.console import messages, print_text, track
    from kerascnn.data import load_labeled

    images = load_labeled(source, options=options, class_names=class_names, track=track)
    layout = [f"recognized: {images.layout}"] if images.layout else []
    # `kerascnn ingest` takes two classes or more.
    listed = images.listed and len(images.class_names) > 1
    skipped = _skipped_files(images.files, listed, images.source, options)
    count, classes = len(images.examples), len(images.class_names)
    found = f"{count} images of {classes} {'class' if classes == 1 else 'classes'}"
    print_text(messages(), f"{images.name}: {found} ({first_of(images.class_names)})", *layout, *skipped)
    _warn_of_output_inside(Path(images.source), output)
    return images


def _warn_of_output_inside(folder: Path | None, output: Path | None) -> None:
    """Prints a warning if what will be written lies in the folder of images."""
    if output and folder and output.expanduser().resolve().is_relative_to(folder):
        print_message(
            f"{output} is inside the data's folder {folder}; what kerascnn writes there is left out of the data. "
            "Name another folder to keep them apart"
        )


def _print_summary(console: Console, found: Ingested, used: DataSet) -> None:
    """Prints, before a training, the classes, the part that is used, and problems."""
    from kerascnn.console import print_text

    layout = [f"recognized: {found.layout}"] if found.files else []
    skipped = _skipped_files(found.files, found.listed, found.data.source, found.data.options)
    lines = (*layout, *skipped, *_data_problems(found))
    print_text(console, str(used), *lines)


def _print_report(console: Console, found: Ingested, records: Path | None = None) -> None:
    """Prints everything that is known of a source, and the folder of its TFRecord shards, if any."""
    from kerascnn.console import print_text, table

    data = found.data
    print_text(console, f"{data.name}: {found.layout}")
    classes = table("class", "training", "validation", padding=(0, 1))
    counts = data.counts(data.training), data.counts(data.validation)
    for name, training, validation in zip(data.class_names, *counts, strict=True):
        classes.add_row(name, str(training), str(validation))
    classes.add_section()
    classes.add_row("all", str(len(data.training)), str(len(data.validation)))
    console.print(classes)
    written = [f"written as TFRecord shards to {records}"] if records else []
    skipped, ignored = _list_skipped(found.files, MAX_REPORTED_FILES), _ignored_files(found)
    print_text(console, *_files(found), *skipped, *ignored, *_data_problems(found), *written)


def _files(found: Ingested) -> Iterator[str]:
    if not found.files:
        return
    read = found.files.rows(status="read")
    yield f"{len(found.files)} files, {len(read)} of them read: {_join_counts(found.format_counts())}"
    if count := len(read) - found.files.counts("warnings", read).get((), 0):
        yield f"{count} are read with warnings: {_join_counts(found.warning_counts())}"
    if test_images := found.files.counts("split", read).get("test", 0):
        yield f"{test_images} test images are not used in training"
    if found.missing_parts:
        yield f"parts {', '.join(found.missing_parts)} of several machines are missing; their files were checked here"
    if effort := found.effort:
        yield from _checked(effort)
    if found.manifest:
        size = f"{effort.manifest_bytes / 1e6:.1f} MB, read in {effort.manifest_seconds:.1f} s"
        yield f"manifest: {found.manifest} ({size})"


def _checked(effort: Effort) -> Iterator[str]:
    if effort.checked:
        speed = effort.checked / max(effort.seconds, 1e-9)
        yield f"{effort.checked:,} files checked in {effort.seconds:.1f} s, {speed:,.0f} per second"


def _join_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _skipped_files(files: FileTable, listed: bool, source: str, options: DataOptions) -> Iterator[str]:
    """The files that are not used; of those that were `listed` before one line, with the command that lists them."""
    if not listed:
        yield from _list_skipped(files, MAX_LISTED_FILES)
        return
    counts = {title: len(rows) for status, title in SKIPPED.items() if len(rows := files.rows(status=status))}
    if counts:
        command = shlex.join(["kerascnn", "ingest", source, *options.to_command_line()])
        parts = (f"{count} {'file' if count == 1 else 'files'} {title}" for title, count in counts.items())
        yield f"{'; '.join(parts)}; listed by: {command}"


def _list_skipped(files: FileTable, limit: int) -> Iterator[str]:
    for status, title in SKIPPED.items():
        yield from _listed_files(files.with_status(status), f"{title}:", limit)


def _ignored_files(found: Ingested) -> Iterator[str]:
    if found.moved:
        yield f"moved to {found.quarantine}; its list.jsonl has the reasons"
    yield from _listed_files(found.with_status("ignored"), "ignored, no images of any class:", MAX_LISTED_FILES)


def _listed_files(files: Sequence[FileRecord], title: str, limit: int) -> Iterator[str]:
    if files:
        yield f"{len(files)} {'file' if len(files) == 1 else 'files'} {title}"
        yield from _listed([f"{file.path}: {file.reason}" for file in files], limit)


def _data_problems(found: Ingested) -> Iterator[str]:
    """What will make scores better or worse than they should be."""
    data, duplicates = found.data, found.duplicates
    if data.multi_label and found.files:
        counts = found.files.counts("class_name", found.files.rows(status="read"))
        named = {name for names in counts for name in names}
        if missing := sorted(named.difference(data.class_names)):
            yield f"left out, because no training image has them: {', '.join(missing)}"
    for groups, problem in (
        (duplicates.across_splits, "both in training and in validation or test, which makes scores too good"),
        (duplicates.across_classes, "in two classes, by copies with equal contents"),
    ):
        if groups:
            yield f"{len(groups)} {'image is' if len(groups) == 1 else 'images are'} {problem}:"
            yield from _listed([" = ".join(group) for group in groups], MAX_LISTED_GROUPS)
    if duplicates.groups:
        spare = sum(len(group) - 1 for group in duplicates.groups)
        yield f"{spare} {'file is an exact copy' if spare == 1 else 'files are exact copies'} of others"
    if groups := duplicates.near_across_splits:
        count = f"{len(groups)} {'group' if len(groups) == 1 else 'groups'} of near-duplicates"
        yield f"{count} in more than one split, which makes scores too good:"
        yield from _listed([" ~ ".join(group) for group in groups], MAX_LISTED_GROUPS)
    if kept := len(duplicates.near) - len(duplicates.near_across_splits):
        yield f"{kept} {'group' if kept == 1 else 'groups'} of near-duplicates, each in one split"
    unseen = [name for name, count in zip(data.class_names, data.counts(data.validation), strict=True) if not count]
    if unseen:
        yield f"{len(unseen)} of {len(data.class_names)} classes have no validation images: {', '.join(unseen[:5])}"
    if data.imbalance() > MAX_IMBALANCE:
        counts = data.counts(data.training)
        largest, smallest = data.class_names[counts.argmax()], data.class_names[counts.argmin()]
        yield (
            f"'{largest}' has {data.imbalance():.1f} times as many training images as '{smallest}'; "
            "'kerascnn train --class-weights balanced' compensates for this"
        )


def _listed(items: Sequence[str], limit: int) -> Iterator[str]:
    yield from (f"  {item}" for item in items[:limit])
    if len(items) > limit:
        yield f"  and {len(items) - limit} more"
