"""The manifest: one line of JSON per file, so that an unchanged file is checked only once.

Several machines that share the work write one for each part: kerascnn-manifest-2-of-5.jsonl has the second of five.
"""

import glob
import hashlib
import io
import json
import os
import re
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import MISSING, asdict, dataclass, fields
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self, TextIO

from kerascnn.data.ingestion.file_table import FileTable
from kerascnn.data.ingestion.image_check import READ, STATUSES, UNREADABLE, FileRecord
from kerascnn.errors import InputError, writing
from kerascnn.files.atomic import atomic_write
from kerascnn.files.cache_folder import cache_folder, short_hash
from kerascnn.files.user_file import open_file

STEM = "kerascnn-manifest"
NAME = f"{STEM}.jsonl"

# Increased whenever a check of a file may have another result.
RULES = 3

# Characters; a longer line is no record.
MAX_LINE = 1_000_000

MAX_PARTS = 10_000

# Bytes of a journal that a killed process loses at most.
JOURNAL_BUFFER = 1 << 14


@dataclass(frozen=True)
class SourceRecord:
    """The source of a manifest's images: its first line."""

    source: str  # as the user named it
    name: str  # of the data set
    folder: str  # of the images, relative to the manifest's folder
    identity: str = ""  # changes when the source does; empty for folders, whose files are checked one by one


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
    with suppress(Exception), _open(path) as file:
        head, source_record = _read_head(file)
        lines = iter(partial(file.readline, MAX_LINE), "")
        files = FileTable(record for line in lines if (record := parse_record(line)))
        return Manifest(source_record, files, head.get("checked_with") == checked_with())
    return Manifest()


def read_own_manifest(path: Path, source_record: SourceRecord, images: Path) -> Manifest:
    """The earlier manifest of a source; an empty one if it is of another source, or may have come with the images."""
    found, believed = read_manifest(path), not is_among(path, images) or was_written_here(path, source_record)
    return found if found.source_record == source_record and believed else Manifest()


def is_among(path: Path, images: Path) -> bool:
    """Whether a manifest lies in a folder of images, or below it, with which it may have come; not if in the cache."""
    inside = Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(images))
    return inside and not path.is_relative_to(cache_folder())


def was_written_here(path: Path, source_record: SourceRecord) -> bool:
    """Whether this user's cache remembers that the manifest at this place was written for this source.

    A folder that was downloaded can hold a manifest that says anything.
    """
    with suppress(OSError):
        return _memory_of(path).read_bytes() == _identity(source_record)
    return False


def _memory_of(path: Path) -> Path:
    return cache_folder() / "manifests" / "written" / short_hash(os.path.realpath(path))


def _identity(source_record: SourceRecord) -> bytes:
    return json.dumps(asdict(source_record)).encode()


def read_source_record(path: Path) -> SourceRecord | None:
    """The source of a manifest's images; None if there is none, or another file."""
    with suppress(Exception), _open(path) as file:
        return _read_head(file)[1]
    return None


def _open(path: Path) -> TextIO:
    return io.TextIOWrapper(open_file(path), encoding="utf-8", errors="replace")


def _read_head(file: TextIO) -> tuple[dict[str, Any], SourceRecord]:
    head = json.loads(file.readline(MAX_LINE))
    return head, SourceRecord(**{field.name: str(head[field.name]) for field in fields(SourceRecord)})


def write_manifest(path: Path, source_record: SourceRecord, files: Iterable[FileRecord]) -> None:
    """Writes a manifest atomically; InputError if its folder cannot be written."""
    with writing(f"the manifest {path}"), atomic_write(path) as file:
        file.write(_head(source_record))
        file.writelines(map(format_record, files))
    if not path.is_relative_to(cache_folder()):
        with suppress(OSError), atomic_write(_memory_of(path)) as file:
            file.write(_identity(source_record))


class Journal:
    """The records of a check that is going on, beside the manifest that it will be.

    Lines are appended, so that a process that is killed at any moment loses the last few files only. Processes that
    check the same source may append to one journal; one of another source or of other rules is begun anew. Where it is
    not `required`, a folder that cannot be written costs time only.
    """

    def __init__(self, manifest_path: Path, source_record: SourceRecord, images: Path, *, required: bool = True):
        self._path, self._source_record, self._required = journal_path(manifest_path), source_record, required
        earlier = read_own_manifest(self._path, source_record, images)
        self._goes_on = earlier.is_current
        self.files = earlier.files if self._goes_on else FileTable()
        self._file: BinaryIO | None = None

    def append(self, record: FileRecord) -> None:
        """Adds the record of a file that was read; InputError if it must be written and cannot."""
        with writing(f"the journal {self._path}") if self._required else suppress(OSError):
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = open(self._path, "ab" if self._goes_on else "wb", buffering=JOURNAL_BUFFER)  # noqa: SIM115
                # Ends the line that a killed process left unfinished.
                self._file.write(b"\n" if self._goes_on else _head(self._source_record))
            self._file.write(format_record(record))

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
    with suppress(Exception):
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(line).items()}
        record = FileRecord(**values)
        if all(_fits(*item) for item in values.items()) and record.path and record.status in STATUSES:
            return record
    return None


def _fits(name: str, value: Any) -> bool:
    """Whether a field can have a value; KeyError if there is no such field."""
    if isinstance(value, bool) or not isinstance(value, _TYPES[name]):
        return False
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, tuple):
        return all(isinstance(text, str) for text in value)
    return name not in _DIGITS or re.fullmatch(f"([0-9a-f]{{{_DIGITS[name]}}})?", value) is not None


