"""Finds images by the names of classes that are known, such as those of the model that is to be evaluated."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from kerascnn.data.ingestion.class_names import folded
from kerascnn.data.ingestion.file_tree import walk
from kerascnn.data.ingestion.label_columns import class_name
from kerascnn.data.ingestion.label_tables import LabeledFile
from kerascnn.data.ingestion.layouts import FolderLayout


def folders_of_classes(root: Path, class_names: Collection[str]) -> FolderLayout | None:
    """The labels of a folder that holds folders of known classes only, or is one; None if it is something else.

    Args:
        root: the folder of a source.
        class_names: upper and lower case do not matter.

    Example:
        >>> folders_of_classes(Path("holdout/cat"), ["Cat", "Dog"]).description
        "all images are of the class 'cat', as their folder is named"
    """
    tree, known = walk(root), {folded(name) for name in class_names}
    folders = {folded(class_name(name)) for name in tree.folders or [root.name]}
    if tree.other_files or not folders <= known or (tree.folders and tree.top_files):
        return None
    if tree.folders:
        how = "folders named like classes of the model"
        labeled = tuple(LabeledFile(path, class_name(path.split("/", 1)[0])) for path in tree.files)
    else:
        name = class_name(root.name)
        how = f"all images are of the class '{name}', as their folder is named"
        labeled = tuple(LabeledFile(path, name) for path in tree.files)
    return FolderLayout(how, labeled, tree.ignored, tree.unreadable)
