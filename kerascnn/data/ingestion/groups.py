"""Groups of images that must stay together, from a column of any table beside the images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.file_index import FileIndex
from kerascnn.data.ingestion.file_tree import walk
from kerascnn.data.ingestion.layouts import FolderLayout
from kerascnn.data.ingestion.table_files import UnusedTableError, column_of, read_table
from kerascnn.data.ingestion.tables import TABLE_SUFFIXES
from kerascnn.errors import InputError


def with_groups(layout: FolderLayout, root: Path, column: str) -> FolderLayout:
    """The layout with groups: those of its own table, or else of another table that names the images.

    Raises:
        InputError: no table has the column, or one has two values for an image.
    """
    if any(item.group is not None for item in layout.labeled):
        return layout
    tree = walk(root)
    index = FileIndex(path for path in tree.files if not path.lower().endswith(TABLE_SUFFIXES))
    groups: dict[str, str] = {}
    titles: set[str] = set()
    for path in tree.files:
        if not path.lower().endswith(TABLE_SUFFIXES):
            continue
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
    return replace(layout, labeled=tuple(item._replace(group=groups.get(item.path)) for item in layout.labeled))
