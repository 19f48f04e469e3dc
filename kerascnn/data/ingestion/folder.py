"""Checks a folder of images and makes it a data set."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median_low as median
from typing import Any

import numpy as np

from kerascnn.data.dataset import DataSet, FileExamples
from kerascnn.data.ingestion import manifest
from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.image_check import (
    CONTRADICTORY,
    IGNORED,
    READ,
    REJECTED,
    STATUSES,
    UNREADABLE,
    FileRecord,
    check_images,
)
from kerascnn.data.ingestion.layouts import FolderLayout, recognize_layout
from kerascnn.data.ingestion.near_duplicates import near_duplicates
from kerascnn.data.ingestion.sources import ResolvedSource
from kerascnn.data.ingestion.splits import TEST, TRAINING, VALIDATION, Duplicates, find_duplicates, split_by_content
from kerascnn.data.labeled_images import LabeledImages
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
        listed: whether the earlier manifest has the same unreadable, contradictory and rejected files.
        duplicates: files with equal contents.
        folder: of the images.
        manifest: its path; None if none could be written.
        moved: the number of files moved to `quarantine`.
        quarantine: the folder of moved files; None if none were.
    """

    data: DataSet
    layout: str
    files: tuple[FileRecord, ...] = ()
    listed: bool = False
    duplicates: Duplicates = field(default_factory=Duplicates)
    folder: Path | None = None
    manifest: Path | None = None
    moved: int = 0
    quarantine: Path | None = None

    def with_status(self, status: str) -> list[FileRecord]:
        """The files with a status: "read", "unreadable", "contradictory", "rejected" or "ignored"."""
        return [file for file in self.files if file.status == status]

    def warning_counts(self) -> Counter[str]:
        """The number of read files with each warning."""
        return Counter(warning for file in self.with_status(READ) for warning in file.warnings)

    def format_counts(self) -> dict[str, int]:
        """The number of read files of each image format, the most frequent first."""
        return dict(Counter(file.format for file in self.with_status(READ)).most_common())

    def to_dict(self) -> dict[str, Any]:
        """Everything that `kerascnn ingest --json` prints."""
        data = self.data
        by_status = {status: self.with_status(status) for status in STATUSES}
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
            "class_weights": dict(zip(data.class_names, map(float, data.class_weights()), strict=True)),
            "files": {"found": len(self.files), **{status: len(files) for status, files in by_status.items()}},
            "formats": self.format_counts(),
            **{
                status: [{"path": file.path, "reason": file.reason} for file in by_status[status]]
                for status in (UNREADABLE, CONTRADICTORY, REJECTED, IGNORED)
            },
            "with_warnings": [
                {"path": file.path, "warnings": file.warnings} for file in by_status[READ] if file.warnings
            ],
            "duplicates": {name: list(groups) for name, groups in vars(self.duplicates).items()},
            "moved_to": str(self.quarantine) if self.moved else None,
        }


def ingest_folder(
    source: ResolvedSource,
    on_bad: str,
    track: Track,
    options: DataOptions = DataOptions(),
    validation: LabeledImages | None = None,
) -> Ingested:
    """Recognizes, checks and splits the images of a folder, and writes the manifest; see `ingest`.

    `validation` are the images of `options.validation_source`.
    """
    layout = recognize_layout(source.root, source.source, options)
    if validation and any(item.split == VALIDATION for item in layout.labeled):
        raise InputError(
            f"{source.source} has validation images of its own; leave out --val-data, or give the folder of its "
            "training images as --data."
        )
    return ingest_layout(source, layout, on_bad, track, options, validation)


def ingest_layout(
    source: ResolvedSource,
    layout: FolderLayout,
    on_bad: str,
    track: Track,
    options: DataOptions,
    validation: LabeledImages | None = None,
) -> Ingested:
    """As `ingest_folder`, for files whose classes are known."""
    earlier = manifest.read_manifest(source.manifest)
    checked, rejected = _check(source, layout, earlier, track)
    near = near_duplicates([file.perceptual_hash for file in checked])
    if options.chooses_validation or all(item.split is None for item in layout.labeled):
        checked = split_by_content(checked, options, near)
    files, manifest_path = _write_all(source, layout, checked, rejected)
    bad = [file for file in files if file.status in (UNREADABLE, REJECTED)]
    if on_bad == "fail" and bad:
        raise InputError(
            f"{source.source} has {len(bad)} files that cannot be read; the first is {bad[0].path}: {bad[0].reason}."
        )
    moved = _quarantine(source, [file for file in bad if file.status == UNREADABLE]) if on_bad == "move" else 0
    return Ingested(
        data=_data_set(source, files, bad, layout.description, options, validation),
        layout=layout.description,
        files=tuple(files),
        listed=_problems(files) == _problems(earlier.files),
        duplicates=_duplicates(checked, near, validation),
        folder=source.root,
        manifest=manifest_path,
        moved=moved,
        quarantine=source.quarantine if moved else None,
    )


def label_folder(source: ResolvedSource, track: Track, options: DataOptions) -> LabeledImages:
    """Recognizes and checks all images of a folder, without a split; see `kerascnn.data.load_labeled`."""
    layout = recognize_layout(source.root, source.source, options)
    checked, rejected = _check(source, layout, manifest.read_manifest(source.manifest), track)
    files, _ = _write_all(source, layout, checked, rejected)
    readable = _readable(source, files)
    class_names = _class_names(readable)
    return LabeledImages(
        name=source.source_record.name,
        source=source.source,
        class_names=class_names,
        examples=_examples(source.root, readable, class_names),
        layout=layout.description,
        skipped=tuple(SkippedFile(file.path, file.reason) for file in files if file.status in (UNREADABLE, REJECTED)),
        files=tuple(checked),
        workspace=source.workspace,
    )


