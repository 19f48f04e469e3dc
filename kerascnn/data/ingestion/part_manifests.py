"""Manifests of parts of a source that several machines check: kerascnn-manifest-2-of-5.jsonl has the second of five."""

from __future__ import annotations

import glob
import hashlib
import json
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

from kerascnn.data.ingestion.file_table import FileTable
from kerascnn.data.ingestion.image_check import READ, UNREADABLE, FileRecord
from kerascnn.data.ingestion.manifest import MAX_LINE, SourceRecord, checked_with, format_record, parse_record
from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_write

MAX_PARTS = 10_000


class Part(NamedTuple):
    """The k-th of n parts of a source's files, counted from 1.

    A file's part follows from its path alone, so that machines agree although files are added meanwhile.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads "2/5"; InputError for other texts.

        Example:
            >>> Part.parse("2/5").count
            5
        """
        match = re.fullmatch(r"(\d{1,5})/(\d{1,5})", text)
        number, count = map(int, match.groups()) if match else (0, 0)
        if not 1 <= number <= count <= MAX_PARTS:
            raise InputError(f"--shard must be a part and the number of parts, such as 2/5, not '{text}'.")
        return cls(number, count)

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
    try:
        with atomic_write(path) as file:
            line = (json.dumps(head) + "\n").encode()
            file.write(line)
            digest.update(line)
            for count, record in enumerate(files, 1):  # noqa: B007
                line = format_record(record)
                file.write(line)
                digest.update(line)
            file.write((json.dumps({"files": count, "sha256": digest.hexdigest()}) + "\n").encode())
    except OSError as error:
        raise InputError(f"the manifest {path} of a part cannot be written: {error.strerror}.") from None
    return path


def read_parts(whole: Path, source_record: SourceRecord) -> Parts:
    """Reads all part manifests beside a manifest.

    Raises:
        InputError: one is damaged, incomplete, of another source or of other versions than this machine's.
    """
    found: dict[Part, tuple[Path, FileTable]] = {}
    for path in sorted(whole.parent.glob(f"{glob.escape(whole.stem)}-*-of-*{whole.suffix}")):
        match = re.fullmatch(r"-(\d{1,5})-of-(\d{1,5})", path.stem.removeprefix(whole.stem))
        part = Part(*map(int, match.groups())) if match else None
        try:
            if part and 1 <= part.number <= part.count <= MAX_PARTS:
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
    with open(path, "rb") as file:
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
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_complete(record: FileRecord) -> bool:
    """Whether a record has all that a check finds."""
    if record.status == READ:
        known = record.decoder in ("tensorflow", "pillow")
        return bool(known and record.sha256 and record.format and record.width and record.height and not record.reason)
    return record.status == UNREADABLE and bool(record.reason)
