"""From a folder of images to a data set whose every file is accounted for."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.data.dataset import DataSet, FileExamples
from kerascnn.data.ingestion import manifest
from kerascnn.data.ingestion.image_check import IGNORED, READ, REFUSED, UNREADABLE, FileRecord, checked
from kerascnn.data.ingestion.layouts import FolderLayout, recognized
from kerascnn.data.ingestion.sources import ResolvedSource
from kerascnn.data.ingestion.splits import TEST, TRAINING, VALIDATION, Duplicates, duplicates, split_by_content
from kerascnn.errors import InputError
from kerascnn.files.archives.archive_entry import SkippedFile
from kerascnn.files.progress import Track


@dataclass(frozen=True)
class Ingested:
    """A source, checked.

    Attributes:
        data: what training takes.
        layout: how the classes were recognized, as a phrase.
        entries: one a file, as in the manifest; none for data sets that come without files.
        copies: files with equal contents.
        folder: where the images are.
        manifest: the file that keeps the verdicts; None where none could be written.
        moved: how many files are in `quarantine`, and that folder.
    """

    data: DataSet
    layout: str
    entries: tuple[FileRecord, ...] = ()
    copies: Duplicates = field(default_factory=Duplicates)
    folder: Path | None = None
    manifest: Path | None = None
    moved: int = 0
    quarantine: Path | None = None

    def with_status(self, verdict: str) -> list[FileRecord]:
        """The entries with that verdict."""
        return [entry for entry in self.entries if entry.verdict == verdict]

    def remarks(self) -> Counter[str]:
        """How often each remark was made of a file that is read."""
        return Counter(remark for entry in self.with_status(READ) for remark in entry.remarks)

    def to_dict(self) -> dict[str, Any]:
        """Everything that `kerascnn ingest --json` prints."""
        data = self.data
        return {
            "name": data.name,
            "source": data.source,
            "layout": self.layout,
            "folder": self.folder and str(self.folder),
            "manifest": self.manifest and str(self.manifest),
            "classes": {
                name: {
                    "training": int((data.training.labels == label).sum()),
                    "validation": int((data.validation.labels == label).sum()),
                }
                for label, name in enumerate(data.class_names)
            },
            "imbalance": data.imbalance(),
            "class_weights": dict(zip(data.class_names, map(float, data.class_weights()), strict=True)),
            "files": {
                "found": len(self.entries),
                **{verdict: len(self.with_status(verdict)) for verdict in (READ, UNREADABLE, REFUSED, IGNORED)},
            },
            "formats": dict(Counter(entry.format for entry in self.with_status(READ)).most_common()),
            "unreadable": [{"path": entry.path, "reason": entry.reason} for entry in self.with_status(UNREADABLE)],
            "refused": [{"path": entry.path, "reason": entry.reason} for entry in self.with_status(REFUSED)],
            "ignored": [{"path": entry.path, "reason": entry.reason} for entry in self.with_status(IGNORED)],
            "unusual": [
                {"path": entry.path, "remarks": entry.remarks} for entry in self.with_status(READ) if entry.remarks
            ],
            "copies": {name: list(groups) for name, groups in vars(self.copies).items()},
            "moved_to": str(self.quarantine) if self.moved else None,
        }


def ingest_folder(place: ResolvedSource, on_bad: str, track: Track) -> Ingested:
    """Recognizes, checks and splits the images at a place, and keeps what it found in a manifest; see `ingest`."""
    layout = recognized(place.root, place.source)
    entries, kept = _judged(place, layout, track)
    bad = [entry for entry in entries if entry.verdict in (UNREADABLE, REFUSED)]
    if on_bad == "fail" and bad:
        raise InputError(
            f"{place.source} has {len(bad)} files that cannot be read, the first of them "
            f"{bad[0].path}: {bad[0].reason}."
        )
    moved = _moved(place, [entry for entry in bad if entry.verdict == UNREADABLE]) if on_bad == "move" else 0
    return Ingested(
        data=_data_set(place, entries),
        layout=layout.description,
        entries=tuple(entries),
        copies=duplicates(entries),
        folder=place.root,
        manifest=kept,
        moved=moved,
        quarantine=place.quarantine if moved else None,
    )


def _judged(place: ResolvedSource, layout: FolderLayout, track: Track) -> tuple[list[FileRecord], Path | None]:
    """An entry a file, and the manifest that they are kept in, if one can be."""
    known = manifest.read_entries(place.manifest)
    paths = [item.path for item in layout.labelled]
    entries: list[FileRecord] = []
    try:
        for item, entry in zip(layout.labelled, checked(place.root, paths, known, track), strict=True):
            split = item.split if entry.verdict == READ else None
            entries.append(replace(entry, class_name=item.class_name, split=split))
    except BaseException:
        # Broken off: what has been checked need not be checked again.
        _kept(place, {**known, **{entry.path: entry for entry in entries}}.values())
        raise
    if all(item.split is None for item in layout.labelled):
        entries = split_by_content(entries)
    entries += [FileRecord(item.path, verdict=UNREADABLE, reason=item.reason) for item in layout.unreadable]
    entries += [FileRecord(item.path, verdict=IGNORED, reason=item.reason) for item in layout.ignored]
    entries += place.refused
    return entries, _kept(place, entries)


def _kept(place: ResolvedSource, entries: Iterable[FileRecord]) -> Path | None:
    try:
        manifest.write(place.manifest, place.origin, entries)
    except InputError:
        if place.manifest.name == manifest.NAME:
            raise
        # A cache that cannot be written costs time, not data.
        return None
    return place.manifest


def _moved(place: ResolvedSource, entries: Sequence[FileRecord]) -> int:
    """Moves files to the quarantine, under their own paths, and lists them there with their reasons."""
    count = 0
    for entry in entries:
        origin, target = place.root / entry.path, place.quarantine / entry.path
        if not origin.is_symlink() and not origin.exists():
            continue
        number = 0
        while target.exists() or target.is_symlink():
            number += 1
            target = (place.quarantine / entry.path).with_name(f"{origin.name}.{number}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(origin, target)
            with open(place.quarantine / "list.jsonl", "a", encoding="utf-8") as listing:
                listed = {"path": entry.path, "reason": entry.reason, "moved_to": str(target)}
                listing.write(json.dumps(listed) + "\n")
        except OSError as error:
            raise InputError(f"{origin} cannot be moved to {target}: {error.strerror or error}.") from None
        count += 1
    return count


def _data_set(place: ResolvedSource, entries: Sequence[FileRecord]) -> DataSet:
    source = place.source
    good = [entry for entry in entries if entry.verdict == READ]
    if not good:
        tried = sum(entry.verdict == UNREADABLE for entry in entries)
        raise InputError(f"none of the {tried} files in {source} can be read as an image.")
    aside = [entry for entry in entries if entry.verdict in (UNREADABLE, REFUSED)]
    class_names = tuple(sorted({entry.class_name for entry in good if entry.split == TRAINING}))
    for entry in good:
        if entry.class_name not in class_names and entry.split != TEST:
            raise InputError(f"{source} has a class '{entry.class_name}' without readable training images.")
    return DataSet(
        name=place.origin.name,
        source=source,
        class_names=class_names,
        training=_examples(place.root, good, TRAINING, class_names),
        validation=_examples(place.root, good, VALIDATION, class_names),
        skipped=tuple(SkippedFile(entry.path, entry.reason) for entry in aside),
        workspace=place.workspace,
    )


def _examples(root: Path, entries: Sequence[FileRecord], split: str, class_names: tuple[str, ...]) -> FileExamples:
    chosen = [entry for entry in entries if entry.split == split]
    number = {name: label for label, name in enumerate(class_names)}
    return FileExamples(
        paths=np.array([str(root / entry.path) for entry in chosen], dtype=object),
        plain=np.array([entry.decoder == "tensorflow" for entry in chosen], dtype=bool),
        labels=np.array([number[entry.class_name] for entry in chosen], dtype=int),
    )
