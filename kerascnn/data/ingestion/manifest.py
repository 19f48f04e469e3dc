"""The manifest: one line of JSON per file, so that an unchanged file is checked only once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path

from kerascnn.data.ingestion.image_check import REJECTED, STATUSES, FileRecord
from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_write

NAME = "kerascnn-manifest.jsonl"

# Increased whenever a check of a file may have another result.
RULES = 1


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
    """What the results depend on besides the files: versions of the rules and the decoders."""
    return f"{RULES}, Pillow {version('pillow')}, TensorFlow {version('tensorflow')}"


def read_source_record(path: Path) -> SourceRecord | None:
    """Reads the first line of a manifest; None if there is none, or another file."""
    try:
        with open(path, encoding="utf-8") as file:
            head = json.loads(file.readline(100_000))
        return SourceRecord(**{field.name: str(head[field.name]) for field in fields(SourceRecord)})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def read_files(path: Path) -> dict[str, FileRecord]:
    """Reads the files of a manifest by path, without damaged lines; none if it was made by other versions."""
    head, files = _read(path)
    return {file.path: file for file in files} if head.get("checked_with") == checked_with() else {}


def read_rejected(path: Path) -> list[FileRecord]:
    """Reads the files that were in the archive and not unpacked; only the manifest has them."""
    return [file for file in _read(path)[1] if file.status == REJECTED]


def write_manifest(path: Path, source_record: SourceRecord, files: Iterable[FileRecord]) -> None:
    """Writes a manifest atomically.

    Raises:
        InputError: its folder cannot be written.
    """
    try:
        with atomic_write(path) as file:
            file.write((json.dumps({**asdict(source_record), "checked_with": checked_with()}) + "\n").encode())
            file.writelines((json.dumps(vars(record)) + "\n").encode() for record in files)
    except OSError as error:
        raise InputError(f"the manifest {path} cannot be written: {error.strerror}.") from None


def _read(path: Path) -> tuple[dict, list[FileRecord]]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            head = json.loads(file.readline(100_000))
            return (head if isinstance(head, dict) else {}), [record for line in file if (record := _record(line))]
    except (OSError, ValueError):
        return {}, []


def _record(line: str) -> FileRecord | None:
    try:
        record = FileRecord(**json.loads(line))
    except (ValueError, TypeError):
        return None
    texts = isinstance(record.path, str) and isinstance(record.sha256, str)
    valid = texts and isinstance(record.warnings, list) and record.status in STATUSES
    return replace(record, warnings=tuple(record.warnings)) if valid else None
