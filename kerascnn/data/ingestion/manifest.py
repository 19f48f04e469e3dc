"""The manifest: one line of JSON per file, so that an unchanged file is checked only once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import MISSING, asdict, dataclass, fields
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self, TextIO

from kerascnn.data.ingestion.file_table import FileTable
from kerascnn.data.ingestion.image_check import STATUSES, FileRecord
from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_write

STEM = "kerascnn-manifest"
NAME = f"{STEM}.jsonl"

# Increased whenever a check of a file may have another result.
RULES = 2

# Characters; a longer line is no record.
MAX_LINE = 1_000_000

# Bytes of a journal that a killed process loses at most.
JOURNAL_BUFFER = 1 << 14


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
    files: FileTable = FileTable()
    # Whether the files were checked by the same rules and decoders as today.
    is_current: bool = False


def read_manifest(path: Path) -> Manifest:
    """Reads a manifest; an empty one if there is none, or another file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            head, source_record = _read_head(file)
            lines = iter(partial(file.readline, MAX_LINE), "")
            files = FileTable(record for line in lines if (record := parse_record(line)))
        return Manifest(source_record, files, head.get("checked_with") == checked_with())
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return Manifest()


def read_source_record(path: Path) -> SourceRecord | None:
    """The source of a manifest's images; None if there is none, or another file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return _read_head(file)[1]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _read_head(file: TextIO) -> tuple[dict[str, Any], SourceRecord]:
    head = json.loads(file.readline(MAX_LINE))
    return head, SourceRecord(**{field.name: str(head[field.name]) for field in fields(SourceRecord)})


def write_manifest(path: Path, source_record: SourceRecord, files: Iterable[FileRecord]) -> None:
    """Writes a manifest atomically; InputError if its folder cannot be written."""
    try:
        with atomic_write(path) as file:
            file.write(_head(source_record))
            file.writelines(map(format_record, files))
    except OSError as error:
        raise InputError(f"the manifest {path} cannot be written: {error.strerror}.") from None


class Journal:
    """The records of a check that is going on, beside the manifest that it will be.

    Lines are appended, so that a process that is killed at any moment loses the last few files only. Processes that
    check the same source may append to one journal.

    Args:
        manifest_path: path of the manifest.
        source_record: of the source; a journal of another source or of other rules is begun anew.

    Example:
        >>> with Journal(path, source_record) as journal:
        ...     journal.append(FileRecord("cat/1.jpg"))
    """

    def __init__(self, manifest_path: Path, source_record: SourceRecord):
        self._path, self._source_record = journal_path(manifest_path), source_record
        earlier = read_manifest(self._path)
        self._goes_on = earlier.is_current and earlier.source_record == source_record
        self.files = earlier.files if self._goes_on else FileTable()
        self._file: BinaryIO | None = None

    def append(self, record: FileRecord) -> None:
        """Adds the record of a file that was read; InputError if the folder cannot be written."""
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = open(self._path, "ab" if self._goes_on else "wb", buffering=JOURNAL_BUFFER)  # noqa: SIM115
                # Ends the line that a killed process left unfinished.
                self._file.write(b"\n" if self._goes_on else _head(self._source_record))
            self._file.write(format_record(record))
        except OSError as error:
            raise InputError(f"the journal {self._path} cannot be written: {error.strerror}.") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        # Where the disk is full, the manifest cannot be written either, which is an error.
        with suppress(OSError):
            if self._file:
                self._file.close()


def journal_path(manifest_path: Path) -> Path:
    """Where the `Journal` of a manifest is; it can be removed when the manifest has its records."""
    return manifest_path.with_name(f".{manifest_path.name}.journal")


def _head(source_record: SourceRecord) -> bytes:
    return (json.dumps({**asdict(source_record), "checked_with": checked_with()}) + "\n").encode()


def format_record(record: FileRecord) -> bytes:
    """A line of a manifest, without the fields that say nothing."""
    given = {name: value for name, value in vars(record).items() if value != DEFAULTS[name]}
    return (json.dumps(given, separators=(",", ":")) + "\n").encode()


def parse_record(line: str | bytes) -> FileRecord | None:
    """The record of a line; None if it is damaged or no file can have such values."""
    with suppress(ValueError, TypeError, AttributeError, RecursionError):
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(line).items()}
        record = FileRecord(**values)
        if all(_FITS[name](value) for name, value in values.items()) and record.path and record.status in STATUSES:
            return record
    return None


def _hexadecimal(digits: int) -> Callable[[Any], bool]:
    match = re.compile(f"([0-9a-f]{{{digits}}})?").fullmatch
    return lambda value: isinstance(value, str) and match(value) is not None


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(text, str) for text in value)


def _is_integer(value: Any) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


DEFAULTS = {field.name: None if field.default is MISSING else field.default for field in fields(FileRecord)}

# What the values of each field are.
_FITS: dict[str, Callable[[Any], bool]] = dict.fromkeys(DEFAULTS, _is_text) | {
    **dict.fromkeys(("path", "status"), lambda value: isinstance(value, str)),
    **dict.fromkeys(("size", "mtime_ns"), _is_integer),
    **dict.fromkeys(("width", "height"), lambda value: value is None or _is_integer(value)),
    "sha256": _hexadecimal(64),
    "perceptual_hash": _hexadecimal(32),
    "class_name": lambda value: _is_text(value) or _are_texts(value),
    "warnings": _are_texts,
}
