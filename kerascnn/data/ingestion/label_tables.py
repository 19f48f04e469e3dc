"""Labels from tables: .csv or .tsv files that name files and their classes."""

from __future__ import annotations

import codecs
import csv
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.file_tree import FileTree
from kerascnn.data.ingestion.splits import SPLIT_NAMES, TEST, TRAINING, VALIDATION
from kerascnn.files.archives.archive_entry import SkippedFile
from kerascnn.files.file_names import decode_name

TABLE_SUFFIXES = (".csv", ".tsv")
LABEL_COLUMNS = ("label", "class", "class_name", "category", "target", "breed", "species", "y")
SPLIT_COLUMNS = ("split", "set", "subset", "partition")

# Rows that decide which column is which.
SAMPLE = 200
MAX_TABLE_SIZE = 100_000_000


class LabeledFile(NamedTuple):
    """A file, its class, its split if the source has splits, and its group if the user names a column of groups."""

    path: str
    class_name: str
    split: str | None = None
    group: str | None = None


class TableLabels(NamedTuple):
    """The tables' names, the files that they label, those that are missing, and those in two classes."""

    names: list[str]
    labeled: list[LabeledFile]
    unreadable: list[SkippedFile]
    contradictory: list[SkippedFile]


def class_name(text: str) -> str:
    """The text as valid Unicode on one line: label files have one class per line."""
    return " ".join(text.encode("utf-8", "replace").decode().split())


def read_label_tables(tree: FileTree, options: DataOptions = DataOptions()) -> TableLabels | None:
    """Reads the tables at the top of a folder; None if no table names files that are there."""
    labeled: dict[str, LabeledFile] = {}
    names, unreadable, contradictory, find = [], {}, {}, _file_finder(tree)
    for name in tree.top_files:
        if not name.lower().endswith(TABLE_SUFFIXES):
            continue
        table = tree.base + name
        found, missing = _read_table(_rows(tree.root / table), find, SPLIT_NAMES.get(Path(name).stem.lower()))
        if not found:
            continue
        names.append(name)
        unreadable.update(dict.fromkeys(missing, f"named in {table} and missing"))
        for item in found:
            other = labeled.setdefault(item.path, item)
            if other.class_name != item.class_name:
                contradictory[item.path] = f"in two classes, '{other.class_name}' and '{item.class_name}', in {table}"
    if not labeled:
        return None
    items = _complete_splits([item for path, item in labeled.items() if path not in contradictory], options)
    skipped = ([SkippedFile(*pair) for pair in reasons.items()] for reasons in (unreadable, contradictory))
    return TableLabels(names, items, *skipped)


def _complete_splits(items: list[LabeledFile], options: DataOptions) -> list[LabeledFile]:
    """Test data replace missing validation data; without training and validation data, splits are dropped."""
    splits = {item.split for item in items}
    if options.chooses_validation:
        return items
    if VALIDATION not in splits:
        items = [item._replace(split=VALIDATION) if item.split == TEST else item for item in items]
    if None in splits or {item.split for item in items} < {TRAINING, VALIDATION}:
        items = [item._replace(split=None) for item in items]
    return items


def _rows(table: Path) -> list[list[str]]:
    """The table's rows that are not empty; none if it is no table."""
    try:
        text = decode_name(table.read_bytes()[:MAX_TABLE_SIZE].removeprefix(codecs.BOM_UTF8), "latin-1")
        separator = max(",;\t|", key=text.partition("\n")[0].count)
        return [row for row in csv.reader(text.splitlines(), delimiter=separator) if any(map(str.strip, row))]
    except (OSError, csv.Error):
        return []


def _file_finder(tree: FileTree) -> Callable[[str], str | None]:
    """A function from a table's cell to the file's path: by path, by name, or by name without suffix."""
    paths = {path: tree.base + path for path in tree.files if not path.lower().endswith(TABLE_SUFFIXES)}
    by_name: dict[str, str | None] = {}
    for short, path in paths.items():
        name = os.path.basename(short)
        for key in {name, os.path.splitext(name)[0], os.path.splitext(short)[0]}:
            by_name[key] = None if key in by_name else path

    def find(text: str) -> str | None:
        text = re.sub(r"^(\./)+", "", text.strip().replace("\\", "/"))
        return paths.get(text) or by_name.get(text) or by_name.get(os.path.basename(text))

    return find


def _read_table(
    rows: list[list[str]], find: Callable[[str], str | None], split: str | None
) -> tuple[list[LabeledFile], list[str]]:
    """The labeled files, and the missing ones; `split` is that of the table's name."""
    sample = rows[:SAMPLE]
    width = min(map(len, sample), default=0)
    hits = [sum(find(row[column]) is not None for row in sample) for column in range(width)]
    if width < 2 or 2 * max(hits) < len(sample) - 1 or not max(hits):
        return [], []
    file_column = hits.index(max(hits))
    head = [cell.strip().lower() for cell in rows[0]] if find(rows[0][file_column]) is None else []
    label_column = _label_column(head, sample, width, file_column)
    split_column = next((column for column, cell in enumerate(head[:width]) if cell in SPLIT_COLUMNS), None)
    labeled, missing = [], []
    for row in rows[bool(head) :]:
        if len(row) < width or not (label := class_name(row[label_column])):
            continue
        path = find(row[file_column])
        if path is None:
            missing.append(row[file_column])
        else:
            own = split if split_column is None else SPLIT_NAMES.get(row[split_column].strip().lower())
            labeled.append(LabeledFile(path, label, own))
    classes = {item.class_name for item in labeled}
    if not (head and head[label_column] in LABEL_COLUMNS) and 2 * len(classes) > len(labeled):
        # Scores, sizes, dates: nearly every file has another value.
        return [], []
    return labeled, missing


def _label_column(head: list[str], sample: list[list[str]], width: int, file_column: int) -> int:
    """The column with a label's title, or the one with the fewest values."""
    others = [column for column in range(width) if column != file_column]
    titled = [column for column in others if head and head[column] in LABEL_COLUMNS]
    if titled:
        return titled[0]
    others = [column for column in others if not head or head[column] not in SPLIT_COLUMNS] or others
    counts = {column: len({row[column].strip() for row in sample[bool(head) :]}) for column in others}
    return min(others, key=lambda column: (counts[column] < 2, counts[column]))
