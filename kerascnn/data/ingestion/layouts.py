"""How a folder says which class each of its images is of."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kerascnn.data.ingestion.file_tree import IMAGE_SUFFIXES, FileTree, walk
from kerascnn.data.ingestion.splits import TEST, TRAINING, VALIDATION
from kerascnn.errors import InputError
from kerascnn.files.archives.archive_entry import SkippedFile

SPLIT_NAMES = {
    "train": TRAINING,
    "training": TRAINING,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
    "testing": TEST,
}

TABLE_SUFFIXES = (".csv", ".tsv")

# How cameras and programs begin the names of whatever they write.
NO_CLASSES = {
    *("img", "image", "dsc", "dscn", "dscf", "pxl", "mvi", "p", "photo", "image", "pic", "foto", "screenshot"),
    *("frame", "scan", "file", "untitled", "download", "wp", "gopr", "dji", "whatsapp image"),
}

LABEL_COLUMNS = ("label", "class", "class_name", "category", "target", "breed", "species", "y")
SPLIT_COLUMNS = ("split", "set", "subset", "partition")

# Rows by which the columns of a table are told apart.
SAMPLE = 200


class Labelled(NamedTuple):
    """A file, its class, and the split its place assigns it to, if any."""

    path: str
    class_name: str
    split: str | None = None


@dataclass(frozen=True)
class FolderLayout:
    """What was recognized.

    Attributes:
        description: of the layout, as a phrase.
        labelled: the files that are to be checked.
        ignored: what has no class, or is left behind by operating systems.
        unreadable: what ought to be an image and cannot even be opened.
    """

    description: str
    labelled: tuple[Labelled, ...]
    ignored: tuple[SkippedFile, ...] = ()
    unreadable: tuple[SkippedFile, ...] = ()


def recognized(root: Path, source: str) -> FolderLayout:
    """Finds out how the images below a folder are labelled.

    In this order: a table of file and class; folders for training and validation; one folder a class; file names
    that begin with their class. A folder that holds one folder and no images is looked through.

    Args:
        root: the folder.
        source: what to call it in errors.

    Raises:
        InputError: none of these.
    """
    tree = walk(root)
    base = _base(tree, root)
    table = _by_table(tree, base, root)
    if table:
        labelled, description = table.labelled, f"{' and '.join(table.names)} with a file and its class a row"
    else:
        labelled, description = _by_place(tree, base)
    if not labelled:
        found = f"says nowhere of which classes its {len(tree.files)} files are" if tree.files else "has no images"
        raise InputError(
            f"{source} {found}; give a folder with one subfolder a class, files named like cat.1.jpg and dog.1.jpg, "
            "or a .csv of file and class."
        )
    unreadable = (*tree.unreadable, *(table.unreadable if table else ()))
    accounted = {item.path for item in labelled} | {item.path for item in unreadable}
    ignored = [SkippedFile(path, "of no class") for path in tree.files if path not in accounted]
    if base:
        description += f", in {base.rstrip('/')}"
    return FolderLayout(description, tuple(labelled), tuple(sorted((*tree.ignored, *ignored), key=_path)), unreadable)


def _path(item: SkippedFile) -> str:
    return item.path


def _base(tree: FileTree, root: Path) -> str:
    """The folder to begin with, "" or with a slash at its end."""
    base = ""
    while True:
        folders = tree.folders(base)
        images = any(path.lower().endswith(IMAGE_SUFFIXES) for path in tree.loose(base))
        if len(folders) != 1 or images or _by_table(tree, base, root):
            return base
        inner = f"{base}{folders[0]}/"
        if not tree.folders(inner) and not _by_name(tree, inner) and not _by_table(tree, inner, root):
            return base
        base = inner


def _by_place(tree: FileTree, base: str) -> tuple[list[Labelled], str]:
    """Classes by the files' folders or names, and the layout as a phrase."""
    labelled = _by_split(tree, base)
    if labelled:
        flat = labelled[0].path[len(base) :].count("/") == 1
        below = "file names that begin with their class" if flat else "one folder a class"
        splits = " and ".join(dict.fromkeys(item.path[len(base) :].split("/", 1)[0] for item in labelled))
        return labelled, f"{below} below {splits}"
    labelled = _by_folder(tree, base)
    if labelled:
        return labelled, "one folder a class"
    return _by_name(tree, base), "file names that begin with their class"


