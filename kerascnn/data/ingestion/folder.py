"""Checks a folder of images and makes it a data set."""

import itertools
import json
import os
import shutil
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.data.dataset import DataSet, FileExamples
from kerascnn.data.ingestion.checking import Check, Effort
from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.file_table import FileTable
from kerascnn.data.ingestion.file_tree import walk
from kerascnn.data.ingestion.image_check import CONTRADICTORY, IGNORED, READ, REJECTED, STATUSES, UNREADABLE, FileRecord
from kerascnn.data.ingestion.label_tables import with_groups
from kerascnn.data.ingestion.layouts import recognize_files, recognize_layout
from kerascnn.data.ingestion.manifest import Part, read_own_manifest, write_part
from kerascnn.data.ingestion.near_duplicates import near_duplicates
from kerascnn.data.ingestion.reading import Reading
from kerascnn.data.ingestion.sources import ResolvedSource
from kerascnn.data.ingestion.splits import (
    TEST,
    TRAINING,
    VALIDATION,
    Duplicates,
    check_groups,
    describe_held_out,
    find_duplicates,
    groups_of,
    split_by_content,
)
from kerascnn.data.labeled_images import LabeledImages, Split
from kerascnn.errors import InputError
from kerascnn.files.archives.archive_entry import SkippedFile
from kerascnn.files.progress import Track


@dataclass(frozen=True)
class Ingested:
    """A source after ingestion.

    Attributes:
        data: the data set for training.
        layout: how the classes were recognized, as a phrase.
        files: one record per file, as in the manifest; none for data sets without files.
        effort: what the check took; None for data sets without files.
        listed: whether the earlier manifest has the same unreadable, contradictory and rejected files.
        duplicates: files with equal contents.
        folder: of the images.
        manifest: its path; None if none could be written.
        missing_parts: of several machines' part manifests, such as "2/5"; their files were checked here.
        moved: the number of files moved to `quarantine`.
        quarantine: the folder of moved files; None if none were.
    """

    data: DataSet
    layout: str
    files: FileTable = field(default_factory=FileTable)
    effort: Effort | None = None
    listed: bool = False
    duplicates: Duplicates = field(default_factory=Duplicates)
    folder: Path | None = None
    manifest: Path | None = None
    missing_parts: tuple[str, ...] = ()
    moved: int = 0
    quarantine: Path | None = None

    def with_status(self, status: str) -> list[FileRecord]:
        """The files with a status: "read", "unreadable", "contradictory", "rejected" or "ignored"."""
        return self.files.with_status(status)

    def count(self, status: str) -> int:
        """The number of files with a status."""
        return len(self.files.rows(status=status))

    def warning_counts(self) -> dict[str, int]:
        """The number of read files with each warning, the most frequent first."""
        counts: Counter[str] = Counter()
        for warnings, count in self.files.counts("warnings", self.files.rows(status=READ)).items():
            counts.update(dict.fromkeys(warnings, count))
        return dict(counts.most_common())

    def format_counts(self) -> dict[str, int]:
        """The number of read files of each image format, the most frequent first."""
        return self.files.counts("format", self.files.rows(status=READ))

    def labeled(self, split: Split) -> LabeledImages:
        """The images of a split, or all, also those of test classes that are not trained."""
        if not self.files or split in (TRAINING, VALIDATION):
            return LabeledImages.of(self.data, split)
        data, rows = self.data, self.files.rows(status=READ)
        names = _class_names(self.files, rows)
        examples, rest = _examples(self.folder, self.files, rows, names), (data.layout, data.skipped, self.files)
        return LabeledImages(data.name, data.source, names, examples, *rest, data.workspace).of_split(split)

    def to_dict(self) -> dict[str, Any]:
        """Everything that `kerascnn ingest --json` prints."""
        data = self.data
        of_read = zip(*(self.files.column(name) for name in ("status", "path", "warnings")), strict=True)
        counts = {split: data.counts(getattr(data, split)).tolist() for split in (TRAINING, VALIDATION)}
        return {
            "name": data.name,
            "source": data.source,
            "layout": self.layout,
            "folder": self.folder and str(self.folder),
            "manifest": self.manifest and str(self.manifest),
            "classes": {
                name: {split: counts[split][label] for split in counts} for label, name in enumerate(data.class_names)
            },
            "imbalance": data.imbalance(),
            "class_weights": dict(zip(data.class_names, data.class_weights().T.tolist(), strict=True)),
            "files": {"found": len(self.files), **{status: self.count(status) for status in STATUSES}},
            "effort": self.effort and vars(self.effort),
            "formats": self.format_counts(),
            **{
                status: [{"path": file.path, "reason": file.reason} for file in self.with_status(status)]
                for status in (UNREADABLE, CONTRADICTORY, REJECTED, IGNORED)
            },
            "with_warnings": [
                {"path": path, "warnings": warnings}
                for status, path, warnings in of_read
                if status == READ and warnings
            ],
            "duplicates": {name: list(groups) for name, groups in vars(self.duplicates).items()},
            "missing_parts": list(self.missing_parts),
            "moved_to": str(self.quarantine) if self.moved else None,
        }


