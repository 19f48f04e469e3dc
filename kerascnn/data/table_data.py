"""Data sets from a table in memory or in a file, whose columns are named."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from kerascnn.data.dataset import MADE_IN_PYTHON, DataSet
from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.file_index import FileIndex
from kerascnn.data.ingestion.file_tree import walk
from kerascnn.data.ingestion.folder import ingest_layout
from kerascnn.data.ingestion.label_columns import Columns, Labels, NoLabelsError, class_name, find_labels
from kerascnn.data.ingestion.label_tables import complete_splits, recognized, splits_are_missing
from kerascnn.data.ingestion.reading import LabeledFile, Reading
from kerascnn.data.ingestion.sources import source_in_place
from kerascnn.data.ingestion.splits import SPLIT_NAMES
from kerascnn.data.ingestion.table_files import column_of
from kerascnn.data.ingestion.tables import read_rows
from kerascnn.errors import InputError, closest, first_of, refused
from kerascnn.files.archives.archive_entry import SkippedFile
from kerascnn.files.progress import Track, untracked


def from_table(
    table: Any,
    *,
    file: str | None = None,
    label: str | Sequence[str] | None = None,
    labels: Literal["one", "several"] | None = None,
    split: str | None = None,
    group: str | None = None,
    folder: str | Path | None = None,
    validation_fraction: float | None = None,
    fold: tuple[int, int] | None = None,
    track: Track = untracked,
) -> DataSet:
    """A data set from a table of files and their classes.

    The files are found as those of a table in a folder, and checked once. Full paths may lead anywhere only where the
    table is in memory and no folder is given; else files are below the folder.

    Args:
        table: the path of a .csv, .tsv or .txt with titles, or a DataFrame (pandas, polars) or a mapping of columns.
        file, label: titles of the columns with the files and the classes, which must be given; a list of titles has a
            column of 0 and 1 for each class.
        labels: "one" takes several classes in a cell, or several columns, for one combination; "several" gives a file
            the classes of all its rows; None recognizes it, as in a folder's tables.
        split: title of a column with the words train, val or test.
        group: title of a column such as the patient; images with the same value are in one split.
        folder: of the images; None for the table's folder, or for the current one.
        validation_fraction, fold: replace the split of training and validation images, as in `DataOptions`.
        track: shows progress over an iterable of known length.

    Raises:
        InputError: a column is not named or does not exist, no file is found, a file has two classes, nearly every file
            has another class, or a split has another word.

    Example:
        >>> data = from_table(frame, file="image_id", label="dx", group="lesion_id", folder="ham10000")
    """
    columns, name, place = _columns(table)
    for argument, column in (("file", file), ("label", label)):
        if column is None:
            titles = first_of(list(columns))
            raise InputError(f"name the column of {argument}s as {argument}=; {name} has the columns {titles}.")
    root = Path(folder).expanduser() if folder is not None else place
    if not os.path.isdir(root):
        raise InputError(f"there is no folder {root}; give the folder of the images as folder=.")
    root = root.resolve()
    titles = {"file": file, "split": split, "group": group}
    cells = {role: _cells(columns, title, role, name) for role, title in titles.items() if title is not None}
    shares = {"validation_fraction": validation_fraction, "fold": fold}
    options = DataOptions(group_column=group, labels=labels, **shares)
    label_titles = [str(title) for title in ([label] if isinstance(label, str | int) else label)]
    found = _labels(columns, label_titles, name, options)
    for role, column in cells.items():
        if len(column) != len(found.classes):
            raise InputError(
                f"the columns of {name} for {role} and label have {len(column)} and {len(found.classes)} rows."
            )
    anywhere = folder is None and not isinstance(table, str | os.PathLike)
    layout = _layout(cells, found, root, name, options, anywhere)
    file_or_folder, stem = (place / name, Path(name).stem) if place.name or name != "table" else (root, root.name)
    source = source_in_place(f"{file_or_folder}{MADE_IN_PYTHON}", stem, root)
    return ingest_layout(source, layout, "skip", track, options).data


def _columns(table: Any) -> tuple[Mapping[str, Any] | Any, str, Path]:
    """The columns by their titles, the table's name, and the folder of its files."""
    if isinstance(table, str | os.PathLike):
        path = Path(table).expanduser()
        with refused(f"{path} cannot be read"):
            rows = read_rows(path).rows
        if len(rows) < 2:
            raise InputError(f"{path} is no table with titles and rows below them.")
        titles, *body = rows
        return dict(zip(titles, zip(*body, strict=True), strict=True)), path.name, path.parent
    if hasattr(table, "columns"):
        titles = [*map(str, table.columns)]
        if twice := [title for title in titles if titles.count(title) > 1]:
            raise InputError(f"table has several columns '{twice[0]}'; rename them.")
        return {str(title): table[title] for title in table.columns}, "table", Path()
    if isinstance(table, Mapping):
        return {str(title): values for title, values in table.items()}, "table", Path()
    raise InputError(f"table must be a path, a DataFrame or a mapping of columns, not {type(table).__name__}.")


