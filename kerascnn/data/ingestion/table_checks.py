"""Evidence against what tables say: files that are not there, contradictions, folders that say something else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import chain

from kerascnn.data.ingestion.file_tree import FileTree
from kerascnn.data.ingestion.joined_tables import Classes, JoinedTables
from kerascnn.data.ingestion.table_files import split_of
from kerascnn.data.ingestion.tables import is_image
from kerascnn.errors import InputError

# A table with a smaller share of its files, or of the images in its folders, is not taken without being asked for.
FOUND = 0.5
# If more files have several classes, these are no mistakes.
MOST_CONTRADICTIONS = 0.25


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

    Raises:
        InputError: so many files have several classes that it is no mistake, or two tables contradict each other.
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
    known = {name for classes in {*chain.from_iterable(joined.classes.values())} for name in classes}
    named = {path: folder.rpartition("/")[2] for path, folder in folders.items()}
    inside = {path: name for path, name in named.items() if name in known}
    others = [path for path, name in inside.items() if all(name not in classes for classes in joined.classes[path])]
    if others and 2 * len(others) < len(inside):
        path = others[0]
        raise InputError(
            f"{joined.name} has other classes than the folders for {len(others):,} of {len(inside):,} images, for "
            f"example {_quoted(joined.classes[path])} for {path}; choose with --layout table or --layout folders."
        )


def _quoted(several: Iterable[Classes]) -> str:
    return " and ".join(f"'{name}'" for classes in several for name in classes)