DEFAULTS = {field.name: None if field.default is MISSING else field.default for field in fields(FileRecord)}
_TYPES = dict.fromkeys(DEFAULTS, str | None) | {
    **dict.fromkeys(("path", "status", "sha256", "perceptual_hash"), str),
    **dict.fromkeys(("size", "mtime_ns"), int),
    **dict.fromkeys(("width", "height"), int | None),
    "class_name": str | tuple | None,
    "warnings": tuple,
}
# Of hexadecimal fields, which may be empty.
_DIGITS = {"sha256": 64, "perceptual_hash": 32}


class Part(NamedTuple):
    """The k-th of n parts of a source's files, counted from 1.

    A file's part follows from its path alone, so that machines agree although files are added meanwhile.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads "2/5"; InputError for other texts."""
        if not (part := cls.of(str(text), "/")):
            raise InputError(f"--shard must be a part and the number of parts, such as 2/5, not '{text}'.")
        return part

    @classmethod
    def of(cls, text: str, between: str) -> Self | None:
        """The part that a text names, with something `between` the numbers; None if it names none."""
        match = re.fullmatch(rf"(\d{{1,5}}){between}(\d{{1,5}})", text)
        part = cls(*map(int, match.groups())) if match else cls(0, 0)
        return part if 1 <= part.number <= part.count <= MAX_PARTS else None

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def holds(self, path: str) -> bool:
        """Whether a file is in this part, by its path below the source."""
        return zlib.crc32(path.encode("utf-8", "surrogatepass")) % self.count == self.number - 1

    def manifest(self, whole: Path) -> Path:
        """Where the part's manifest is, beside the `whole` one."""
        return whole.with_name(f"{whole.stem}-{self.number}-of-{self.count}{whole.suffix}")


class Parts(NamedTuple):
    """The part manifests beside a manifest: their paths and records, and the parts that are missing."""

    paths: tuple[Path, ...] = ()
    tables: tuple[FileTable, ...] = ()
    missing: tuple[Part, ...] = ()


def write_part(whole: Path, part: Part, source_record: SourceRecord, files: Iterable[FileRecord]) -> Path:
    """Writes the manifest of a part atomically; InputError if its folder cannot be written.

    Its last line has the number of files and the SHA-256 of the lines before it, which tell a copy that was cut short.
    """
    path, digest, count = part.manifest(whole), hashlib.sha256(), 0
    head = {"name": source_record.name, "part": [*part], "checked_with": checked_with()}
    with writing(f"the manifest {path}"), atomic_write(path) as file:
        line = (json.dumps(head) + "\n").encode()
        file.write(line)
        digest.update(line)
        for count, record in enumerate(files, 1):  # noqa: B007
            line = format_record(record)
            file.write(line)
            digest.update(line)
        file.write((json.dumps({"files": count, "sha256": digest.hexdigest()}) + "\n").encode())
    return path


def read_parts(whole: Path, source_record: SourceRecord) -> Parts:
    """Reads all part manifests beside a manifest.

    InputError if one is damaged, incomplete, of another source or of other versions than this machine's.
    """
    found: dict[Part, tuple[Path, FileTable]] = {}
    for path in sorted(whole.parent.glob(f"{glob.escape(whole.stem)}-*-of-*{whole.suffix}")):
        try:
            if part := Part.of(path.stem.removeprefix(f"{whole.stem}-"), "-of-"):
                found[part] = path, _read_part(path, part, source_record)
        except FileNotFoundError:
            # Another machine has merged and removed it.
            continue
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    counts = {part.count for part in found}
    missing = [
        [part for part in map(Part, range(1, count + 1), [count] * count) if part not in found] for count in counts
    ]
    paths, tables = zip(*found.values(), strict=True) if found else ((), ())
    return Parts(paths, tables, tuple(min(missing, key=len, default=())))


def _read_part(path: Path, part: Part, source_record: SourceRecord) -> FileTable:
    again = f"check it again with 'kerascnn ingest SOURCE --shard {part}', or remove it"
    files, digest, tail = FileTable(), hashlib.sha256(), b""
    with open_file(path) as file:
        head = _object(line := file.readline(MAX_LINE))
        if head.get("part") != [*part]:
            raise InputError(f"{path} is not the manifest of part {part}; {again}.")
        if head.get("name") != source_record.name:
            raise InputError(f"{path} is of '{head.get('name')}', not of '{source_record.name}'; {again}.")
        if head.get("checked_with") != checked_with():
            raise InputError(
                f"{path} was checked with {head.get('checked_with')}, and this machine has {checked_with()}; "
                f"install the same versions on all machines, and {again}."
            )
        while line and not tail:
            digest.update(line)
            line = file.readline(MAX_LINE)
            record = parse_record(line)
            if record is None or not _is_complete(record) or not part.holds(record.path):
                tail = line
            else:
                files.append(record)
        if _object(tail) != {"files": len(files), "sha256": digest.hexdigest()} or file.read(1):
            raise InputError(f"{path} is damaged or incomplete, after {len(files):,} files; {again}.")
    return files


def _object(line: bytes) -> dict:
    try:
        value = json.loads(line)
    # Also nested too deeply, or a number of too many digits.
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_complete(record: FileRecord) -> bool:
    """Whether a record has all that a check finds."""
    if record.status == READ:
        known = record.decoder in ("tensorflow", "pillow")
        return bool(known and record.sha256 and record.format and record.width and record.height and not record.reason)
    return record.status == UNREADABLE and bool(record.reason)
