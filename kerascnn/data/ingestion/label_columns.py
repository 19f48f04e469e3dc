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
from kerascnn.data.ingestion.splits import SPLIT_NAMES
from kerascnn.errors import InputError

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
    """The classes of a table's rows.

    Attributes:
        columns: what holds them, as a phrase such as "column 'dx'".
        classes: per row; none of a row without, several of a row of several classes.
        texts: per row, the one class that it has if several are one combination; "" of a row without.
        columns_found: the numbers of these columns.
        is_named: whether the title says that it is a class, or the user does.
        is_hot: whether there is a column for each class, so that a row without classes says that it has none.
        is_sure: whether several classes of a row may not be the words of one.
    """

    columns: str
    classes: list[tuple[str, ...]]
    texts: list[str]
    columns_found: tuple[int, ...] = ()
    is_named: bool = True
    is_hot: bool = False
    is_sure: bool = True

    @property
    def is_multi_label(self) -> bool:
        """Whether a row has several classes."""
        return any(len(classes) > 1 for classes in self.classes)

    def of_number(self, number: str | None, table: str) -> Labels:
        """The same; with each combination of classes as one class if `number` is "one".

        Raises:
            InputError: `number` is None, and several classes of a row may be the words of one.
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
    """The text as valid Unicode on one line: label files have one class per line."""
    return " ".join(text.encode("utf-8", "replace").decode().split())


def find_labels(
    titles: Sequence[str], columns: Sequence[Sequence[str]], others: set[int], explicit: Sequence[int], table: str
) -> Labels:
    """Finds the classes of a table's rows.

    Args:
        titles: of the columns.
        columns: their cells.
        others: the columns that hold something else: files, splits, groups.
        explicit: the columns that the user names: none, one, or one for each class.
        table: its name, for messages.

    Raises:
        NoLabelsError: no column holds classes.
        InputError: several columns may; `SeveralColumnsError` if none is named as such.

    Example:
        >>> find_labels(["image", "dx"], [["a", "b", "c"], ["nv", "bcc", "nv"]], {0}, [], "labels.csv").classes
        [('nv',), ('bcc',), ('nv',)]
    """
    if len(explicit) == 1:
        if len(_values(columns[explicit[0]])) < 2:
            raise NoLabelsError(f"its column '{titles[explicit[0]]}' has one value only")
        return _labels(titles, columns, explicit[0])
    if explicit:
        names = [column for column in explicit if not _is_binary(set(columns[column]))]
        if len(names) == len(explicit):
            return _joined(titles, columns, explicit)
        if names:
            raise NoLabelsError(f"its column '{titles[names[0]]}' has other values than 0 and 1")
        return _hot(titles, columns, explicit, f"{len(explicit)} columns of 0 and 1")
    free = [column for column in range(len(titles)) if column not in others]
    varying = {column: values for column in free if len(values := _values(columns[column])) > 1}
    named = _without_derived({column: titles[column] for column in free if is_class_title(titles[column])})
    if any(words(title) == ["x"] for title in titles):
        named = [column for column in named if words(titles[column]) != ["y"]]
    quantities = {column for column in named if column in varying and _is_quantity(varying[column])}
    repeated = [
        column
        for column in named
        if column in varying and column not in quantities and _repeats(columns[column], varying[column])
    ]
    if len({tuple(codes(columns[column])) for column in repeated if _is_binary(varying[column])}) > 1:
        # "class_0", "class_1": one column per class.
        repeated = [column for column in repeated if not _is_binary(varying[column])]
        named = repeated
    hot = _one_hot(titles, columns, [column for column in free if column not in repeated], bool(repeated))
    binary = _flags(titles, columns, free)
    if hot and not repeated and len(set(binary) - set(hot.columns_found)) >= len(hot.columns_found):
        raise InputError(_ambiguous(titles, hot, binary, table))
    if repeated or hot:
        return _decided(titles, columns, repeated, varying, table, hot)
    if named:
        reason = "has one value only" if named[0] not in varying else "has another value in every row"
        reason = "has numbers with fractions, which --label-column takes for classes" if quantities else reason
        raise NoLabelsError(f"its column '{titles[named[0]]}' {reason}")
    if len(binary) > 1:
        hot = _hot(titles, columns, binary, f"{len(binary)} columns of 0 and 1")
        if not hot.is_multi_label and 2 * hot.classes.count(()) > len(hot.classes):
            raise NoLabelsError("its columns of 0 and 1 are empty in most rows")
        return hot
    plausible = _plausible(titles, columns, varying)
    if not plausible:
        raise NoLabelsError("none of its columns holds classes" if varying else "all its rows have the same values")
    return replace(_decided(titles, columns, plausible, varying, table, None), is_named=False)


def _flags(titles: Sequence[str], columns: Sequence[Sequence[str]], free: Sequence[int]) -> list[int]:
    """The columns of 0 and 1, unless they are named for splits."""
    return [
        column
        for column in free
        if len(set(columns[column])) > 1
        and _is_binary(set(columns[column]))
        and not SPLIT_NAMES.keys() & set(words(titles[column]))
    ]


def _ambiguous(titles: Sequence[str], hot: Labels, binary: Sequence[int], table: str) -> str:
    """The sentence for columns of 0 and 1 of which only some have exactly one 1 in every row."""
    one, several = (",".join(titles[column] for column in found) for found in (hot.columns_found, binary))
    return (
        f"{table} has {len(binary)} columns of 0 and 1, and exactly one 1 per row in {len(hot.columns_found)} of them; "
        f"choose the classes with --label-column '{one}', or all with --label-column '{several}'."
    )


def _without_derived(named: dict[int, str]) -> list[int]:
    """Leaves out what says more about another column, such as "dx_type" beside "dx"."""
    parts = {column: words(title) for column, title in named.items()}

    def is_derived(column: int) -> bool:
        own = set(parts[column])
        extra = [own - set(other) for other in parts.values() if own > set(other)]
        return any(not words <= NAME_WORDS and not any(map(str.isdigit, words)) for words in extra)

    return [column for column in named if not is_derived(column)]


def _values(cells: Sequence[str]) -> set[str]:
    return set(cells).difference(_EMPTY)


def _repeats(cells: Sequence[str], values: set[str], files: float = 1) -> bool:
    """Whether the values have more than one file, or at least `files` on average."""
    filled = len(cells) - sum(map(cells.count, _EMPTY))
    return filled > len(values) and filled >= files * len(values)


def _bit(text: str) -> int | None:
    """0 or 1, written in any way, with -1 as 0; None for anything else."""
    if (known := _BITS.get(text.lower())) is not None:
        return known
    return {-1.0: 0, 0.0: 0, 1.0: 1}.get(float(text)) if _is_number(text) else None


def _is_binary(values: set[str]) -> bool:
    # The first one decides for columns of many numbers.
    return all(_bit(value) is not None for value in values)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_quantity(values: set[str]) -> bool:
    """Whether the values are numbers with fractions, as a measurement has them."""
    return all(map(_is_number, values)) and any(not float(value).is_integer() for value in values)


def _is_count(values: set[str]) -> bool:
    """Whether the values are yes and no, or number the classes from 0 or 1 on with few gaps."""
    if _is_binary(values) or not all(map(_is_number, values)):
        return _is_binary(values)
    numbers = sorted(map(float, values))
    return (
        numbers[0] in (0, 1)
        and numbers[-1] - numbers[0] < 2 * len(numbers)
        and all(number.is_integer() for number in numbers)
    )


def _plausible(titles: Sequence[str], columns: Sequence[Sequence[str]], varying: dict[int, set[str]]) -> list[int]:
    """Columns of names that repeat; without any, the one column of numbers that number classes."""
    possible = [column for column in varying if _repeats(columns[column], varying[column], 2)]
    known = {column: set(words(titles[column])) for column in possible}
    possible = [column for column in possible if not known[column] & OTHER_WORDS - {"is", "has"}]
    texts = [column for column in possible if _is_name(varying[column])]
    # "malignant" beside "sex" may be the classes as well.
    texts += [column for column in possible if texts and _is_binary(varying[column])]
    numbered = [column for column in possible if len(varying) == 1 or known[column] & NUMBERED_WORDS]
    return texts or [column for column in numbered if _is_count(varying[column])]


def _is_name(values: set[str]) -> bool:
    """Whether the values are names, and not numbers, dates, addresses, files or sentences."""
    if all(map(_is_number, values)) or _is_binary(values):
        return False
    strange = sum("://" in value or bool(_STRANGE.match(value)) for value in values)
    long = sum(value.count(" ") >= LONG for value in values)
    return 2 * max(strange, long) < len(values)


def codes(cells: Sequence[str]) -> list[int]:
    """Numbers for the values in the order in which they appear: equal lists are equal partitions of the rows."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(cell, len(numbers)) for cell in cells]


