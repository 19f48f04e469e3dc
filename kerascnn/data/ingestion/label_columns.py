"""Decides which column of a table holds the classes, on the evidence of titles and values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kerascnn.data.ingestion.column_titles import (
    NAME_WORDS,
    NUMBERED_WORDS,
    OTHER_WORDS,
    TAG_WORDS,
    is_class_title,
    quoted,
    words,
)
from kerascnn.data.ingestion.file_tree import IMAGE_SUFFIXES
from kerascnn.data.ingestion.reading import listed
from kerascnn.data.ingestion.splits import SPLIT_NAMES
from kerascnn.errors import InputError
from kerascnn.shown_text import literal

_EMPTY = ("", "nan", "NaN", "N/A", "n/a", "#N/A", "<NA>", "null", "NULL")
# What separates classes in a cell.
COMMAS, SIGNS, SPACES = r"[,;|]", r"\s*[+&/#]\s*|\s+(?:and|-|–)\s+", r"\s+"

_BITS = {**dict.fromkeys(("", "false", "no", "n"), 0), **dict.fromkeys(("true", "yes", "y", "x", "✓", "✔"), 1)}
# Dates, times, files.
_STRANGE = re.compile(rf"\d+[-/.:]\d{{1,2}}(?!\d)|.*({'|'.join(map(re.escape, IMAGE_SUFFIXES))})$", re.IGNORECASE)
# Words per class name in the longest usual case; captions have more.
LONG = 6


@dataclass(frozen=True)
class Labels:
    """The classes of a table's rows."""

    columns: str  # what holds them, as a phrase such as "column 'dx'"
    classes: list[tuple[str, ...]]  # per row; none of a row without, several of a row of several classes
    texts: list[str]  # per row, its one class if several are one combination; "" of a row without
    columns_found: tuple[int, ...] = ()
    is_named: bool = True  # whether the title says that it is a class, or the user does
    is_hot: bool = False  # whether there is a column for each class, so that a row can say that it has none
    is_sure: bool = True  # whether several classes of a row may not be the words of one

    @property
    def is_multi_label(self) -> bool:
        """Whether a row has several classes."""
        return any(len(classes) > 1 for classes in self.classes)

    def of_number(self, number: str | None, table: str) -> Labels:
        """The same; with each combination of classes as one class if `number` is "one".

        InputError if `number` is None, and several classes of a row may be the words of one.
        """
        if number == "one":
            return replace(self, classes=[(text,) if text else () for text in self.texts])
        if number is None and not self.is_sure:
            text = next(text for text, classes in zip(self.texts, self.classes, strict=True) if len(classes) > 1)
            raise InputError(
                f"{table} has one class of several words or several classes in its {self.columns}, such as '{text}'; "
                "choose with --labels-per-image one or --labels-per-image several."
            )
        return self


class NoLabelsError(Exception):
    """No column holds classes; the message is a phrase that says why."""


class SeveralColumnsError(InputError):
    """Several columns may hold classes, and no title says that one does."""


def class_name(text: str) -> str:
    """The text as valid Unicode on one line, without control characters: label files have one class per line.

    Bytes of a folder's name that are no UTF-8 are written out, so that other bytes are another class. Of blanks only,
    underscores are left.
    """
    text = re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", text)
    return literal(" ".join(text.split()) or "_" * len(text))


@dataclass(frozen=True)
class Columns:
    """The columns of a table, whose name is for messages."""

    table: str
    titles: Sequence[str]
    cells: Sequence[Sequence[str]]

    def words(self, column: int) -> set[str]:
        """Those of the title."""
        return set(words(self.titles[column]))

    def values(self, column: int) -> set[str]:
        """The different cells that are not empty."""
        return set(self.cells[column]).difference(_EMPTY)

    def is_binary(self, column: int) -> bool:
        """Whether all cells are 0 or 1, or empty for 0."""
        return _is_binary(set(self.cells[column]))

    def codes(self, column: int) -> list[int]:
        """See `_codes`."""
        return _codes(self.cells[column])

    def repeats(self, column: int, files: float = 1) -> bool:
        """Whether the values have more than one file, or at least `files` on average."""
        cells, count = self.cells[column], len(self.values(column))
        filled = len(cells) - sum(map(cells.count, _EMPTY))
        return filled > count and filled >= files * count