def _duplicates(checked: list[FileRecord], near: list[list[int]], validation: LabeledImages | None) -> Duplicates:
    if validation is None:
        return find_duplicates(checked, near)
    others = [
        replace(file, path=f"{validation.source}/{file.path}", split=VALIDATION)
        for file in validation.files
        if file.status == READ
    ]
    compared = [*checked, *others]
    return find_duplicates(compared, near_duplicates([file.perceptual_hash for file in compared]))


def _check(
    source: ResolvedSource, layout: FolderLayout, earlier: manifest.Manifest, track: Track
) -> tuple[list[FileRecord], Sequence[FileRecord]]:
    """One record per labeled file, with the split of the source, if any; and the files that were not unpacked."""
    known = {file.path: file for file in earlier.files} if earlier.is_current else {}
    rejected = source.rejected
    if rejected is None:
        rejected = [file for file in earlier.files if file.status == REJECTED]
    paths = [item.path for item in layout.labeled]
    files: list[FileRecord] = []
    try:
        for item, file in zip(layout.labeled, check_images(source.root, paths, known, track), strict=True):
            split = item.split if file.status == READ else None
            files.append(replace(file, class_name=item.class_name, split=split, group=item.group))
    except BaseException:
        # Files that were checked before an interruption need not be checked again.
        _write_manifest(source, {**known, **{file.path: file for file in (*rejected, *files)}}.values())
        raise
    return files, rejected


def _write_all(
    source: ResolvedSource, layout: FolderLayout, checked: list[FileRecord], rejected: Sequence[FileRecord]
) -> tuple[list[FileRecord], Path | None]:
    """The labeled files and all others, and the manifest's path if it could be written."""
    files = list(checked)
    for status in (UNREADABLE, CONTRADICTORY, IGNORED):
        skipped = getattr(layout, status)
        files += [FileRecord(item.path, status=status, reason=item.reason) for item in skipped]
    files += rejected
    return files, _write_manifest(source, files)


def _problems(files: Iterable[FileRecord]) -> set[tuple[str, str]]:
    return {(file.path, file.status) for file in files if file.status in (UNREADABLE, CONTRADICTORY, REJECTED)}


def _write_manifest(source: ResolvedSource, files: Iterable[FileRecord]) -> Path | None:
    try:
        manifest.write_manifest(source.manifest, source.source_record, files)
    except InputError:
        if source.manifest.name == manifest.NAME:
            raise
        # A cache that cannot be written costs time only.
        return None
    return source.manifest


def _quarantine(source: ResolvedSource, files: Sequence[FileRecord]) -> int:
    """Moves files to the quarantine under their relative paths, and appends them to its list."""
    count = 0
    for file in files:
        old, new = source.root / file.path, source.quarantine / file.path
        # A table may name files outside the folder.
        outside = Path(file.path).is_absolute() or ".." in Path(file.path).parts
        if outside or not os.path.lexists(old):
            continue
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


def _readable(source: ResolvedSource, files: Sequence[FileRecord]) -> list[FileRecord]:
    readable = [file for file in files if file.status == READ]
    if not readable:
        tried = sum(file.status == UNREADABLE for file in files)
        raise InputError(f"none of the {tried} files in {source.source} can be read as an image.")
    return readable


def _data_set(
    source: ResolvedSource,
    files: Sequence[FileRecord],
    bad: Sequence[FileRecord],
    layout: str,
    options: DataOptions,
    validation: LabeledImages | None,
) -> DataSet:
    readable = _readable(source, files)
    class_names = _class_names(file for file in readable if file.split == TRAINING)
    multi_label = _is_multi_label(readable)
    for file in readable:
        if not multi_label and file.class_name not in class_names and file.split != TEST:
            raise InputError(f"{source.source} has a class '{file.class_name}' without readable training images.")
    of_split = {
        split: [file for file in readable if file.split == split and (multi_label or file.class_name in class_names)]
        for split in (TRAINING, VALIDATION, TEST)
    }
    splits = {split: _examples(source.root, chosen, class_names) for split, chosen in of_split.items()}
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
        test=splits[TEST] if of_split[TEST] else None,
        layout=layout,
        options=options,
        median_size=(median(file.height for file in readable), median(file.width for file in readable)),
        validation_workspace=validation.workspace if validation else None,
    )


def _class_names(files: Iterable[FileRecord]) -> tuple[str, ...]:
    return tuple(sorted({name for file in files for name in file.classes}))


def _is_multi_label(files: Sequence[FileRecord]) -> bool:
    return any(isinstance(file.class_name, tuple) for file in files)


def _labels(files: Sequence[FileRecord], class_names: tuple[str, ...]) -> np.ndarray:
    """Indices into the class names, or multi-hot rows, without classes that have no training images."""
    numbers = {name: number for number, name in enumerate(class_names)}
    if not _is_multi_label(files):
        return np.array([numbers[file.class_name] for file in files], dtype=int)
    labels = np.zeros((len(files), len(class_names)), np.uint8)
    for row, file in enumerate(files):
        labels[row, [numbers[name] for name in file.classes if name in numbers]] = 1
    return labels


def _examples(root: Path, chosen: Sequence[FileRecord], class_names: tuple[str, ...]) -> FileExamples:
    return FileExamples(
        paths=np.array([str(root / file.path) for file in chosen], dtype=object),
        plain=np.array([file.decoder == "tensorflow" for file in chosen], dtype=bool),
        labels=_labels(chosen, class_names),
    )