def ingest_folder(
    source: ResolvedSource, on_bad: str, track: Track, options: DataOptions, validation: LabeledImages | None = None
) -> Ingested:
    """Recognizes, checks and splits the images of a folder, and writes the manifest; see `ingest`.

    `validation` are the images of `options.validation_source`.
    """
    tree = walk(source.root)
    layout = recognize_files(tree, source.source, options)
    if validation and any(item.split == VALIDATION for item in layout.labeled):
        raise InputError(
            f"{source.source} has validation images of its own; leave out --val-data, or give the folder of its "
            "training images as --data."
        )
    if validation:
        # By its full path, with which it is found from any folder.
        options = replace(options, validation_source=validation.source)
    if options.group_column:
        layout = with_groups(layout, tree, options.group_column)
    return ingest_layout(source, layout, on_bad, track, options, validation)


def ingest_layout(
    source: ResolvedSource,
    layout: Reading,
    on_bad: str,
    track: Track,
    options: DataOptions,
    validation: LabeledImages | None = None,
) -> Ingested:
    """As `ingest_folder`, for files whose classes are known."""
    check = Check(source.manifest, source.source_record, source.root)
    files = _check(source, layout, check, track)
    near = near_duplicates(files.column("perceptual_hash"))
    if options.chooses_validation or all(item.split is None for item in layout.labeled):
        files = split_by_content(files, options, near)
    if options.group_column:
        check_groups(files, options.group_column)
    had_validation = any(item.split == VALIDATION for item in layout.labeled)
    description = layout.description + describe_held_out(files, options, had_validation)
    manifest_path = check.write(files)
    bad = files.with_status(UNREADABLE, REJECTED)
    if on_bad == "fail" and bad:
        raise InputError(
            f"{source.source} has {len(bad)} files that cannot be read; the first is {bad[0].path}: {bad[0].reason}."
        )
    # Not what a table names and is missing: it may lie anywhere.
    found = [files[row] for row in files.rows(status=UNREADABLE) if row < len(layout.labeled)]
    moved = _quarantine(source, found) if on_bad == "move" else 0
    return Ingested(
        data=_data_set(source, files, bad, description, options, validation, groups_of(files, near)),
        layout=description,
        files=files,
        effort=check.effort,
        listed=_problems(files) == _problems(check.earlier.files),
        duplicates=_duplicates(files, near, validation),
        folder=source.root,
        manifest=manifest_path,
        missing_parts=tuple(map(str, check.parts.missing)),
        moved=moved,
        quarantine=source.quarantine if moved else None,
    )