def find_labels(columns: Columns, others: set[int], explicit: Sequence[int]) -> Labels:
    """Finds the classes of a table's rows.

    `others` are the columns that hold something else: files, splits, groups; `explicit` those that the user names:
    none, one, or one for each class. NoLabelsError if no column holds classes, InputError if several columns may;
    `SeveralColumnsError` if none is named as such.

    Example:
        >>> cells = [["a", "b", "c"], ["nv", "bcc", "nv"]]
        >>> find_labels(Columns("labels.csv", ["image", "dx"], cells), {0}, []).classes
        [('nv',), ('bcc',), ('nv',)]
    """
    if explicit:
        return _chosen(columns, explicit)
    free = [column for column in range(len(columns.titles)) if column not in others]
    varying = {column: values for column in free if len(values := columns.values(column)) > 1}
    named = _named(columns, free)
    quantities = [column for column in named if column in varying and _is_quantity(varying[column])]
    repeated = [
        column for column in named if column in varying and column not in quantities and columns.repeats(column)
    ]
    if len({tuple(columns.codes(column)) for column in repeated if _is_binary(varying[column])}) > 1:
        # "class_0", "class_1": one column per class.
        named = repeated = [column for column in repeated if not _is_binary(varying[column])]
    hot = _one_hot(columns, [column for column in free if column not in repeated], bool(repeated))
    binary = [column for column in free if len(set(columns.cells[column])) > 1 and columns.is_binary(column)]
    binary = [column for column in binary if not SPLIT_NAMES.keys() & columns.words(column)]
    if hot and not repeated and len(set(binary) - set(hot.columns_found)) >= len(hot.columns_found):
        raise InputError(_ambiguous(columns, hot, binary))
    if repeated or hot:
        return _decided(columns, repeated, varying, hot)
    if named:
        reason = "has one value only" if named[0] not in varying else "has another value in every row"
        reason = "has numbers with fractions, which --label-column takes for classes" if quantities else reason
        raise NoLabelsError(f"its column '{columns.titles[named[0]]}' {reason}")
    if len(binary) > 1:
        hot = _hot(columns, binary)
        if not hot.is_multi_label and 2 * hot.classes.count(()) > len(hot.classes):
            raise NoLabelsError("its columns of 0 and 1 are empty in most rows")
        return hot
    plausible = _plausible(columns, varying)
    if not plausible:
        raise NoLabelsError("none of its columns holds classes" if varying else "all its rows have the same values")
    return replace(_decided(columns, plausible, varying, None), is_named=False)


def _chosen(columns: Columns, found: Sequence[int]) -> Labels:
    """The classes in the columns that the user names."""
    names = [column for column in found if not columns.is_binary(column)]
    if len(found) == 1:
        if len(columns.values(found[0])) < 2:
            raise NoLabelsError(f"its column '{columns.titles[found[0]]}' has one value only")
        return _labels(columns, found[0])
    if len(names) == len(found):
        return _joined(columns, found)
    if names:
        raise NoLabelsError(f"its column '{columns.titles[names[0]]}' has other values than 0 and 1")
    return _hot(columns, found)


def _named(columns: Columns, free: Sequence[int]) -> list[int]:
    """The columns whose titles say that they hold classes, without what says more about one: "dx_type" beside "dx"."""
    named = {column: columns.words(column) for column in free if is_class_title(columns.titles[column])}

    def is_derived(own: set[str]) -> bool:
        extra = [own - other for other in named.values() if own > other]
        return any(not more <= NAME_WORDS and not any(map(str.isdigit, more)) for more in extra)

    has_x = any(words(title) == ["x"] for title in columns.titles)
    return [column for column, own in named.items() if not is_derived(own) and not (has_x and own == {"y"})]


def _ambiguous(columns: Columns, hot: Labels, binary: Sequence[int]) -> str:
    """The sentence for columns of 0 and 1 of which only some have exactly one 1 in every row."""
    one, several = (",".join(columns.titles[column] for column in found) for found in (hot.columns_found, binary))
    return (
        f"{columns.table} has {len(binary)} columns of 0 and 1, and exactly one 1 per row in {len(hot.columns_found)} "
        f"of them; choose the classes with --label-column '{one}', or all with --label-column '{several}'."
    )


def _bit(text: str) -> int | None:
    """0 or 1, written in any way, with -1 as 0; None for anything else."""
    if (known := _BITS.get(text.lower())) is not None:
        return known
    return {-1.0: 0, 0.0: 0, 1.0: 1}.get(float(text)) if is_number(text) else None


def _is_binary(values: set[str]) -> bool:
    # The first one decides for columns of many numbers.
    return all(_bit(value) is not None for value in values)


