"""Recognizes how a folder's images are labeled: by tables, subfolders or file names."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.file_tree import IMAGE_SUFFIXES, FileTree, walk
from kerascnn.data.ingestion.label_tables import LabeledFile, class_name, read_label_tables
from kerascnn.data.ingestion.splits import SPLIT_NAMES, TEST, TRAINING, VALIDATION
from kerascnn.errors import InputError
from kerascnn.files.archives.archive_entry import SkippedFile

# File names of cameras and programs.
NO_CLASSES = {
    *("img", "image", "dsc", "dscn", "dscf", "pxl", "mvi", "p", "photo", "image", "pic", "foto", "screenshot"),
    *("frame", "scan", "file", "untitled", "download", "wp", "gopr", "dji", "whatsapp image"),
}


@dataclass(frozen=True)
class FolderLayout:
    """How a folder's images are labeled.

    Attributes:
        description: a phrase.
        labeled: the files to check.
        ignored: files without a class, and those that operating systems leave behind.
        unreadable: files that cannot be opened or are missing.
        contradictory: files in two classes.
    """

    description: str
    labeled: tuple[LabeledFile, ...]
    ignored: tuple[SkippedFile, ...] = ()
    unreadable: tuple[SkippedFile, ...] = ()
    contradictory: tuple[SkippedFile, ...] = ()


def recognize_layout(root: Path, source: str, options: DataOptions = DataOptions()) -> FolderLayout:
    """Recognizes how the images below a folder are labeled, by the first of `RECOGNIZERS` that finds labels.

    If a folder has one subfolder and no images, its subfolder is searched. Without labels raises an `InputError` about
    `source`.
    """
    tree = walk(root)
    inner = _innermost(tree, options)
    recognizers = (_tables,) if options.columns else RECOGNIZERS
    layout = next(filter(None, (recognize(inner, options) for recognize in recognizers)), None)
    if layout is None and options.columns:
        option, title = next(iter(options.columns.items()))
        raise InputError(f"{source} has no table of its files with a column '{title}'; correct or leave out {option}.")
    if layout is None or not layout.labeled:
        found = f"has no labels for its {len(tree.files)} files" if tree.files else "has no images"
        raise InputError(
            f"{source} {found}; give a folder with one subfolder per class, files named like cat.1.jpg and dog.1.jpg, "
            "or a .csv of files and classes."
        )
    unreadable = (*tree.unreadable, *layout.unreadable)
    known = {item.path for item in (*layout.labeled, *unreadable, *layout.contradictory)}
    ignored = [*tree.ignored, *(SkippedFile(path, "has no class") for path in tree.files if path not in known)]
    return replace(
        layout,
        description=layout.description + (f", in {inner.base.rstrip('/')}" if inner.base else ""),
        ignored=tuple(sorted(ignored, key=lambda item: item.path)),
        unreadable=unreadable,
    )


def _innermost(tree: FileTree, options: DataOptions) -> FileTree:
    """Skips folders that hold only one folder, down to the one with the labels."""
    while len(tree.folders) == 1 and not _tables(tree, options):
        inner = tree.subtree(tree.folders[0])
        has_images = any(path.lower().endswith(IMAGE_SUFFIXES) for path in tree.top_files)
        if has_images or not (inner.folders or _file_names(inner, options) or _tables(inner, options)):
            break
        tree = inner
    return tree


def _tables(tree: FileTree, options: DataOptions) -> FolderLayout | None:
    found = read_label_tables(tree, options)
    if not found or not found.labeled:
        return None
    skipped = {"unreadable": found.unreadable, "contradictory": found.contradictory}
    return FolderLayout(found.description, found.labeled, **skipped)


def _split_folders(tree: FileTree, options: DataOptions) -> FolderLayout | None:
    """Folders named for splits, with classes in them; test data replace missing validation data."""
    found = []
    for name in tree.folders:
        split = SPLIT_NAMES.get(name.lower())
        layout = split and (_class_folders(inner := tree.subtree(name), options) or _file_names(inner, options))
        if layout:
            found.append((split, name, layout))
    splits, renamed = {split for split, _, _ in found}, {}
    if TRAINING not in splits:
        return None
    if splits == {TRAINING}:
        # Split as if the training folder had been given, unless other folders have classes too.
        if any(_class_folders(tree.subtree(name), options) for name in tree.folders if name.lower() not in SPLIT_NAMES):
            return None
        renamed = {TRAINING: None}
    elif VALIDATION not in splits and not options.chooses_validation:
        renamed = {TEST: VALIDATION}
    found.sort(key=lambda item: (TRAINING, VALIDATION, TEST).index(item[0]))
    names = " and ".join(name for _, name, _ in found)
    labeled = (item._replace(split=renamed.get(split, split)) for split, _, layout in found for item in layout.labeled)
    return FolderLayout(f"{found[0][2].description} in {names}", tuple(labeled))


def _class_folders(tree: FileTree, options: DataOptions) -> FolderLayout | None:
    labeled = [LabeledFile(tree.base + path, class_name(path.split("/", 1)[0])) for path in tree.files if "/" in path]
    return FolderLayout("one subfolder per class", tuple(labeled)) if labeled else None


def _file_names(tree: FileTree, options: DataOptions) -> FolderLayout | None:
    """The start of each name, up to the first dot or number: "cat" of "cat.0.jpg" and "cat_12.jpg"."""
    if tree.folders:
        return None
    labeled = [
        LabeledFile(tree.base + path, class_name(match[1]))
        for path in tree.files
        if (match := re.match(r"([^.\d]*[^.\d\s_(-])[\s_(-]*(?:\.(?=.*\.)|\d)", path))
    ]
    classes = {item.class_name for item in labeled}
    # Two files per class on average, or every name would be a class.
    if len(classes) < 2 or 2 * len(classes) > len(labeled) or {name.lower() for name in classes} <= NO_CLASSES:
        return None
    return FolderLayout("file names that begin with the class", tuple(labeled))


# Each gets a folder's files, and returns None if they are not labeled in its way; the first that finds labels counts.
RECOGNIZERS = (_tables, _split_folders, _class_folders, _file_names)
