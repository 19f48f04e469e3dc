"""The manifest: a line of JSON a file, so that what was checked once need not be checked again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path

from kerascnn.data.ingestion.image_check import IGNORED, READ, REFUSED, UNREADABLE, FileRecord
from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_write

NAME = "kerascnn-manifest.jsonl"

# Raised whenever a file may be judged differently than before.
RULES = 1


@dataclass(frozen=True)
class SourceRecord:
    """The manifest's first line: what it is a manifest of.

    Attributes:
        source: what was asked for.
        name: of the data set.
        folder: where the images are, from the manifest's own folder.
        identity: changes when the source does; empty for folders, whose files are looked at one by one.
    """

    source: str
    name: str
    folder: str
    identity: str = ""


def judged_by() -> str:
    """What the verdicts depend on beside the files: the rules, and the decoders."""
    return f"{RULES}, Pillow {version('pillow')}, TensorFlow {version('tensorflow')}"


def read_origin(path: Path) -> SourceRecord | None:
    """The first line of a manifest; None where there is none, or something else."""
    try:
        with open(path, encoding="utf-8") as file:
            head = json.loads(file.readline(100_000))
        return SourceRecord(**{field.name: str(head[field.name]) for field in fields(SourceRecord)})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def read_entries(path: Path) -> dict[str, FileRecord]:
    """The verdicts of a manifest by path; those of damaged lines and of other rules are not among them."""
    head, entries = _read(path)
    return {entry.path: entry for entry in entries} if head.get("judged_by") == judged_by() else {}


def read_refused(path: Path) -> list[FileRecord]:
    """What the archive held and was not unpacked, which nothing but the manifest can tell later."""
    return [entry for entry in _read(path)[1] if entry.verdict == REFUSED]


def _read(path: Path) -> tuple[dict, list[FileRecord]]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            head = json.loads(file.readline(100_000))
            return (head if isinstance(head, dict) else {}), [entry for line in file if (entry := _entry(line))]
    except (OSError, ValueError):
        return {}, []


def _entry(line: str) -> FileRecord | None:
    try:
        entry = FileRecord(**json.loads(line))
    except (ValueError, TypeError):
        return None
    whole = (
        isinstance(entry.path, str)
        and isinstance(entry.sha256, str)
        and isinstance(entry.remarks, list)
        and entry.verdict in (READ, UNREADABLE, IGNORED, REFUSED)
    )
    return FileRecord(**{**vars(entry), "remarks": tuple(entry.remarks)}) if whole else None


def write(path: Path, origin: SourceRecord, entries: Iterable[FileRecord]) -> None:
    """Writes a manifest; it is there as a whole or as it was.

    Raises:
        InputError: its folder cannot be written.
    """
    try:
        with atomic_write(path) as file:
            file.write((json.dumps({**asdict(origin), "judged_by": judged_by()}) + "\n").encode())
            file.writelines((json.dumps(vars(entry)) + "\n").encode() for entry in entries)
    except OSError as error:
        raise InputError(f"the manifest {path} cannot be written: {error.strerror}.") from None