def is_number(text: str) -> bool:
    """Whether a cell is a number; "1_2" is none, though Python reads it."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _is_quantity(values: set[str]) -> bool:
    """Whether the values are numbers with fractions, as a measurement has them."""
    return all(map(is_number, values)) and any(not float(value).is_integer() for value in values)


def _is_count(values: set[str]) -> bool:
    """Whether the values are yes and no, or number the classes from 0 or 1 on with few gaps."""
    if _is_binary(values) or not all(map(is_number, values)) or _is_quantity(values):
        return _is_binary(values)
    numbers = sorted(map(float, values))
    return numbers[0] in (0, 1) and numbers[-1] - numbers[0] < 2 * len(numbers)


def _plausible(columns: Columns, varying: dict[int, set[str]]) -> list[int]:
    """Columns of names that repeat; without any, the one column of numbers that number classes."""
    known = {column: columns.words(column) for column in varying if columns.repeats(column, 2)}
    possible = [column for column in known if not known[column] & OTHER_WORDS - {"is", "has"}]
    texts = [column for column in possible if _is_name(varying[column])]
    # "malignant" beside "sex" may be the classes as well.
    texts += [column for column in possible if texts and _is_binary(varying[column])]
    numbered = [column for column in possible if len(varying) == 1 or known[column] & NUMBERED_WORDS]
    return texts or [column for column in numbered if _is_count(varying[column])]


def _is_name(values: set[str]) -> bool:
    """Whether the values are names, and not numbers, dates, addresses, files or sentences."""
    if all(map(is_number, values)) or _is_binary(values):
        return False
    strange = sum("://" in value or bool(_STRANGE.match(value)) for value in values)
    long = sum(value.count(" ") >= LONG for value in values)
    return 2 * max(strange, long) < len(values)


def _codes(cells: Sequence[object]) -> list[int]:
    """Numbers for the values in the order in which they appear: equal lists are equal partitions of the rows."""
    numbers: dict[object, int] = {}
    return [numbers.setdefault(cell, len(numbers)) for cell in cells]


def _decided(columns: Columns, found: Sequence[int], varying: dict[int, set[str]], hot: Labels | None) -> Labels:
    """The one partition of the rows that the columns have in common, by the most readable of its columns."""
    titles, partitions = columns.titles, {column: columns.codes(column) for column in found}
    different = [column for column in found if partitions[column] != partitions[found[0]]]
    hot_differs = hot and found and _codes(["".join(row) for row in hot.classes]) != partitions[found[0]]
    if different or hot_differs:
        names = [f"'{titles[column]}'" for column in ([found[0], *different] if different else found[:1])]
        names += [f"its {hot.columns}"] if hot else []
        kind = InputError if hot or is_class_title(titles[found[0]]) else SeveralColumnsError
        raise kind(
            f"{columns.table} has several columns that may hold the classes: {', '.join(names)}; "
            f"choose one with --label-column{_all_of(titles, found)}."
        )
    if not found:
        return hot
    # A column of numbers may have its names beside it under any title.
    first = found[0]
    count = {column: len(values) for column, values in varying.items()}
    same = [c for c in varying if count[c] == count[first] and columns.codes(c) == partitions[first]]

    def unreadable(column: int) -> tuple[bool, bool, bool]:
        return all(map(is_number, varying[column])), column not in found, "name" not in columns.words(column)

    return _labels(columns, min(same, key=unreadable))


def _labels(columns: Columns, column: int) -> Labels:
    title, cells = columns.titles[column], columns.cells[column]
    separator, is_sure = tag_separator(title, columns.values(column))
    known = {cell: _classes(cell, separator) for cell in set(cells)}
    texts = {cell: "" if cell in _EMPTY else class_name(cell) for cell in known}
    if all(re.fullmatch(r"\d+\.0+|", text) for text in texts.values()):
        # Whole numbers, as a program writes them that has a column with gaps.
        texts = {cell: text.partition(".")[0] for cell, text in texts.items()}
        known = {cell: (text,) if text else () for cell, text in texts.items()}
    classes, one = [known[cell] for cell in cells], [texts[cell] for cell in cells]
    return Labels(quoted(title), classes, one, (column,), is_sure=is_sure)


def _classes(cell: str, separator: str | None) -> tuple[str, ...]:
    if cell in _EMPTY:
        return ()
    if separator is None:
        return (class_name(cell),)
    parts = re.split(separator, cell.strip("[](){}"))
    return tuple(dict.fromkeys(name for part in parts if (name := class_name(part.strip().strip(" '\"")))))


def tag_separator(title: str, values: set[str]) -> tuple[str | None, bool]:
    """What separates several classes in one cell, as a regular expression, and whether this is sure.

    It is None if cells hold one class each.

    Separated words are classes if they appear in several combinations, or alone: "cat indoor", "dog indoor" and "dog",
    and not "golden retriever" and "black swan".
    """
    if values and all(value[:1] + value[-1:] in ("[]", "{}", "()") for value in values):
        return COMMAS, True
    for separator in (COMMAS, SIGNS, SPACES):
        split = [[part for part in re.split(separator, value.strip("[](){}")) if part.strip()] for value in values]
        joined = [parts for parts in split if len(parts) > 1]
        if not joined:
            continue
        seen = Counter(part.strip() for parts in split for part in dict.fromkeys(parts))
        shared = sum(count > 1 for count in seen.values())
        alone = {parts[0].strip() for parts in split if len(parts) == 1}
        parts = {part.strip() for parts in joined for part in parts}
        if parts <= alone or all(map(str.isdecimal, parts)) or TAG_WORDS & set(words(title)):
            return separator, True
        varies = len({len(parts) for parts in split}) > 1
        # "red apple" and "green apple" are names of two words, "Pepper, bell" is one of two parts.
        if (varies or separator != SPACES) and shared > (0.2 if separator == COMMAS and varies else 0.5) * len(seen):
            # "Tomato healthy", "Tomato late blight".
            return separator, separator != SPACES
    return None, True


def _joined(columns: Columns, found: Sequence[int]) -> Labels:
    """The classes in several columns of names, such as "tag1" and "tag2"; an image has all of its row."""
    rows = zip(*(columns.cells[column] for column in found), strict=True)
    classes = [tuple(dict.fromkeys(class_name(cell) for cell in row if cell not in _EMPTY)) for row in rows]
    phrase = f"columns {', '.join(repr(columns.titles[column]) for column in found)}"
    return Labels(phrase, classes, [" + ".join(names) for names in classes], tuple(found))


def _all_of(titles: Sequence[str], found: Sequence[int]) -> str:
    """How to take all columns, if only a number tells their titles apart."""
    if len(found) < 2 or len({re.sub(r"[\W\d_]", "", titles[column].lower()) for column in found}) > 1:
        return ""
    several = ",".join(titles[column] for column in found)
    return f", or, if an image has several classes, all with --label-column '{several}'"


def _one_hot(columns: Columns, free: Sequence[int], has_others: bool) -> Labels | None:
    """The longest run of neighboring columns with exactly one 1 per row, in two columns at least."""
    flags = SPLIT_NAMES.keys() | (OTHER_WORDS if has_others else set())
    bits = [column for column in free if columns.is_binary(column) and not flags & columns.words(column)]
    if len(bits) < 2:
        return None
    values = np.array([_bits(columns.cells[column]) for column in bits])
    sums = np.concatenate([np.zeros((1, values.shape[1]), np.int16), values.cumsum(axis=0, dtype=np.int16)])
    longest = []
    for start in range(len(bits)):
        ends = np.flatnonzero((sums[start + 1 :] - sums[start] == 1).all(axis=1))
        if len(ends) and ends[-1] + 1 > len(longest):
            longest = bits[start : start + int(ends[-1]) + 1]
    # A class without a row has no images here.
    longest = [column for column in longest if len(set(columns.cells[column])) > 1]
    return _hot(columns, longest, "one-hot columns") if len(longest) > 1 else None


def _bits(cells: Sequence[str]) -> np.ndarray:
    known = {cell: _bit(cell) for cell in set(cells)}
    return np.fromiter(map(known.__getitem__, cells), np.int8, len(cells))


def _hot(columns: Columns, found: Sequence[int], kind: str = "columns of 0 and 1") -> Labels:
    names = [class_name(columns.titles[column]) for column in found]
    rows = list(zip(*(_bits(columns.cells[column]).tolist() for column in found), strict=True))
    known = {row: tuple(name for name, bit in zip(names, row, strict=True) if bit) for row in set(rows)}
    classes = [known[row] for row in rows]
    texts = {names: " + ".join(names) for names in known.values()}
    phrase = f"{len(found)} {kind} ({listed(names)})"
    numbers = [{float(cell) for cell in set(columns.cells[column]) if is_number(cell)} for column in found]
    if any({-1.0, 0.0} <= values for values in numbers):
        phrase += ", -1 as 0,"
    return Labels(phrase, classes, [texts[names] for names in classes], tuple(found), is_hot=True)