def _decided(
    titles: Sequence[str],
    columns: Sequence[Sequence[str]],
    found: Sequence[int],
    varying: dict[int, set[str]],
    table: str,
    hot: Labels | None,
) -> Labels:
    """The one partition of the rows that the columns have in common, by the most readable of its columns."""
    partitions = {column: codes(columns[column]) for column in found}
    different = [column for column in found if partitions[column] != partitions[found[0]]]
    hot_differs = hot and found and codes(["".join(row) for row in hot.classes]) != partitions[found[0]]
    if different or hot_differs:
        names = [f"'{titles[column]}'" for column in ([found[0], *different] if different else found[:1])]
        names += [f"its {hot.columns}"] if hot else []
        kind = InputError if hot or is_class_title(titles[found[0]]) else SeveralColumnsError
        raise kind(
            f"{table} has several columns that may hold the classes: {', '.join(names)}; "
            f"choose one with --label-column{_all_of(titles, found)}."
        )
    if not found:
        return hot
    # A column of numbers may have its names beside it under any title.
    first = found[0]
    count = {column: len(values) for column, values in varying.items()}
    same = [c for c in varying if count[c] == count[first] and codes(columns[c]) == partitions[first]]

    def unreadable(column: int) -> tuple[bool, bool, bool]:
        return all(map(_is_number, varying[column])), column not in found, "name" not in words(titles[column])

    return _labels(titles, columns, min(same, key=unreadable))