def _labels(columns: Mapping[str, Any], titles: list[str], name: str, options: DataOptions) -> Labels:
    """The classes of the rows, from one column or from one column for each class."""
    cells = [_cells(columns, title, "label", name) for title in titles]
    try:
        found = find_labels(Columns(name, titles, cells), set(), range(len(titles)))
    except NoLabelsError as reason:
        raise InputError(f"{name} has {'at most one class' if len(titles) == 1 else 'no classes'}: {reason}.") from None
    found = found.of_number(options.labels, name)
    if len(titles) == 1 and not found.is_multi_label:
        _check_classes(cells[0], titles[0], name)
    return found


def _cells(columns: Mapping[str, Any], title: str, role: str, name: str) -> list[str]:
    titles = list(columns)
    column = column_of(titles, str(title))
    if column is None:
        raise InputError(f"{name} has no column '{title}' for {role}; {closest(title, titles)}")
    return [_text(value) for value in columns[titles[column]]]


def _text(value: Any) -> str:
    """A cell as text; "" if it is missing or blank, and 3 for the float that pandas makes of a whole number."""
    if value is None or str(value) in ("nan", "NaN", "NaT", "<NA>"):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = os.fsdecode(value) if isinstance(value, bytes | os.PathLike) else str(value)
    return class_name(text) if text.strip() else ""


def _check_classes(labels: list[str], title: str, name: str) -> None:
    given = [label for label in labels if label]
    if len({*given}) > max(2, len(given) / 2):
        raise InputError(
            f"column '{title}' of {name} has {len({*given})} different values in {len(given)} rows; it has no classes."
        )


def _layout(
    cells: Mapping[str, list[str]], labels: Labels, root: Path, name: str, options: DataOptions, anywhere: bool
) -> Reading:
    """The files of the rows; those that are missing are unreadable.

    Paths may lead `anywhere` or, of a table that may be a stranger's, only below the folder `root`.
    """
    several = options.labels == "several" or labels.is_multi_label
    tree = walk(root)
    index = FileIndex(tree.files)
    items: dict[str, LabeledFile] = {}
    missing: dict[str, str] = {}
    splits, groups = (cells.get(role) or [""] * len(cells["file"]) for role in ("split", "group"))
    for file, classes, split, group in zip(cells["file"], labels.classes, splits, groups, strict=True):
        path = file if anywhere and os.path.isabs(file) and os.path.isfile(file) else index.find(file).path
        if path is None or not (classes or (several and labels.is_hot)):
            missing[file] = f"named in {name} and missing" if path is None else f"has no class in {name}"
            continue
        if split and split.lower() not in SPLIT_NAMES:
            raise InputError(f"{name} has the split '{split}'; known are {', '.join(SPLIT_NAMES)}.")
        if several and path in items:
            classes = dict.fromkeys([*items.pop(path).classes, *classes])
        label = tuple(classes) if several else classes[0]
        item = LabeledFile(path, label, SPLIT_NAMES.get(split.lower()), group or None)
        if items.setdefault(path, item) != item:
            raise InputError(f"{name} has two rows that differ for {file}; correct one, or remove it.")
    if not items:
        example = next(iter(missing), "")
        raise InputError(
            f"{name} names {len(missing)} files, 0 found in {root}, for example '{example}' is not; give their folder "
            "as folder=."
        )
    splits_are_missing(items, name)
    evidence = recognized(labels.columns, name, list(items.values()), f"{len(items)} of {len(items) + len(missing)}")
    unreadable = tuple(SkippedFile(*pair) for pair in missing.items())
    return Reading(evidence, complete_splits(list(items.values()), options), unreadable=unreadable)
