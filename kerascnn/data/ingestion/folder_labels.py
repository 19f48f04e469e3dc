"""Classes from subfolders and from file names, and folders of classes that are known already."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from shlex import quote

from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.file_tree import FileTree, may_be_image
from kerascnn.data.ingestion.folder_names import (
    name_parts,
    names_annotations,
    names_container,
    names_nothing,
    splits_of,
)
from kerascnn.data.ingestion.label_columns import class_name
from kerascnn.data.ingestion.reading import LabeledFile, Reading, UndecidedError, quoted
from kerascnn.data.ingestion.vocabulary import VOCABULARY
from kerascnn.files.file_names import folded

NO_CLASSES = {"whatsapp image", *VOCABULARY["file names"]}

# "cat.0.jpg", "great_dane_12.jpg" and "Abyssinian (3).jpg"; or "12_cat.png".
CLASS_FIRST = re.compile(r"([^.\d]*[^.\d\s_(-])[\s_(-]*(?:\.(?=.*\.)|\d)")
CLASS_LAST = re.compile(r"\d+[\s_-]+([^.\d]*[^.\d\s_(-])\.\w+$")
# The share of files that must be named for a class.
MOST = 0.8
# Files of a folder that are looked at to find classes in their names, at most.
SAMPLE = 1000


def first_folders(tree: FileTree, options: DataOptions) -> Reading | None:
    """Every file is of the class of the first folder in its path."""
    labeled = [LabeledFile(tree.base + path, class_name(path.split("/", 1)[0])) for path in tree.files if "/" in path]
    joined = [name for name, count in Counter(map(class_name, tree.folders)).items() if count > 1]
    said = f", though several are named, but for blanks, {quoted(joined)}" if joined else ""
    return Reading(f"one subfolder per class{said}", labeled) if len(tree.folders) > 1 else None


def inner_folders(tree: FileTree, options: DataOptions) -> Reading | None:
    """Every file is of the class of the folder that it is in."""
    labeled = [LabeledFile(tree.base + path, class_name(path.split("/")[-2])) for path in tree.files if "/" in path]
    return Reading("the folder of each image", labeled) if labeled else None


def class_folders(tree: FileTree, options: DataOptions) -> Reading | None:
    """One subfolder per class, perhaps with one folder per split in each.

    Raises:
        UndecidedError: the folders may be parts of a collection, or there are classes in the folders below as well.
    """
    names = tree.folders
    if not names or (len(names) == 1 and is_no_class(tree, names[0])):
        return None
    inner = {name: tree.subtree(name) for name in names}
    _check_names(names)
    _check_repeated(inner)
    _check_images_outside(tree, inner)
    splits = splits_of(sorted({folder for one in inner.values() for folder in one.folders}))
    if splits and all(path.split("/")[0] in splits for one in inner.values() for path in one.images):
        labeled = [
            LabeledFile(tree.base + path, class_name(path.split("/")[0]), splits[path.split("/")[1]])
            for path in tree.files
            if path.count("/") > 1 and path.split("/")[1] in splits
        ]
        return Reading(f"one subfolder per class, with {quoted(sorted(splits))} in each", labeled)
    left_out = _annotations_within(inner)
    tree = tree.without(left_out)
    _check_levels({name: tree.subtree(name) for name in names})
    _check_file_names(inner)
    found = first_folders(tree, options) or Reading(
        "one subfolder per class",
        [LabeledFile(tree.base + path, class_name(names[0])) for path in tree.files if "/" in path],
    )
    return replace(found, ignored=tree.ignored[len(tree.ignored) - len(left_out) :])


def known_folders(tree: FileTree, class_names: Collection[str]) -> Reading | None:
    """The labels of a folder that holds folders of known classes only, or is one; None if it is something else.

    Upper and lower case do not matter.
    """
    names = {folded(class_name(name)) for name in tree.folders or [tree.root.name]}
    if tree.other_files or not names <= {*map(folded, class_names)} or (tree.folders and tree.top_files):
        return None
    if tree.folders:
        how = "folders named like classes of the model"
        labeled = [LabeledFile(path, class_name(path.split("/", 1)[0])) for path in tree.files]
    else:
        how = f"all images are of the class '{class_name(tree.root.name)}', as their folder is named"
        labeled = [LabeledFile(path, class_name(tree.root.name)) for path in tree.files]
    return Reading(how, labeled, tree.ignored, tree.unreadable)


def is_no_class(tree: FileTree, folder: str) -> bool:
    """Whether the only folder is named for data as such, like "images", for a split, or as the folder that it is in."""
    return names_nothing(folder) or bool(splits_of([folder])) or f"/{tree.base}".endswith(f"/{folder}/")


def _annotations_within(inner: dict[str, FileTree]) -> dict[str, str]:
    """Folders of annotations beside those of images in the folder of a class: "COVID/masks" beside "COVID/images"."""
    found = {}
    for name, one in inner.items():
        named = [folder for folder in one.folders if names_annotations(folder)]
        if named and len(named) < len(one.folders) + bool(one.top_files):
            found |= {f"{name}/{folder}": "annotations" for folder in named}
    return found


def _check_names(names: Sequence[str]) -> None:
    if len(names) > 1 and name_parts(names):
        raise UndecidedError(
            f"has the folders {quoted(names)}, which look like dates or parts of a collection and not like classes; "
            "--layout folders takes them for classes, --layout inner-folders or names looks inside them"
        )
    images = [name for name in names if names_container(name)]
    if images and len(names) > 1:
        raise UndecidedError(
            f"has a folder '{images[0]}' beside {quoted([name for name in names if name not in images])}, which may "
            f"hold images of any class; --leave-out {quote(images[0])} leaves it out, --layout folders takes it for "
            "a class"
        )


def _check_repeated(inner: dict[str, FileTree]) -> None:
    """Refuses a folder that has folders like those beside it: it holds more images of these classes."""
    for name, one in inner.items():
        again = sorted((inner.keys() & one.folders) - {name})
        if again and 2 * len(again) >= len(one.folders) and not one.top_files:
            raise UndecidedError(
                f"has a folder '{name}' with folders {quoted(again)} in it, like those beside it; --leave-out "
                f"{quote(name)} leaves it out, --layout inner-folders takes the folder of each image for its class"
            )


def _check_images_outside(tree: FileTree, inner: dict[str, FileTree]) -> None:
    outside = sum(map(may_be_image, tree.top_files))
    inside = sum(len(one.images) for one in inner.values())
    if outside > inside:
        raise UndecidedError(
            f"has {outside:,} images beside its folders {quoted(tree.folders)} and {inside:,} in them; "
            "--layout folders takes the folders for classes and leaves out the other images"
        )


def _check_levels(inner: dict[str, FileTree]) -> None:
    """Refuses two levels of folders that may both be classes."""
    below = [one.folders for one in inner.values()]
    nested = [one for one in inner.values() if len(one.folders) > 1 and not any(map(may_be_image, one.top_files))]
    if len(inner) < 2 or 2 * len(nested) < len(inner):
        return
    several = [set(folders) for folders in below if len(folders) > 1]
    same = len(several) > 1 and len(set.intersection(*several)) > len(set.union(*several)) / 2
    seen = sorted(set.union(*several))
    raise UndecidedError(
        f"has the folders {quoted(list(inner))} with {'the same folders' if same else 'folders'} {quoted(seen)} in "
        "them; --layout folders takes the outer ones for classes, --layout inner-folders the inner ones"
        + (f", and --leave-out {quote(list(inner)[-1])} leaves one out" if same else "")
    )


def _check_file_names(inner: dict[str, FileTree]) -> None:
    """Refuses folders in all of which most files are named for the same classes."""
    samples = [one.images[:: len(one.images) // SAMPLE + 1] for one in inner.values()]
    named = [_classes_in_names(images)[1] for images in samples]
    shared = {name for name in set.intersection(*map(set, named)) if len(name) > 2}
    most = all(
        sum(len(paths) for name, paths in classes.items() if name in shared) >= MOST * len(images)
        for classes, images in zip(named, samples, strict=True)
    )
    if len(inner) > 1 and len(shared) > 1 and most:
        raise UndecidedError(
            f"has the folders {quoted(list(inner))}, with files named for {quoted(sorted(shared))} in each; "
            "--layout folders takes the folders for classes, --layout names the file names"
        )


def file_names(tree: FileTree, options: DataOptions = DataOptions()) -> Reading | None:
    """The start of each name, up to the first dot or number: "cat" of "cat.0.jpg"; or its end, as in "0_cat.jpg"."""
    if tree.folders and options.layout != "names":
        return None
    how, names = _classes_in_names(tree.images)
    labeled = [LabeledFile(tree.base + path, class_name(name)) for name, paths in names.items() for path in paths]
    return Reading(how, sorted(labeled)) if labeled else None


def _classes_in_names(images: Sequence[str]) -> tuple[str, dict[str, list[str]]]:
    """Where in most files' names the class is, and the files of each; none without two classes of two files or so."""
    for how, pattern in (
        ("file names that begin with the class", CLASS_FIRST),
        ("file names that end with the class", CLASS_LAST),
    ):
        found = defaultdict(list)
        for path in images:
            match = pattern.match(os.path.basename(path))
            if match and match[1].lower() not in NO_CLASSES:
                found[class_name(match[1])].append(path)
        # Two files per class on average, or every name would be a class.
        count = sum(map(len, found.values()))
        if 2 <= len(found) <= count / 2 and count >= MOST * len(images):
            return how, found
    return "", {}