def _by_split(tree: FileTree, base: str) -> list[Labelled]:
    """Folders named for splits, with classes in them; a test folder stands in where there is none for validation."""
    splits: dict[str, list[Labelled]] = {}
    for name in tree.folders(base):
        split = SPLIT_NAMES.get(name.lower())
        inside = split and (_by_folder(tree, f"{base}{name}/") or _by_name(tree, f"{base}{name}/"))
        if inside:
            splits.setdefault(split, []).extend(item._replace(split=split) for item in inside)
    if TEST in splits and VALIDATION not in splits:
        splits[VALIDATION] = [item._replace(split=VALIDATION) for item in splits.pop(TEST)]
    if TRAINING not in splits:
        return []
    if VALIDATION not in splits:
        # Training images alone are split as if their folder had been given.
        beside = [name for name in tree.folders(base) if name.lower() not in SPLIT_NAMES]
        if any(_by_folder(tree, f"{base}{name}/") for name in beside):
            return []
        return [item._replace(split=None) for item in splits[TRAINING]]
    return [item for split in (TRAINING, VALIDATION, TEST) for item in splits.get(split, [])]


def _by_folder(tree: FileTree, base: str) -> list[Labelled]:
    return [
        Labelled(path, class_name(path[len(base) :].split("/", 1)[0]))
        for path in tree.below(base)
        if "/" in path[len(base) :]
    ]


def _by_name(tree: FileTree, base: str) -> list[Labelled]:
    """Files in one folder whose names begin alike; not where every name is its own beginning."""
    if tree.folders(base):
        return []
    labelled = [
        Labelled(path, beginning)
        for path in tree.loose(base)
        if (beginning := _beginning(path[len(base) :])) is not None
    ]
    classes = Counter(item.class_name for item in labelled)
    if len(classes) < 2 or 2 * len(classes) > len(labelled) or {name.lower() for name in classes} <= NO_CLASSES:
        return []
    return labelled


def _beginning(name: str) -> str | None:
    """What a file's name begins with, up to the first dot or number: "cat" of "cat.0.jpg", "cat_12.jpg"."""
    match = re.match(r"([^.\d]*[^.\d\s_(-])[\s_(-]*(?:\.(?=.*\.)|\d)", name)
    return class_name(match.group(1)) if match else None


def class_name(text: str) -> str:
    """The text on one line and valid, since labels are written one a line."""
    return " ".join(text.encode("utf-8", "replace").decode().split())


class Table(NamedTuple):
    """What tables of files and classes say."""

    names: tuple[str, ...]
    labelled: list[Labelled]
    unreadable: list[SkippedFile]


def _by_table(tree: FileTree, base: str, root: Path) -> Table | None:
    """The files that tables in `base` name, each with its class; None where no table names files that are there."""
    labelled: dict[str, Labelled] = {}
    names, unreadable, find = [], {}, _finder(tree, base)
    for table in tree.loose(base):
        if not table.lower().endswith(TABLE_SUFFIXES):
            continue
        found, missing = _from_rows(_rows(root / table), find, SPLIT_NAMES.get(Path(table).stem.lower()))
        if not found:
            continue
        names.append(table[len(base) :])
        unreadable.update(dict.fromkeys(missing, f"named in {table} and not there"))
        for item in found:
            other = labelled.setdefault(item.path, item)
            if other.class_name != item.class_name:
                reason = f"of two classes, '{other.class_name}' and '{item.class_name}', in {table}"
                unreadable[item.path] = reason
    if not labelled:
        return None
    items = _with_both_splits([item for path, item in labelled.items() if path not in unreadable])
    return Table(tuple(names), items, [SkippedFile(*pair) for pair in unreadable.items()])


