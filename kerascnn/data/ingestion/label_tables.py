"""Labels from tables: which tables of a folder label its images, and how; and groups from any table."""

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.file_index import FileIndex
from kerascnn.data.ingestion.file_tree import FileTree
from kerascnn.data.ingestion.joined_tables import JoinedTables, check_folders, check_found, contradictions, join_tables
from kerascnn.data.ingestion.label_columns import NoLabelsError, SeveralColumnsError
from kerascnn.data.ingestion.reading import LabeledFile, Reading
from kerascnn.data.ingestion.splits import SPLIT_NAMES, TEST, TRAINING, VALIDATION
from kerascnn.data.ingestion.table_files import (
    Table,
    UnusedTableError,
    column_of,
    columns_of,
    read_table,
    split_of,
    unused_splits,
)
from kerascnn.data.ingestion.tables import TABLE_SUFFIXES
from kerascnn.errors import InputError
from kerascnn.files.archives.archive_entry import SkippedFile

# Tables in a folder; more are files that belong to single images.
MOST_TABLES = 50
# Folders above a table.
DEPTH = 3
UNREAD = {
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "a spreadsheet; save it as .csv to use it"),
    ".parquet": "a table that is not read; save it as .csv to use it",
    **dict.fromkeys((".csv.gz", ".csv.zip", ".tsv.gz"), "a compressed table; unpack it to use it"),
}


def read_label_tables(tree: FileTree, options: DataOptions = DataOptions()) -> Reading | None:
    """Reads the tables of a folder and of its next three levels of subfolders.

    Tables are joined if they have the same titles. Submission templates, tables without classes and tables that name
    no files are ignored. Without any labels, the reading has no files; it is None if there are no tables.

    InputError if the files that a table names are not there, several columns or tables may hold the classes, tables
    contradict each other, images have several classes, or a column that the user names does not exist.
    """
    paths, ignored = _table_paths(tree)
    index = FileIndex(tree.images if paths else ())
    by_titles: dict[tuple[str, ...], list[Table]] = defaultdict(list)
    for path in paths:
        try:
            table = read_table(tree, path, index, options)
            by_titles[tuple(title.lower() for title in table.titles)].append(table)
        except UnusedTableError as reason:
            # Most .txt files are no tables; the list of a split was meant to be used.
            if not path.lower().endswith(".txt") or path.rpartition("/")[2][:-4].lower() in SPLIT_NAMES:
                ignored.append(SkippedFile(tree.base + path, str(reason)))
    groups, undecided = [], []
    for tables in by_titles.values():
        try:
            groups.append(join_tables(_used(tables, ignored), options))
        except NoLabelsError as reason:
            ignored += [SkippedFile(table.name, str(reason)) for table in tables]
        except SeveralColumnsError as error:
            undecided.append(error)
            ignored += [SkippedFile(table.name, "no title says that it has classes") for table in tables]
    group = _chosen(groups, options, ignored)
    if undecided and not (group and group.labels.is_named):
        raise undecided[0]
    if group:
        return _labels(group, tree, options, ignored)
    if paths:
        _check_columns(options, by_titles, ignored)
    return Reading(ignored=tuple(ignored)) if paths or ignored else None


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
            known = " or ".join(", ".join(titles) for titles in by_titles)
            unused = "; ".join(f"{table.path}: {table.reason}" for table in ignored[:3]) or "no table names files"
            found = f"the columns are {known}" if known else unused
            raise InputError(f"no table has the column '{title}' of {option}; {found}.")
    if options.columns and ignored:
        raise InputError(f"{ignored[0].path} does not label images: {ignored[0].reason}.")


def _used(tables: list[Table], ignored: list[SkippedFile]) -> list[Table]:
    """Tables of the same titles without templates: tables in which nothing varies, or that name test images only.

    If nothing varies in any, there is one table per class. Tables that are named for the test split are meant.
    """
    varied = [table for table in tables if _varies(table)] or tables
    tests = [table for table in varied if _are_for_testing(match.path for match in table.matches)]
    used = [table for table in varied if table not in tests or any(table.splits)] or varied
    for table in tables:
        if table not in used:
            reason = "names images for testing only" if table in varied else "all its rows have the same values"
            ignored.append(SkippedFile(table.name, reason))
    return used


def _varies(table: Table) -> bool:
    """Whether a column besides that of the files has several values, or there is only one row."""
    others = (cells for column, cells in enumerate(table.columns) if column != table.file_column)
    return len(table.matches) < 2 or any(len(set(cells)) > 1 for cells in others)


def _chosen(groups: list[JoinedTables], options: DataOptions, ignored: list[SkippedFile]) -> JoinedTables | None:
    """The tables that label the images; None if no table names files that are here."""
    found = [group for group in groups if group.paths]
    for group in groups:
        if not group.paths:
            sure = group.labels.is_named or any(table.is_sure for table in group.tables)
            if sure and not found:
                check_found(group)
            ignored += [SkippedFile(table.name, f"none of its {group.named:,} files is here") for table in group.tables]
    found = _without(found, ignored, lambda group: _are_for_testing(group.paths), "names images for testing only")
    found = _without(found, ignored, lambda group: not group.labels.is_named, "no title says that it has classes")
    found.sort(key=lambda group: len(group.classes), reverse=True)
    for other in found[1:]:
        if any(found[0].classes.get(path) != classes for path, classes in other.classes.items()):
            first, second = (f"{group.name} ({group.labels.columns})" for group in (found[0], other))
            advice = "choose with --label-column, or " if first.split("(")[1] != second.split("(")[1] else ""
            raise InputError(f"{first} and {second} both label images; {advice}move one of them out of the folder.")
        ignored += [SkippedFile(table.name, f"says the same as {found[0].name}") for table in other.tables]
    if found and options.file_column is None:
        check_found(found[0])
    return found[0] if found else None


