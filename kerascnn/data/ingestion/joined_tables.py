"""Tables of the same titles, whose rows are read as those of one table, and evidence against what they say."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.file_tree import FileTree
from kerascnn.data.ingestion.label_columns import Columns, Labels, NoLabelsError, find_labels
from kerascnn.data.ingestion.table_files import Table, column_of, columns_of, split_of
from kerascnn.data.ingestion.tables import is_image
from kerascnn.errors import InputError

# A table with a smaller share of its files, or of the images in its folders, is not taken without being asked for.
FOUND = 0.5
# If more files have several classes, these are no mistakes.
MOST_CONTRADICTIONS = 0.25

Classes = tuple[str, ...]


@dataclass(frozen=True)
class JoinedTables:
    """The rows of tables of the same titles."""

    tables: Sequence[Table]
    # origins, paths, splits, groups: of each row whose file is found, its table, its file, its split and group or None.
    origins: list[Table]
    paths: list[str]
    splits: list[str | None]
    groups: list[str | None]
    unfound: dict[str, str]  # what the other rows name, with the reason
    labels: Labels  # of the rows whose files are found, or of all if none is
    is_multi_label: bool  # whether a file may have several classes

    @cached_property
    def name(self) -> str:
        """The names of the tables."""
        names = [table.name for table in self.tables]
        return " and ".join(names if len(names) <= 3 else [*names[:2], f"{len(names) - 2} more tables"])

    @cached_property
    def named(self) -> int:
        """The number of files that are named."""
        found = set()
        for table in self.tables:
            # Tables beside each other mean the same files.
            folder = table.name.rpartition("/")[0]
            found |= {(folder, cell, split) for cell, split in zip(table.files, table.splits, strict=True) if cell}
        return len(found)

    @cached_property
    def found(self) -> int:
        """The number of files that are found."""
        return len(set(self.paths))

    @cached_property
    def classes(self) -> dict[str, tuple[Classes, ...]]:
        """The different classes that rows give to each file, sorted; each may be several for a multi-label file."""
        found: dict[str, tuple[Classes, ...]] = {}
        # Stored once: nearly all files have the classes of one row.
        single: dict[Classes, tuple[Classes, ...]] = {}
        for path, classes in zip(self.paths, self.labels.classes, strict=True):
            if classes:
                known = found.setdefault(path, single.setdefault(classes, (classes,)))
                if classes not in known:
                    found[path] = tuple(sorted((*known, classes)))
        return found


def join_tables(tables: Sequence[Table], options: DataOptions) -> JoinedTables:
    """Joins the rows of tables of the same titles, and finds their classes.

    Of rows that name one file in different ways, those that name it best are kept. NoLabelsError and InputError as of
    `find_labels`; without any file, only NoLabelsError.
    """
    titles, name = tables[0].titles, tables[0].name
    label, group = columns_of(titles, options.label_column), column_of(titles, options.group_column)
    if options.label_column is not None and not label:
        raise NoLabelsError(f"it has no column '{options.label_column}'")
    closest: dict[str | None, int] = {}
    for match in chain.from_iterable(table.matches for table in tables):
        closest[match.path] = min(closest.get(match.path, match.distance), match.distance)
    rows, unfound = [], {}
    for table in tables:
        for row, match in enumerate(table.matches):
            if match.path is not None and match.distance == closest[match.path]:
                rows.append((table, row))
            elif table.files[row]:
                unfound[table.files[row]] = f"may be {' or '.join(match.rivals[:2])}" if match.rivals else "missing"
    used = rows or [(table, row) for table in tables for row in range(len(table.matches))]
    cells = [[table.columns[column][row] for table, row in used] for column in range(len(titles))]
    others = {tables[0].file_column, group, *(table.split_column for table in tables)} - {None}
    try:
        labels = find_labels(Columns(name, titles, cells), others, label).of_number(options.labels, name)
    except InputError:
        if rows:
            raise
        labels = Labels("several columns", [], [])
    return JoinedTables(
        tables,
        origins=[table for table, _ in rows],
        paths=[table.matches[row].path for table, row in rows],
        splits=[table.splits[row] for table, row in rows],
        groups=[None if group is None else table.columns[group][row] or None for table, row in rows],
        unfound=unfound,
        labels=labels,
        is_multi_label=options.labels == "several" or (options.labels is None and labels.is_multi_label),
    )


def check_found(joined: JoinedTables) -> None:
    """Raises InputError if most files are not there."""
    if not joined.unfound or (joined.found and joined.found >= FOUND * joined.named):
        return
    name, reason = next(iter(joined.unfound.items()))
    example = name if reason == "missing" else f"{name}, which {reason}"
    ways = [
        "correct the names",
        *(["leave folders out with --leave-out"] if reason != "missing" else []),
        *(["take those that are found with --file-column"] if joined.found else []),
    ]
    raise InputError(
        f"{joined.name} names {joined.named:,} files, {joined.found:,} found, for example {example}; "
        f"{', '.join(ways)}, or move the table out of the folder."
    )


def contradictions(joined: JoinedTables) -> dict[str, str]:
    """The files in two classes, with the reasons; none of multi-label files.

    InputError if so many files have several classes that it is no mistake, or two tables contradict each other.
    """
    if joined.is_multi_label:
        return {}
    several = {path: classes for path, classes in joined.classes.items() if len(classes) > 1}
    if len(several) > MOST_CONTRADICTIONS * len(joined.classes):
        path, classes = next(iter(several.items()))
        raise InputError(
            f"{joined.name} has several classes per image in its {joined.labels.columns}, such as "
            f"{' and '.join(sorted({*chain(*classes)})[:3])} of {path}; if its images have all of these, add "
            "--labels-per-image several."
        )
    where = defaultdict(set)
    for path, table in zip(joined.paths, joined.origins, strict=True):
        if path in several:
            where[path].add(table.name)
    for path, classes in several.items():
        if len(where[path]) > 1:
            tables = " and ".join(sorted(where[path]))
            raise InputError(f"{tables} contradict each other: {path} is {_quoted(classes)}.")
    return {path: f"in two classes, {_quoted(classes)}, in {min(where[path])}" for path, classes in several.items()}


def check_folders(joined: JoinedTables, tree: FileTree) -> None:
    """Raises InputError if folders may be the classes.

    They may if they have the names of the classes, the table labels few of their images, or no title is known.
    """
    folders = {path: path.rpartition("/")[0] for path in joined.classes}
    _check_class_folders(joined, folders)
    inside = set(folders.values())
    count = len(inside)
    if count < 2 or any(split_of(name) for folder in inside for name in folder.split("/")):
        return
    images = sum(path.rpartition("/")[0] in inside and is_image(path) for path in tree.files)
    pairs = {(folder, joined.classes[path]) for path, folder in folders.items()}
    agree = len(pairs) == count == len({classes for _, classes in pairs})
    if len(folders) < FOUND * images:
        found = f"labels {len(folders):,} of the {images:,} images in {count:,} folders"
    elif not joined.labels.is_named and not agree:
        found = f"may have the classes in {joined.labels.columns}, or the {count:,} folders are the classes"
    else:
        return
    raise InputError(f"{joined.name} {found}; choose with --layout table or --layout folders.")


def _check_class_folders(joined: JoinedTables, folders: dict[str, str]) -> None:
    known = set(chain.from_iterable({*chain.from_iterable(joined.classes.values())}))
    inside = {path: name for path, folder in folders.items() if (name := folder.rpartition("/")[2]) in known}
    others = [path for path, name in inside.items() if all(name not in classes for classes in joined.classes[path])]
    if others and 2 * len(others) < len(inside):
        path = others[0]
        raise InputError(
            f"{joined.name} has other classes than the folders for {len(others):,} of {len(inside):,} images, for "
            f"example {_quoted(joined.classes[path])} for {path}; choose with --layout table or --layout folders."
        )


def _quoted(several: Iterable[Classes]) -> str:
    return " and ".join(f"'{name}'" for name in chain.from_iterable(several))
