"""Labels from tables: which tables of a folder label its images, and what contradicts them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.file_index import FileIndex
from kerascnn.data.ingestion.file_tree import IMAGE_SUFFIXES, FileTree
from kerascnn.data.ingestion.label_columns import (
    Labels,
    NoLabelsError,
    SeveralColumnsError,
    class_name,
    find_labels,
)
from kerascnn.data.ingestion.splits import SPLIT_NAMES, TEST, TRAINING, VALIDATION
from kerascnn.data.ingestion.table_files import Table, UnusedTableError, column_of, columns_of, read_table, split_of
from kerascnn.data.ingestion.tables import TABLE_SUFFIXES
from kerascnn.errors import InputError
from kerascnn.files.archives.archive_entry import SkippedFile

__all__ = ["LabeledFile", "TableLabels", "class_name", "complete_splits", "read_label_tables"]

# Tables in a folder; more are files that belong to single images.
MOST_TABLES = 50
# Folders above a table.
DEPTH = 3
UNREAD = {
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "a spreadsheet; save it as .csv to use it"),
    ".parquet": "a table that is not read; save it as .csv to use it",
    **dict.fromkeys((".csv.gz", ".csv.zip", ".tsv.gz"), "a compressed table; unpack it to use it"),
}

# A table with fewer of its files is not taken without being asked for.
FOUND = 0.5
# If more files have several classes, these are no mistakes.
MOST_CONTRADICTIONS = 0.25


class LabeledFile(NamedTuple):
    """A file, its class, its split if the source has splits, and its group if the user names a column of groups.

    A multi-label file has a tuple of classes, which may be empty.
    """

    path: str
    class_name: str | tuple[str, ...]
    split: str | None = None
    group: str | None = None

    @property
    def is_multi_label(self) -> bool:
        """Whether it may have several classes."""
        return isinstance(self.class_name, tuple)

    @property
    def classes(self) -> tuple[str, ...]:
        """Its class, or any number of classes if it is multi-label."""
        return self.class_name if isinstance(self.class_name, tuple) else (self.class_name,)


@dataclass(frozen=True)
class TableLabels:
    """What the tables of a folder say.

    Attributes:
        description: the evidence in a phrase; "" if no table labels images.
        labeled: the files with one class.
        unreadable: files that a table names, and that are not there or not to be told from others.
        contradictory: files in two classes, of which they can have one only.
        ignored: tables that are not used.
    """

    description: str = ""
    labeled: tuple[LabeledFile, ...] = ()
    unreadable: tuple[SkippedFile, ...] = ()
    contradictory: tuple[SkippedFile, ...] = ()
    ignored: tuple[SkippedFile, ...] = ()


@dataclass(frozen=True)
class _Group:
    """Tables of the same titles, whose rows are read as those of one table.

    Attributes:
        rows: those whose files are found, as a table and its row.
        unfound: what the other rows name, with the reason.
        labels: of these rows, or of all if no file is found.
        is_multi_label: whether a file may have several classes.
        group_column: None if there is none.
    """

    tables: tuple[Table, ...]
    rows: list[tuple[Table, int]]
    unfound: dict[str, str]
    labels: Labels
    is_multi_label: bool
    group_column: int | None

    @cached_property
    def name(self) -> str:
        names = [table.name for table in self.tables]
        return " and ".join(names if len(names) <= 3 else [*names[:2], f"{len(names) - 2} more tables"])

    @cached_property
    def named(self) -> int:
        """The number of files that are named."""
        named = (zip(table.files, table.splits, strict=True) for table in self.tables)
        return sum(len({(cell, split) for cell, split in pairs if cell}) for pairs in named)

    @cached_property
    def classes(self) -> dict[str, set[tuple[str, ...]]]:
        """The classes of each file that is found."""
        found = defaultdict(set)
        for (table, row), classes in zip(self.rows, self.labels.classes, strict=True):
            if classes:
                found[table.matches[row].path].add(classes)
        return dict(found)

    @cached_property
    def found(self) -> int:
        """The number of files that are found."""
        return len({table.matches[row].path for table, row in self.rows})

    def check_found(self) -> None:
        """Raises InputError if most files are not there."""
        if self.found and self.found >= FOUND * self.named:
            return
        name, reason = next(iter(self.unfound.items()))
        example = name if reason == "missing" else f"{name}, which {reason}"
        ways = [
            "correct the names",
            *(["leave folders out with --leave-out"] if reason != "missing" else []),
            *(["take those that are found with --file-column"] if self.found else []),
        ]
        raise InputError(
            f"{self.name} names {self.named:,} files, {self.found:,} found, for example {example}; "
            f"{', '.join(ways)}, or move the table out of the folder."
        )


def read_label_tables(tree: FileTree, options: DataOptions = DataOptions()) -> TableLabels | None:
    """Reads the tables of a folder and of its next two levels of subfolders.

    Tables are joined if they have the same titles. Submission templates, tables without classes and tables that name
    no files are ignored.

    Returns:
        The labels, without any files if no table has some; None if there are no tables.

    Raises:
        InputError: the files that a table names are not there, several columns or tables may hold the classes, tables
            contradict each other, images have several classes, or a column that the user names does not exist.
    """
    paths, ignored = _table_paths(tree)
    if not paths:
        return TableLabels(ignored=tuple(ignored)) if ignored else None
    index = FileIndex(path for path in tree.files if not path.lower().endswith(TABLE_SUFFIXES))
    by_titles: dict[tuple[str, ...], list[Table]] = defaultdict(list)
    for path in paths:
        try:
            table = read_table(tree, path, index, options)
            by_titles[tuple(title.lower() for title in table.titles)].append(table)
        except UnusedTableError as reason:
            if not path.lower().endswith(".txt"):
                ignored.append(SkippedFile(tree.base + path, str(reason)))
    groups, undecided = [], []
    for tables in by_titles.values():
        try:
            groups.append(_group(tables, options, ignored))
        except NoLabelsError as reason:
            ignored += [SkippedFile(table.name, str(reason)) for table in tables]
        except SeveralColumnsError as error:
            undecided.append(error)
            ignored += [SkippedFile(table.name, "no title says that it has classes") for table in tables]
    group = _chosen(groups, options, ignored)
    if undecided and not (group and group.labels.is_named):
        raise undecided[0]
    if group is None:
        _check_columns(options, by_titles, ignored)
        return TableLabels(ignored=tuple(ignored))
    return _table_labels(group, tree, options, ignored)


def _table_paths(tree: FileTree) -> tuple[list[str], list[SkippedFile]]:
    """The tables to read, and other files that may be tables."""
    by_folder = defaultdict(list)
    ignored, suffixes = [], (*TABLE_SUFFIXES, *UNREAD)
    for path in tree.files:
        lower = path.lower()
        if not lower.endswith(suffixes) or path.count("/") > DEPTH:
            continue
        unread = next((reason for suffix, reason in UNREAD.items() if lower.endswith(suffix)), None)
        if unread:
            ignored.append(SkippedFile(tree.base + path, unread))
        else:
            by_folder[path.rpartition("/")[0], lower.rpartition(".")[2]].append(path)
    few = [paths for paths in by_folder.values() if len(paths) <= MOST_TABLES]
    return sorted(chain.from_iterable(few), key=lambda path: (path.count("/"), path)), ignored


def _check_columns(options: DataOptions, by_titles: Iterable[Sequence[str]], ignored: Sequence[SkippedFile]) -> None:
    """Raises InputError if a column that the user names is in no table."""
    for option, title in options.columns.items():
        if not any(columns_of(titles, title) for titles in by_titles):
            known = " or ".join(", ".join(titles) for titles in by_titles) or "none that names files"
            raise InputError(f"no table has the column '{title}' of {option}; the columns are {known}.")
    if options.columns and ignored:
        raise InputError(f"{ignored[0].path} does not label images: {ignored[0].reason}.")


def _group(tables: list[Table], options: DataOptions, ignored: list[SkippedFile]) -> _Group:
    """The labels of tables with the same titles; those that say nothing are ignored."""
    titles = tables[0].titles
    varied = [table for table in tables if _varies(table)]
    if len(tables) > 1 and varied:
        same = [table for table in tables if table not in varied]
        ignored += [SkippedFile(table.name, "all its rows have the same values") for table in same]
        tables = varied
    label = columns_of(titles, options.label_column)
    if options.label_column is not None and not label:
        raise NoLabelsError(f"it has no column '{options.label_column}'")
    closest = {}
    for table in tables:
        for match in table.matches:
            closest[match.path] = min(closest.get(match.path, match.distance), match.distance)
    rows, unfound = [], {}
    for table in tables:
        for row, match in enumerate(table.matches):
            if match.path is not None and match.distance == closest[match.path]:
                rows.append((table, row))
            elif table.files[row]:
                unfound[table.files[row]] = f"may be {' or '.join(match.rivals[:2])}" if match.rivals else "missing"
    used = rows or [(table, row) for table in tables for row in range(len(table.matches))]
    columns = [[table.columns[column][row] for table, row in used] for column in range(len(titles))]
    group = column_of(titles, options.group_column)
    others = {tables[0].file_column, group, *(table.split_column for table in tables)} - {None}
    try:
        labels = find_labels(titles, columns, others, label, tables[0].name)
    except InputError:
        if rows:
            raise
        labels = Labels("several columns", (), [], [])
    several = options.labels == "several" or (options.labels is None and labels.is_multi_label)
    labels = labels.as_one() if options.labels == "one" else labels
    return _Group(tuple(tables), rows, unfound, labels, several, group)


def _varies(table: Table) -> bool:
    """Whether a column besides that of the files has several values, or there is only one row."""
    others = (cells for column, cells in enumerate(table.columns) if column != table.file_column)
    return len(table.matches) < 2 or any(len(set(cells)) > 1 for cells in others)


def _chosen(groups: list[_Group], options: DataOptions, ignored: list[SkippedFile]) -> _Group | None:
    """The tables that label the images; None if no table names files that are here."""
    found = [group for group in groups if group.rows]
    for group in groups:
        if not group.rows:
            sure = group.labels.is_named or any(table.is_sure for table in group.tables)
            if sure and not found:
                group.check_found()
            ignored += [SkippedFile(table.name, f"none of its {group.named:,} files is here") for table in group.tables]
    found = _without(found, ignored, _is_test_only, "names images for testing only")
    found = _without(found, ignored, lambda group: not group.labels.is_named, "no title says that it has classes")
    found.sort(key=lambda group: len(group.classes), reverse=True)
    for other in found[1:]:
        if any(found[0].classes.get(path) != classes for path, classes in other.classes.items()):
            first, second = (f"{group.name} ({group.labels.columns})" for group in (found[0], other))
            advice = "choose with --label-column, or " if first.split("(")[1] != second.split("(")[1] else ""
            raise InputError(f"{first} and {second} both label images; {advice}move one of them out of the folder.")
        ignored += [SkippedFile(table.name, f"says the same as {found[0].name}") for table in other.tables]
    if found and options.file_column is None:
        found[0].check_found()
    return found[0] if found else None


def _without(
    groups: list[_Group], ignored: list[SkippedFile], is_weak: Callable[[_Group], bool], reason: str
) -> list[_Group]:
    """The groups that are not weak, or all if all are."""
    strong = [group for group in groups if not is_weak(group)]
    if not strong:
        return groups
    ignored += [SkippedFile(table.name, reason) for group in groups if is_weak(group) for table in group.tables]
    return strong


def _is_test_only(group: _Group) -> bool:
    folders = {path.rpartition("/")[0] for path in group.classes}
    return all(TEST in {SPLIT_NAMES.get(name.lower()) for name in folder.split("/")} for folder in folders)


def _table_labels(group: _Group, tree: FileTree, options: DataOptions, ignored: list[SkippedFile]) -> TableLabels:
    """The labels of the chosen tables, without contradictions."""
    contradictory = _contradictions(group)
    if not (options.layout or options.label_column or options.file_column):
        _check_folders(group, tree)
    items = _labeled(group, tree, contradictory)
    others = sum(table.others for table in group.tables)
    without, keeps = group.found - len(group.classes), group.is_multi_label and group.labels.is_hot
    parts = [
        recognized(group.labels.columns, group.name, items, f"{group.found:,} of {group.named:,}"),
        *([f"{without:,} {'have none of them' if keeps else 'without a class'}"] if without else []),
        *([f"{len(contradictory):,} in two classes left out"] if contradictory else []),
        *([f"{others:,} of another width left out"] if others else []),
    ]
    return TableLabels(
        "; ".join(parts),
        tuple(complete_splits(items, options)),
        tuple(SkippedFile(name, f"named in {group.name} and {reason}") for name, reason in group.unfound.items()),
        tuple(SkippedFile(tree.base + path, reason) for path, reason in contradictory.items()),
        tuple(ignored),
    )


def recognized(columns: str, table: str, items: Sequence[LabeledFile], found: str) -> str:
    """What the classes are, with the evidence; of several per image, how to say otherwise.

    Example:
        >>> recognized("column 'tags'", "train.csv", [LabeledFile("a.jpg", ("fog", "sea"))], "1 of 1")
        "tags from column 'tags' of train.csv: 2 tags, 2.0 per image, 1 of 1 images found (--labels one ... a class)"
    """
    if not any(item.is_multi_label for item in items):
        count = len({item.class_name for item in items})
        return f"classes from {columns} of {table}: {count:,} classes, {found} images found"
    tags = Counter(chain.from_iterable(item.classes for item in items))
    counts = f"{len(tags):,} tags, {tags.total() / len(items):.1f} per image"
    return (
        f"tags from {columns} of {table}: {counts}, {found} images found (--labels one makes each combination a class)"
    )


def _contradictions(group: _Group) -> dict[str, str]:
    """The files in two classes, with the reasons; InputError for several classes per image, and between tables."""
    several = {path: sorted(classes) for path, classes in group.classes.items() if len(classes) > 1}
    if group.is_multi_label:
        return {}
    if len(several) > MOST_CONTRADICTIONS * len(group.classes):
        path, classes = next(
            (path, {*chain(*found)}) for path, found in group.classes.items() if len({*chain(*found)}) > 1
        )
        raise InputError(
            f"{group.name} has several classes per image in its {group.labels.columns}, such as "
            f"{' and '.join(sorted(classes)[:3])} of {path}; if its images have all of these, add --labels several."
        )
    where = defaultdict(set)
    for table, row in group.rows if several else ():
        where[table.matches[row].path].add(table.name)
    for path, classes in several.items():
        if len(where[path]) > 1:
            tables = " and ".join(sorted(where[path]))
            raise InputError(f"{tables} contradict each other: {path} is {_quoted(classes)}.")
    return {path: f"in two classes, {_quoted(classes)}, in {min(where[path])}" for path, classes in several.items()}


def _quoted(classes: Iterable[tuple[str, ...]]) -> str:
    return " and ".join(f"'{name}'" for (name,) in classes)


def _check_folders(group: _Group, tree: FileTree) -> None:
    """Raises InputError if folders may be the classes: the table labels few of their images, or has no known title."""
    folders = {path: path.rpartition("/")[0] for path in group.classes}
    _check_folders_of_classes(group, folders)
    count = len(set(folders.values()))
    if count < 2 or any(split_of(name) for folder in set(folders.values()) for name in folder.split("/")):
        return
    inside = set(folders.values())
    images = sum(path.rpartition("/")[0] in inside and path.lower().endswith(IMAGE_SUFFIXES) for path in tree.files)
    pairs = {(folder, *sorted(group.classes[path])) for path, folder in folders.items()}
    agree = len(pairs) == count == len({classes for _, *classes in pairs for classes in classes})
    if len(folders) < FOUND * images:
        found = f"labels {len(folders):,} of the {images:,} images in {count:,} folders"
    elif not group.labels.is_named and not agree:
        found = f"may have the classes in {group.labels.columns}, or the {count:,} folders are the classes"
    else:
        return
    raise InputError(f"{group.name} {found}; choose with --layout table or --layout folders.")


def _check_folders_of_classes(group: _Group, folders: dict[str, str]) -> None:
    """Raises InputError if folders have the names of the classes, and some of their images are of another."""
    known = {name for found in group.classes.values() for classes in found for name in classes}
    named = {path: folder.rpartition("/")[2] for path, folder in folders.items()}
    inside = {path: name for path, name in named.items() if name in known}
    others = [path for path, name in inside.items() if (name,) not in group.classes[path]]
    if others and 2 * len(others) < len(inside):
        path = others[0]
        raise InputError(
            f"{group.name} has other classes than the folders for {len(others):,} of {len(inside):,} images, for "
            f"example {_quoted(group.classes[path])} for {path}; choose with --layout table or --layout folders."
        )


def _labeled(group: _Group, tree: FileTree, contradictory: Container[str]) -> list[LabeledFile]:
    """One item per file, with the split of its row, its table or its folder."""
    items: dict[str, LabeledFile] = {}
    for (table, row), classes in zip(group.rows, group.labels.classes, strict=True):
        path = table.matches[row].path
        if path in contradictory or not (classes or (group.is_multi_label and group.labels.is_hot)):
            continue
        split, together = table.splits[row], None
        if group.group_column is not None:
            together = table.columns[group.group_column][row] or None
        known = items.get(path)
        if known and known.split and split and known.split != split:
            raise InputError(f"{path} is in the {known.split} and in the {split} split of {group.name}.")
        before = known.class_name if known and group.is_multi_label else ()
        name = tuple(dict.fromkeys([*before, *classes])) if group.is_multi_label else classes[0]
        items[path] = LabeledFile(tree.base + path, name, split or (known and known.split), together)
    apart = [path for path, item in items.items() if item.split is None]
    if 0 < len(apart) < len(items):
        raise InputError(
            f"{len(apart):,} of the {len(items):,} images of {group.name} are in no split, for example {apart[0]}; "
            "give a split to every image, or to none."
        )
    if apart:
        by_folder = {folder: split_of(folder) for folder in {path.rpartition("/")[0] for path in items}}
        if len(set(by_folder.values())) > 1 and all(by_folder.values()):
            return [item._replace(split=by_folder[path.rpartition("/")[0]]) for path, item in items.items()]
    return list(items.values())


def complete_splits(items: list[LabeledFile], options: DataOptions) -> list[LabeledFile]:
    """Test data replace missing validation data; without training and validation data, splits are dropped."""
    splits = {item.split for item in items}
    if options.chooses_validation:
        return items
    if VALIDATION not in splits:
        items = [item._replace(split=VALIDATION) if item.split == TEST else item for item in items]
    if None in splits or {item.split for item in items} < {TRAINING, VALIDATION}:
        items = [item._replace(split=None) for item in items]
    return items
