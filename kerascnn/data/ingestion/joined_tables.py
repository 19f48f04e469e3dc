"""Tables of the same titles, whose rows are read as those of one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.label_columns import Labels, NoLabelsError, find_labels
from kerascnn.data.ingestion.table_files import Table, column_of, columns_of
from kerascnn.errors import InputError

Classes = tuple[str, ...]


@dataclass(frozen=True)
class JoinedTables:
    """The rows of tables of the same titles.

    Attributes:
        tables: the tables.
        origins, paths, splits, groups: of each row whose file is found, its table, its file, and its split and group or
            None.
        unfound: what the other rows name, with the reason.
        labels: of the rows whose files are found, or of all if none is.
        is_multi_label: whether a file may have several classes.
    """

    tables: tuple[Table, ...]
    origins: list[Table]
    paths: list[str]
    splits: list[str | None]
    groups: list[str | None]
    unfound: dict[str, str]
    labels: Labels
    is_multi_label: bool

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

    Of rows that name one file in different ways, those that name it best are kept.

    Raises:
        NoLabelsError, InputError: as `find_labels` does; without any file, only NoLabelsError.
    """
    titles = tables[0].titles
    label, group = columns_of(titles, options.label_column), column_of(titles, options.group_column)
    if options.label_column is not None and not label:
        raise NoLabelsError(f"it has no column '{options.label_column}'")
    closest: dict[str | None, int] = {}
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
    others = {tables[0].file_column, group, *(table.split_column for table in tables)} - {None}
    try:
        labels = find_labels(titles, columns, others, label, tables[0].name).of_number(options.labels, tables[0].name)
    except InputError:
        if rows:
            raise
        labels = Labels("several columns", [], [])
    return JoinedTables(
        tables=tuple(tables),
        origins=[table for table, _ in rows],
        paths=[table.matches[row].path for table, row in rows],
        splits=[table.splits[row] for table, row in rows],
        groups=[None if group is None else table.columns[group][row] or None for table, row in rows],
        unfound=unfound,
        labels=labels,
        is_multi_label=options.labels == "several" or (options.labels is None and labels.is_multi_label),
    )
