"""Finds folders beside those of images that are no classes: annotations, other forms of the images, copies."""

import os
import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import combinations
from shlex import quote

from kerascnn.data.ingestion.file_tree import FileTree, may_be_image
from kerascnn.data.ingestion.folder_names import NO_CLASS, names_annotations, names_images, splits_of
from kerascnn.data.ingestion.reading import UndecidedError
from kerascnn.files.archives.archive_entry import SkippedFile

NO_IMAGES = "no images"

# Folders that hold the images of the first one in another form.
FORMS = (("color", "grayscale", "segmented"), ("eurosat", "eurosatallbands"), ("eurosat_rgb", "eurosat_ms"))

# An annotation that lies beside its image: "benign (1)_mask.png", "cat_01_seg.png".
ANNOTATION_FILE = re.compile(
    r"(.+)[ _-](?:mask|seg|segmentation|trimap|gt|groundtruth|label|labels|annotation|depth|bbox)(?:[ _-]?\d+)?"
)

# What systems add to the name of a copied folder: "cat - Copy (2)", "cat copy", "cat (1)".
COPY = re.compile(r"(.+?)(?:(?: - | |_)copy(?: ?\(?\d+\)?)?| ?\(\d+\))", re.IGNORECASE)

# The share of a folder's files that must be those of another one.
SAME = 0.9
# Running numbers may lack half and a few, and besides the commonest word there is one for so many files.
SLACK, WORDS = 10, 4
# More folders than this are classes; their files are not compared.
MAX_COMPARED = 20


def without_companions(tree: FileTree) -> FileTree:
    """The tree without folders at its top that are no classes.

    UndecidedError if a folder may be a class, or annotations, or the same images as in another one.
    """
    tree = tree.without({folder: NO_IMAGES for folder in tree.folders if not tree.subtree(folder).images})
    for find in (_named_annotations, _files_of_annotations, _same_names):
        tree = tree.without(find(tree))
    return tree


def without_other_forms(tree: FileTree) -> FileTree:
    """The tree without folders of images of no class, of other forms of the images, and of copies of the folders."""
    lower = {folder.lower(): folder for folder in tree.folders}
    found = {lower[name]: reason for name, reason in NO_CLASS.items() if name in lower}
    for first, *others in FORMS:
        if first in lower:
            found |= {lower[other]: f"other forms of {lower[first]}" for other in others if other in lower}
    splits, folders = splits_of(tree.folders), set(tree.folders)
    for folder in tree.folders:
        inner = tree.subtree(folder)
        if (named := COPY.fullmatch(folder)) and named[1] in folders:
            names = set(tree.subtree(named[1]).files)
            if len(names & set(inner.files)) < SAME * len(inner.files):
                raise UndecidedError(
                    f"has a folder '{folder}', which is named for a copy of '{named[1]}' and has other files; rename "
                    f"it, or leave it out with --leave-out {quote(folder)}"
                )
            found[folder] = f"a copy of {named[1]}"
        is_copy = len(set(inner.files) & set(tree.files)) >= SAME * len(inner.files)
        if folder not in splits and folders.intersection(inner.folders) and is_copy:
            found[folder] = "a copy of the folders beside it"
    return tree.without(found)


def without_files_beside(tree: FileTree) -> FileTree:
    """The tree without annotations in the folder of their image: "1.xml" and "1_mask.png" beside "1.jpg"."""
    found = {path: stem for path in tree.images if (stem := _annotated(path))}
    found |= {path: _stem(path) for path in tree.other_files if "/" in path}
    if not found:
        return tree
    stems = {_stem(path) for path in tree.images if path not in found}
    beside = {path for path, stem in found.items() if stem in stems}
    items = tuple(SkippedFile(tree.base + path, "an annotation beside its image") for path in sorted(beside))
    return replace(
        tree, files=tuple(path for path in tree.files if path not in beside), ignored=(*tree.ignored, *items)
    )