def check_part(source: ResolvedSource, part: Part, track: Track, options: DataOptions) -> tuple[Path, Effort]:
    """Checks the files of one part of a folder, and writes the part's manifest; returns its path and the effort."""
    layout = recognize_layout(source.root, source.source, options)
    check = Check(part.manifest(source.manifest), source.source_record, source.root)
    whole = read_own_manifest(source.manifest, source.source_record, source.root)
    paths = sorted({item.path for item in layout.labeled if part.holds(item.path)})
    files = FileTable(check.records(paths, track, [whole.files] * whole.is_current))
    unlabeled = (replace(file, class_name=None, split=None, group=None) for file in files)
    path = write_part(source.manifest, part, source.source_record, unlabeled)
    check.remove_journal()
    check.effort.manifest_bytes = path.stat().st_size
    return path, check.effort


def label_folder(
    source: ResolvedSource, track: Track, options: DataOptions, class_names: Collection[str] = ()
) -> LabeledImages:
    """Recognizes and checks all images of a folder, without a split; see `kerascnn.data.load_labeled`."""
    layout = recognize_layout(source.root, source.source, options, class_names)
    check = Check(source.manifest, source.source_record, source.root)
    files = _check(source, layout, check, track)
    check.write(files)
    readable = _readable(source, files)
    class_names = _class_names(files, readable)
    return LabeledImages(
        name=source.source_record.name,
        source=source.source,
        class_names=class_names,
        examples=_examples(source.root, files, readable, class_names),
        layout=layout.description,
        skipped=tuple(SkippedFile(file.path, file.reason) for file in files.with_status(UNREADABLE, REJECTED)),
        files=files,
        listed=_problems(files) == _problems(check.earlier.files),
        workspace=source.workspace,
    )


def _duplicates(files: FileTable, near: list[list[int]], validation: LabeledImages | None) -> Duplicates:
    if validation is None:
        return find_duplicates(files, near)
    others = (replace(file, path=f"{validation.source}/{file.path}", split=VALIDATION) for file in validation.files)
    compared = FileTable(itertools.chain(files, others))
    return find_duplicates(compared, near_duplicates(compared.column("perceptual_hash")))


def _check(source: ResolvedSource, layout: Reading, check: Check, track: Track) -> FileTable:
    """One record per labeled file, with the split of the source, if any; then those of all other files."""
    rejected = check.earlier.files.with_status(REJECTED) if source.rejected is None else source.rejected
    files, labeled = FileTable(check.records([item.path for item in layout.labeled], track)), layout.labeled
    statuses = files.column("status")
    splits = (item.split if status == READ else None for item, status in zip(labeled, statuses, strict=True))
    files = files.with_column("class_name", (item.class_name for item in labeled)).with_column("split", splits)
    files = files.with_column("group", (item.group for item in labeled))
    for status in (UNREADABLE, CONTRADICTORY, IGNORED):
        files.extend(FileRecord(item.path, status=status, reason=item.reason) for item in getattr(layout, status))
    files.extend(rejected)
    return files


def _problems(files: FileTable) -> set[tuple[str, str]]:
    return {(file.path, file.status) for file in files.with_status(UNREADABLE, CONTRADICTORY, REJECTED)}


def _quarantine(source: ResolvedSource, files: Sequence[FileRecord]) -> int:
    """Moves files that were found below the folder to the quarantine, by their relative paths, and lists them there.

    Files in folders elsewhere, to which links lead, stay where they are.
    """
    count, root = 0, os.path.realpath(source.root)
    for file in files:
        old, new = source.root / file.path, source.quarantine / file.path
        below = new.parent.relative_to(source.quarantine.parent)
        if not Path(os.path.realpath(old.parent)).is_relative_to(root) or not os.path.lexists(old):
            continue
        if Path(os.path.realpath(new.parent)) != Path(os.path.realpath(source.quarantine.parent), *below.parts):
            raise InputError(f"{source.quarantine} has links in it, and may lead anywhere; remove it.")
        numbers = itertools.count(1)
        while os.path.lexists(new):
            new = new.with_name(f"{old.name}.{next(numbers)}")
        try:
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(old, new)
            with open(source.quarantine / "list.jsonl", "a", encoding="utf-8") as listing:
                listing.write(json.dumps({"path": file.path, "reason": file.reason, "moved_to": str(new)}) + "\n")
        except OSError as error:
            raise InputError(f"{old} cannot be moved to {new}: {error.strerror or error}.") from None
        count += 1
    return count