def _labels(titles: Sequence[str], columns: Sequence[Sequence[str]], column: int) -> Labels:
    title, cells = titles[column], columns[column]
    separator, is_sure = tag_separator(title, _values(cells))
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
    return tuple(dict.fromkeys(name for part in parts if (name := class_name(part.strip(" '\"")))))


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


def _joined(titles: Sequence[str], columns: Sequence[Sequence[str]], found: Sequence[int]) -> Labels:
    """The classes in several columns of names, such as "tag1" and "tag2"; an image has all of its row."""
    rows = zip(*(columns[column] for column in found), strict=True)
    classes = [tuple(dict.fromkeys(class_name(cell) for cell in row if cell not in _EMPTY)) for row in rows]
    phrase = f"columns {', '.join(repr(titles[column]) for column in found)}"
    return Labels(phrase, classes, [" + ".join(names) for names in classes], tuple(found))


def _all_of(titles: Sequence[str], found: Sequence[int]) -> str:
    """How to take all columns, if only a number tells their titles apart."""
    if len(found) < 2 or len({re.sub(r"[\W\d_]", "", titles[column].lower()) for column in found}) > 1:
        return ""
    several = ",".join(titles[column] for column in found)
    return f", or, if an image has several classes, all with --label-column '{several}'"


def _one_hot(
    titles: Sequence[str], columns: Sequence[Sequence[str]], free: Sequence[int], has_others: bool
) -> Labels | None:
    """The longest run of neighboring columns with exactly one 1 per row, in two columns at least."""
    flags = SPLIT_NAMES.keys() | (OTHER_WORDS if has_others else set())
    bits = [column for column in free if _is_binary(set(columns[column])) and not flags & set(words(titles[column]))]
    if len(bits) < 2:
        return None
    values = np.array([_bits(columns[column]) for column in bits])
    sums = np.concatenate([np.zeros((1, values.shape[1]), np.int16), values.cumsum(axis=0, dtype=np.int16)])
    longest = []
    for start in range(len(bits)):
        ends = np.flatnonzero((sums[start + 1 :] - sums[start] == 1).all(axis=1))
        if len(ends) and ends[-1] + 1 > len(longest):
            longest = bits[start : start + int(ends[-1]) + 1]
    # A class without a row has no images here.
    longest = [column for column in longest if len(set(columns[column])) > 1]
    return _hot(titles, columns, longest, f"{len(longest)} one-hot columns") if len(longest) > 1 else None


def _bits(cells: Sequence[str]) -> np.ndarray:
    known = {cell: _bit(cell) for cell in set(cells)}
    return np.fromiter(map(known.__getitem__, cells), np.int8, len(cells))


def _hot(titles: Sequence[str], columns: Sequence[Sequence[str]], found: Sequence[int], phrase: str) -> Labels:
    names = [class_name(titles[column]) for column in found]
    rows = zip(*(_bits(columns[column]).tolist() for column in found), strict=True)
    known: dict[tuple[int, ...], tuple[str, ...]] = {}
    classes = []
    for row in rows:
        if row not in known:
            known[row] = tuple(name for name, bit in zip(names, row, strict=True) if bit)
        classes.append(known[row])
    texts = {names: " + ".join(names) for names in known.values()}
    phrase = f"{phrase} ({_listed(names)})"
    numbers = [{float(cell) for cell in set(columns[column]) if _is_number(cell)} for column in found]
    if any({-1.0, 0.0} <= values for values in numbers):
        phrase += ", -1 as 0,"
    return Labels(phrase, classes, [texts[names] for names in classes], tuple(found), is_hot=True)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names if len(names) <= 4 else [*names[:3], "…", names[-1]])