def _named_annotations(tree: FileTree) -> dict[str, str]:
    named = [folder for folder in tree.folders if names_annotations(folder, tree.folders)]
    others = [folder for folder in tree.folders if folder not in named]
    top = [path for path in tree.top_files if may_be_image(path)]
    images = [*top, *(path for folder in others for path in tree.subtree(folder).images)]
    if not named or not images:
        return {}
    found = {}
    for folder in named:
        own = tree.subtree(folder).images
        names = set(map(_name, own))
        shared = names & set(map(_name, images))
        same = len(shared) >= SAME * len(names) and not _are_numbers(shared)
        if not (top or same or not _kinds(own) & _kinds(images) or any(map(names_images, others))):
            raise UndecidedError(
                f"has a folder '{folder}', which is named for annotations and may be a class; --leave-out "
                f"{quote(folder)} takes it for annotations, --layout folders for a class"
            )
        found[folder] = f"annotations of {', '.join(others[:3]) or 'the images beside it'}"
    return found


def _files_of_annotations(tree: FileTree) -> dict[str, str]:
    """Folders whose files are named for annotations of images beside them: "1_segmentation.png" for "1.jpg"."""
    stems = {os.path.basename(_stem(path)) for path in tree.images}
    found = {}
    for folder in tree.folders:
        own = tree.subtree(folder).images
        if sum(os.path.basename(_annotated(path) or "") in stems for path in own) >= SAME * len(own):
            found[folder] = "annotations of the images beside it"
    return found


def _same_names(tree: FileTree) -> dict[str, str]:
    """Folders whose files are called as those of a folder of images."""
    splits = splits_of(tree.folders)
    flat = [folder for folder in tree.folders if folder not in splits and not tree.subtree(folder).folders]
    if not 2 <= len(flat) <= MAX_COMPARED:
        return {}
    found = {}
    images = {folder: tree.subtree(folder).images for folder in flat}
    names = {folder: set(map(_name, paths)) for folder, paths in images.items()}
    for one, other in combinations(flat, 2):
        shared = names[one] & names[other]
        if len(shared) < max(2, SAME * min(len(names[one]), len(names[other]))):
            continue
        # Classes of numbered files are common; two folders of which one has other kinds of files, or is named for
        # images, are none.
        named = [folder for folder in (one, other) if names_images(folder)]
        is_pair = len(tree.folders) == 2 and (named or not _kinds(images[one]) & _kinds(images[other]))
        if not is_pair and _are_numbers(shared):
            continue
        if len(named) != 1:
            raise UndecidedError(
                f"has folders '{one}' and '{other}', whose files have the same names: they may be classes, or show the "
                f"same things twice; --layout folders takes them for classes, --leave-out {quote(other)} leaves one out"
            )
        found[other if named == [one] else one] = f"files with the same names as in {named[0]}"
    return found


def _stem(path: str) -> str:
    """A path without suffix, in lower case."""
    return os.path.splitext(path)[0].lower()


def _annotated(path: str) -> str | None:
    """The stem of the image that a file is named for as an annotation."""
    match = ANNOTATION_FILE.fullmatch(_stem(path))
    return match and match[1]


def _name(path: str) -> str:
    """A file's name without suffix and without what an annotation's name has more."""
    return os.path.basename(_annotated(path) or _stem(path))


def _kinds(images: Sequence[str]) -> set[str]:
    """The suffixes; those of JPEG files are one."""
    return {os.path.splitext(path)[1].lower().replace("jpeg", "jpg") for path in images}


def _are_numbers(names: Collection[str]) -> bool:
    """Whether names are a few words with running numbers, as where each class is counted: "1", "image_0002"."""
    numbers = defaultdict(list)
    for name in names:
        letters = re.sub(r"[\W\d_]+", "", name)
        # Single letters count too.
        numbers[letters if len(letters) > 1 else ""].append(int(re.findall(r"\d+", f"0{name}")[-1][-15:]))
    # Equal numbers with gaps, as of a camera, are those of the same images.
    running = all(max(found) - min(found) <= 2 * len(found) + SLACK for found in numbers.values())
    return running and len(numbers) <= 1 + len(names) / WORDS