def _readable(source: ResolvedSource, files: FileTable) -> np.ndarray:
    """The rows of the files that are read."""
    rows = files.rows(status=READ)
    if not len(rows):
        tried = len(files.rows(status=UNREADABLE))
        raise InputError(f"none of the {tried} files in {source.source} can be read as an image.")
    return rows


def _data_set(
    source: ResolvedSource,
    files: FileTable,
    bad: Sequence[FileRecord],
    layout: str,
    options: DataOptions,
    validation: LabeledImages | None,
    groups: np.ndarray | None,
) -> DataSet:
    readable = _readable(source, files)
    rows = {split: files.rows(status=READ, split=split) for split in (TRAINING, VALIDATION, TEST)}
    class_names = _class_names(files, rows[TRAINING])
    trained = set(class_names)
    for name in files.counts("class_name", rows[VALIDATION]):
        if not isinstance(name, tuple) and name not in trained:
            raise InputError(f"{source.source} has a class '{name}' without readable training images.")
    splits = {split: _examples(source.root, files, chosen, class_names) for split, chosen in rows.items()}
    if groups is not None:
        splits[TRAINING] = replace(splits[TRAINING], groups=groups[rows[TRAINING]])
    if validation:
        splits[VALIDATION] = validation.labeled_for(class_names)
    return DataSet(
        name=source.source_record.name,
        source=source.source,
        class_names=class_names,
        training=splits[TRAINING],
        validation=splits[VALIDATION],
        skipped=tuple(SkippedFile(file.path, file.reason) for file in bad),
        workspace=source.workspace,
        test=splits[TEST] if len(splits[TEST]) else None,
        layout=layout,
        options=options,
        median_size=(_median(files, "height", readable), _median(files, "width", readable)),
        validation_workspace=validation.workspace if validation else None,
    )


def _class_names(files: FileTable, rows: np.ndarray) -> tuple[str, ...]:
    found = files.counts("class_name", rows)
    return tuple(sorted({name for value in found for name in FileRecord("", value).classes}))


def _median(files: FileTable, name: str, rows: np.ndarray) -> int:
    """The lower median of a field."""
    numbers, values = files.distinct(name)
    found = np.sort(np.array([value or 0 for value in values])[numbers[rows]])
    return int(found[(len(found) - 1) // 2])


def _examples(root: Path, files: FileTable, rows: np.ndarray, class_names: tuple[str, ...]) -> FileExamples:
    """The images in the rows that are of one of the classes, or all of them if they are multi-label."""
    numbers, values = files.distinct("class_name")
    labels = _labels(values, class_names)
    if labels.ndim == 1:
        rows = rows[labels[numbers[rows]] >= 0]
    paths, (decoders, decoder_names) = files.column("path"), files.distinct("decoder")
    plain = np.array([name == "tensorflow" for name in decoder_names], bool)
    return FileExamples(
        paths=np.array([os.path.join(root, paths[row]) for row in rows], dtype=object),
        plain=plain[decoders[rows]],
        labels=labels[numbers[rows]],
        digests=files.prefixes("sha256")[rows],
        root=str(root),
    )


def _labels(values: Sequence[str | tuple[str, ...] | None], class_names: tuple[str, ...]) -> np.ndarray:
    """For each value, the index into the class names or -1, or a multi-hot row."""
    place = {name: number for number, name in enumerate(class_names)}
    if not any(isinstance(value, tuple) for value in values):
        return np.array([place.get(value, -1) for value in values], int)
    labels = np.zeros((len(values), len(class_names)), np.uint8)
    for row, value in enumerate(values):
        labels[row, [place[name] for name in FileRecord("", value).classes if name in place]] = 1
    return labels
