"""The records of many files in columns, which take about a hundred bytes per file."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import starmap
from operator import attrgetter
from typing import Any

import numpy as np

from kerascnn.data.ingestion.image_check import FileRecord

NAMES = tuple(field.name for field in fields(FileRecord))
_VALUES = attrgetter(*NAMES)


class _Column:
    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))


class _Texts(_Column):
    """Texts that differ from each other, one after the other in UTF-8; surrogates stand for undecodable bytes."""

    def __init__(self):
        self._bytes, self._ends = bytearray(), array("q", [0])

    def append(self, text: str) -> None:
        self._bytes += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._bytes))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, row: int) -> str:
        return self._bytes[self._ends[row] : self._ends[row + 1]].decode("utf-8", "surrogatepass")


class _Hexadecimal(_Column):
    """Texts of hexadecimal digits, empty or of one length."""

    def __init__(self, digits: int):
        self._width, self._bytes, self._present = digits // 2, bytearray(), bytearray()

    def append(self, text: str) -> None:
        digits = bytes.fromhex(text)
        if len(digits) not in (0, self._width):
            raise ValueError(f"{text!r} has not {2 * self._width} hexadecimal digits")
        self._bytes += digits or bytes(self._width)
        self._present.append(bool(digits))

    def __len__(self) -> int:
        return len(self._present)

    def __getitem__(self, row: int) -> str:
        return self._bytes[self._width * row : self._width * (row + 1)].hex() if self._present[row] else ""

    def prefixes(self) -> np.ndarray:
        bits = np.frombuffer(bytes(self._bytes), np.uint8).reshape(-1, self._width)[:, :8]
        return np.ascontiguousarray(bits).view(">u8")[:, 0].astype(np.uint64)


class _Repeated:
    """Values of which many files have the same."""

    def __init__(self):
        self.numbers, self.values = array("i"), []
        self._number_of: dict[Hashable, int] = {}

    def append(self, value: Hashable) -> None:
        try:
            self.numbers.append(self._number_of[value])
        except KeyError:
            self._number_of[value] = len(self.values)
            self.numbers.append(len(self.values))
            self.values.append(value)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, row: int) -> Any:
        return self.values[self.numbers[row]]

    def __iter__(self) -> Iterator[Any]:
        return map(self.values.__getitem__, self.numbers)


_COLUMNS = {
    "path": _Texts,
    "size": lambda: array("q"),
    "mtime_ns": lambda: array("q"),
    "sha256": lambda: _Hexadecimal(64),
    "perceptual_hash": lambda: _Hexadecimal(32),
}


def _stored(column: Any) -> Any:
    return column if isinstance(column, array) else vars(column)


class FileTable(Sequence[FileRecord]):
    """A sequence of `FileRecord`s that are made when they are asked for."""

    def __init__(self, records: Iterable[FileRecord] = ()):
        self._columns = {name: _COLUMNS.get(name, _Repeated)() for name in NAMES}
        self._appends = [column.append for column in self._columns.values()]
        self.extend(records)

    def append(self, record: FileRecord) -> None:
        """Adds a record at the end; ValueError, TypeError or OverflowError for values that no file has."""
        for append, value in zip(self._appends, _VALUES(record), strict=True):
            append(value)

    def extend(self, records: Iterable[FileRecord]) -> None:
        """Adds records at the end."""
        for record in records:
            self.append(record)

    def __len__(self) -> int:
        return len(self._columns["size"])

    def __iter__(self) -> Iterator[FileRecord]:
        return starmap(FileRecord, zip(*self._columns.values(), strict=True))

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[number] for number in range(len(self))[row]]
        row = range(len(self))[row]
        return FileRecord(*[column[row] for column in self._columns.values()])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FileTable) or len(self) != len(other):
            return False
        pairs = zip(self._columns.values(), other._columns.values(), strict=True)
        return all(_stored(one) == _stored(two) or list(one) == list(two) for one, two in pairs)

    __hash__ = None

    def column(self, name: str) -> Sequence[Any]:
        """The values of a field of all files, which are read faster than the records."""
        return self._columns[name]

    def with_column(self, name: str, values: Iterable[Any]) -> FileTable:
        """The same records with other values in a field."""
        table, column = FileTable(), _COLUMNS.get(name, _Repeated)()
        for value in values:
            column.append(value)
        table._columns |= self._columns | {name: column}
        table._appends = [column.append for column in table._columns.values()]
        return table

    def distinct(self, name: str) -> tuple[np.ndarray, list[Any]]:
        """A field such as "status" as an array with the number of each file's value, and the values by number."""
        column = self._columns[name]
        return np.array(column.numbers, np.intc), column.values

    def prefixes(self, name: str) -> np.ndarray:
        """The first 64 bits of each value of a hexadecimal field, uint64; 0 of empty ones."""
        return self._columns[name].prefixes()

    def rows(self, **values: Hashable) -> np.ndarray:
        """The rows of the files whose fields have all of the values, ascending, such as `rows(status="read")`."""
        chosen = np.ones(len(self), bool)
        for name, value in values.items():
            numbers, known = self.distinct(name)
            chosen &= numbers == (known.index(value) if value in known else -1)
        return np.flatnonzero(chosen)

    def with_status(self, *statuses: str) -> list[FileRecord]:
        """The files with one of the statuses, in the order of these."""
        return [self[row] for status in statuses for row in self.rows(status=status)]

    def counts(self, name: str, rows: np.ndarray) -> dict[Any, int]:
        """How many of the rows have each value in a field such as "format", the most frequent first."""
        numbers, values = self.distinct(name)
        counts = np.bincount(numbers[rows], minlength=len(values)).tolist()
        return {values[number]: counts[number] for number in np.argsort(counts)[::-1] if counts[number]}

    def finder(self) -> Callable[[str], FileRecord | None]:
        """A function from a path to its last record, which takes 16 bytes per file."""
        hashes = np.fromiter(map(hash, self._columns["path"]), np.int64, len(self))
        order = np.argsort(hashes, kind="stable")
        hashes = hashes[order]

        def find(path: str) -> FileRecord | None:
            place = hashes.searchsorted(hash(path), "right") - 1
            while place >= 0 and hashes[place] == hash(path):
                if self._columns["path"][order[place]] == path:
                    return self[order[place]]
                place -= 1
            return None

        return find
