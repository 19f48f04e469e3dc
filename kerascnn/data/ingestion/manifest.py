"""The manifest: one line of JSON per file, so that an unchanged file is checked only once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from kerascnn.data.ingestion.image_check import STATUSES, FileRecord
from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_write

NAME = "kerascnn-manifest.jsonl"

# Increased whenever a check of a file may have another result.
RULES = 2


@dataclass(frozen=True)
class SourceRecord:
    """The source of a manifest's images: its first line.

    Attributes:
        source: as the user named it.
        name: of the data set.
        folder: of the images, relative to the manifest's folder.
        identity: changes when the source does; empty for folders, whose files are checked one by one.
    """

    source: str
    name: str
    folder: str
    identity: str = ""


def checked_with() -> str:
    """The versions of the rules and decoders, on which the results depend as on the files."""
    heif = "no pillow-heif"
    with suppress(PackageNotFoundError):
        heif = f"pillow-heif {version('pillow-heif')}"
    return f"{RULES}, Pillow {version('pillow')}, {heif}, TensorFlow {version('tensorflow')}"


class Manifest(NamedTuple):
    """The contents of a manifest, without damaged lines; nothing if there is none, or its first line is damaged."""

    source_record: SourceRecord | None = None
    files: tuple[FileRecord, ...] = ()
    # Whether the files were checked by the same rules and decoders as today.
    is_current: bool = False


def read_manifest(path: Path) -> Manifest:
    """Reads a manifest; an empty one if there is none, or another file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            head = json.loads(file.readline(100_000))
            source_record = SourceRecord(**{field.name: str(head[field.name]) for field in fields(SourceRecord)})
            files = tuple(record for line in file if (record := _record(line)))
        return Manifest(source_record, files, head.get("checked_with") == checked_with())
    except (OSError, ValueError, TypeError, KeyError):
        return Manifest()


def write_manifest(path: Path, source_record: SourceRecord, files: Iterable[FileRecord]) -> None:
    """Writes a manifest atomically; InputError if its folder cannot be written."""
    try:
        with atomic_write(path) as file:
            file.write((json.dumps({**asdict(source_record), "checked_with": checked_with()}) + "\n").encode())
            file.writelines((json.dumps(vars(record)) + "\n").encode() for record in files)
    except OSError as error:
        raise InputError(f"the manifest {path} cannot be written: {error.strerror}.") from None


def _record(line: str) -> FileRecord | None:
    with suppress(ValueError, TypeError):
        record = FileRecord(**json.loads(line))
        texts = isinstance(record.path, str) and isinstance(record.sha256, str)
        if texts and isinstance(record.warnings, list) and record.status in STATUSES:
            name = tuple(record.class_name) if isinstance(record.class_name, list) else record.class_name
            return replace(record, warnings=tuple(record.warnings), class_name=name)
    return None