def _with_both_splits(items: list[Labelled]) -> list[Labelled]:
    """A test split stands in for a validation split that is not there; without both, none is taken over."""
    splits = {item.split for item in items}
    if VALIDATION not in splits:
        items = [item._replace(split=VALIDATION) if item.split == TEST else item for item in items]
    if None in splits or {item.split for item in items} < {TRAINING, VALIDATION}:
        items = [item._replace(split=None) for item in items]
    return items


def _rows(table: Path) -> list[list[str]]:
    """The rows of a table, whatever separates its columns; none where it is no table."""
    try:
        text = table.read_bytes()[:100_000_000]
    except OSError:
        return []
    try:
        text = text.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = text.decode("latin-1")
    first = text.partition("\n")[0]
    separator = max(",;\t|", key=first.count)
    try:
        return [row for row in csv.reader(text.splitlines(), delimiter=separator) if any(map(str.strip, row))]
    except csv.Error:
        return []


def _finder(tree: FileTree, base: str) -> Callable[[str], str | None]:
    """A function from what a table calls a file to its path: by path, by name, by name without suffix."""
    paths = {path[len(base) :]: path for path in tree.below(base) if not path.lower().endswith(TABLE_SUFFIXES)}
    named: dict[str, str | None] = {}
    for short, path in paths.items():
        for key in {os.path.basename(short), os.path.splitext(os.path.basename(short))[0], os.path.splitext(short)[0]}:
            named[key] = None if key in named else path

    def find(text: str) -> str | None:
        text = re.sub(r"^(\./)+", "", text.strip().replace("\\", "/"))
        return paths.get(text) or named.get(text) or named.get(os.path.basename(text))

    return find


def _from_rows(
    rows: list[list[str]], find: Callable[[str], str | None], split: str | None
) -> tuple[list[Labelled], list[str]]:
    """Of a table whose columns are told apart by what is in them: the files that are there, and those that are not."""
    sample = rows[:SAMPLE]
    width = min(map(len, sample), default=0)
    hits = [sum(find(row[column]) is not None for row in sample) for column in range(width)]
    if width < 2 or 2 * max(hits) < len(sample) - 1 or not max(hits):
        return [], []
    file_column = hits.index(max(hits))
    head = [cell.strip().lower() for cell in rows[0]] if find(rows[0][file_column]) is None else []
    label_column = _label_column(head, sample, width, file_column)
    split_column = next((place for place, cell in enumerate(head[:width]) if cell in SPLIT_COLUMNS), None)
    labelled, missing = [], []
    for row in rows[bool(head) :]:
        if len(row) < width or not class_name(row[label_column]):
            continue
        path = find(row[file_column])
        of = SPLIT_NAMES.get(row[split_column].strip().lower()) if split_column is not None else split
        if path is None:
            missing.append(row[file_column])
        else:
            labelled.append(Labelled(path, class_name(row[label_column]), of))
    classes = {item.class_name for item in labelled}
    if not (head and head[label_column] in LABEL_COLUMNS) and 2 * len(classes) > len(labelled):
        # Scores, sizes, dates: nearly every file has a value of its own.
        return [], []
    return labelled, missing


def _label_column(head: list[str], sample: list[list[str]], width: int, file_column: int) -> int:
    """The column that its head calls so, or that of the fewest values."""
    others = [column for column in range(width) if column != file_column]
    for column in others:
        if head and head[column] in LABEL_COLUMNS:
            return column
    others = [column for column in others if not head or head[column] not in SPLIT_COLUMNS] or others
    kinds = {column: len({row[column].strip() for row in sample[bool(head) :]}) for column in others}
    return min(others, key=lambda column: (kinds[column] < 2, kinds[column]))