def _without(
    groups: list[JoinedTables], ignored: list[SkippedFile], is_weak: Callable[[JoinedTables], bool], reason: str
) -> list[JoinedTables]:
    """The groups that are not weak, or all if all are."""
    strong = [group for group in groups if not is_weak(group)]
    if not strong:
        return groups
    ignored += [SkippedFile(table.name, reason) for group in groups if is_weak(group) for table in group.tables]
    return strong


def _are_for_testing(paths: Iterable[str | None]) -> bool:
    folders = {path.rpartition("/")[0] for path in paths if path is not None}
    return bool(folders) and all(split_of(folder) == TEST for folder in folders)


def _labels(group: JoinedTables, tree: FileTree, options: DataOptions, ignored: list[SkippedFile]) -> Reading:
    """The labels of the chosen tables, without contradictions."""
    contradictory = contradictions(group)
    if not (options.layout or options.label_column or options.file_column):
        check_folders(group, tree)
    items = _labeled(group, tree, contradictory)
    others = sum(table.others for table in group.tables)
    without, keeps = group.found - len(group.classes), group.is_multi_label and group.labels.is_hot
    parts = [
        recognized(group.labels.columns, group.name, items, f"{group.found:,} of {group.named:,}"),
        *([f"{without:,} {'have none of them' if keeps else 'without a class'}"] if without else []),
        *([f"{len(contradictory):,} in two classes left out"] if contradictory else []),
        *([f"{others:,} of another width left out"] if others else []),
        *unused_splits(group.tables[0]),
    ]
    unfound = (SkippedFile(name, f"named in {group.name} and {reason}") for name, reason in group.unfound.items())
    in_two = (SkippedFile(tree.base + path, reason) for path, reason in contradictory.items())
    labeled = complete_splits(items, options)
    return Reading("; ".join(parts), labeled, tuple(ignored), tuple(unfound), tuple(in_two), from_table=True)


def recognized(columns: str, table: str, items: Sequence[LabeledFile], found: str) -> str:
    """What the classes are, with the evidence; of several per image, how to say otherwise.

    Example:
        >>> recognized("column 'tags'", "train.csv", [LabeledFile("a.jpg", ("fog", "sea"))], "1 of 1")
        "tags from column 'tags' of train.csv: 2 tags, 2.0 per image, 1 of 1 images found (--labels-per-image ..."
    """
    tags = Counter(chain.from_iterable(item.classes for item in items))
    if not any(item.is_multi_label for item in items):
        return f"classes from {columns} of {table}: {len(tags):,} classes, {found} images found"
    counts = f"{len(tags):,} tags, {tags.total() / len(items):.1f} per image"
    shown = f"tags from {columns} of {table}: {counts}, {found} images found"
    return f"{shown} (--labels-per-image one makes each combination a class)"


def _labeled(group: JoinedTables, tree: FileTree, contradictory: Container[str]) -> list[LabeledFile]:
    """One item per file, with the split of its row, its table or its folder."""
    items: dict[str, LabeledFile] = {}
    rows = zip(group.paths, group.splits, group.groups, group.labels.classes, strict=True)
    for path, split, together, classes in rows:
        if path in contradictory or not (classes or (group.is_multi_label and group.labels.is_hot)):
            continue
        known = items.get(path)
        if known and known.split and split and known.split != split:
            raise InputError(f"{path} is in the {known.split} and in the {split} split of {group.name}.")
        before = known.class_name if known and group.is_multi_label else ()
        name = tuple(dict.fromkeys([*before, *classes])) if group.is_multi_label else classes[0]
        items[path] = LabeledFile(tree.base + path, name, split or (known and known.split), together)
    if splits_are_missing(items, group.name):
        by_folder = {folder: split_of(folder) for folder in {path.rpartition("/")[0] for path in items}}
        if len(set(by_folder.values())) > 1 and all(by_folder.values()):
            return [item._replace(split=by_folder[path.rpartition("/")[0]]) for path, item in items.items()]
    return list(items.values())


def splits_are_missing(items: Mapping[str, LabeledFile], name: str) -> bool:
    """Whether no image of a table has a split; InputError if some have one, and others have none."""
    apart = [path for path, item in items.items() if item.split is None]
    if 0 < len(apart) < len(items):
        raise InputError(
            f"{len(apart):,} of the {len(items):,} images of {name} are in no split, for example {apart[0]}; "
            "give a split to every image, or to none."
        )
    return bool(apart)


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


def with_groups(layout: Reading, tree: FileTree, column: str) -> Reading:
    """The layout with groups of images that must stay together, by a column of its own table or of any other.

    InputError if no table has the column, or one has two values for an image.
    """
    if any(item.group is not None for item in layout.labeled):
        return layout
    paths = [path for path in tree.files if path.lower().endswith(TABLE_SUFFIXES)]
    index = FileIndex({*tree.files}.difference(paths))
    groups: dict[str, str] = {}
    titles: set[str] = set()
    for path in paths:
        try:
            table = read_table(tree, path, index, DataOptions())
        except UnusedTableError:
            continue
        titles.update(table.titles)
        place = column_of(table.titles, column)
        for match, value in zip(table.matches, table.columns[place] if place is not None else (), strict=False):
            if match.path and value and groups.setdefault(match.path, value) != value:
                raise InputError(f"{path} has two values of '{column}' for {match.path}, and an image is in one group.")
    if not any(item.path in groups for item in layout.labeled):
        known = f"; the columns are {', '.join(sorted(titles))}" if titles else ""
        raise InputError(f"no table of the images has values in a column '{column}' of --group-column{known}.")
    return replace(layout, labeled=[item._replace(group=groups.get(item.path)) for item in layout.labeled])
