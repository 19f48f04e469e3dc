"""Data sets as their authors publish them, and the exports of labeling programs: lists of files beside the images."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.file_index import FileIndex
from kerascnn.data.ingestion.file_tree import FileTree
from kerascnn.data.ingestion.label_columns import class_name
from kerascnn.data.ingestion.reading import LabeledFile, Reading, UndecidedError
from kerascnn.data.ingestion.splits import TEST, TRAINING, VALIDATION
from kerascnn.data.ingestion.tables import read_rows
from kerascnn.errors import phrase
from kerascnn.files.archives.archive_entry import SkippedFile
from kerascnn.files.user_file import open_file

# A file, its class, or a tuple of several, and its split if the lists say it.
Entry = tuple[str, str | tuple[str, ...], str | None]

# What Label Studio notes of a task besides its data and its choices.
BOOKKEEPING = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"}

# A file of a task: after the folder of uploads, or after the "?d=" of files that are served from the disk.
FILE = re.compile(r"(?:.*\?d=|.*upload/\d+/)?(.+\.\w{3,4})$")


class PublishedLayout(NamedTuple):
    """A data set or an export."""

    title: str
    lists: str  # the files that say the classes, for messages
    needs: tuple[str, ...]  # patterns of paths that must be there; folders end in a slash
    under: tuple[str, ...]  # the folders that hold the images; empty for any
    entries: Callable[[FileTree], Iterable[Entry]]  # reads the lists; none if it is another data set after all


def read_published(tree: FileTree, options: DataOptions) -> Reading | None:
    """Reads a folder that is laid out as one of `PUBLISHED`; None for any other.

    Raises:
        UndecidedError: it is one of them, and its lists or images are missing.
    """
    for layout in PUBLISHED:
        if all(_one(tree, need) is not None for need in layout.needs) and (found := _read(layout, tree)):
            return found
    return None


def _read(layout: PublishedLayout, tree: FileTree) -> Reading | None:
    try:
        entries = list(layout.entries(tree))
    except UndecidedError:
        raise
    # The lists of strangers.
    except Exception as error:
        reason = phrase(error)
        raise UndecidedError(f"looks like {layout.title}, but {layout.lists} cannot be read: {reason}") from None
    if not entries:
        return None
    index = FileIndex(path for path in tree.images if path.startswith(layout.under or ""))
    labeled, missing, several = [], [], any(isinstance(label, tuple) for _, label, _ in entries)
    for file, label, split in entries:
        # Label Studio puts eight digits before the name of a file that is uploaded.
        path = index.find(file).path or index.find(re.sub(r"(^|/)[0-9a-f]{8}-", r"\1", file)).path
        if path is None:
            missing.append(SkippedFile(file, f"named in {layout.lists} and missing"))
        else:
            names = tuple(map(class_name, label if isinstance(label, tuple) else (label,)))
            labeled.append(LabeledFile(tree.base + path, names if several else names[0], split))
    if not labeled:
        raise UndecidedError(
            f"looks like {layout.title}, but none of the {len(entries):,} files that {layout.lists} names is there, "
            f"for example {entries[0][0]}"
        )
    how = f"{layout.title}, by {layout.lists}{', several classes per image' if several else ''}"
    how += f", {len(labeled):,} of {len(entries):,} files found" if missing else ""
    return Reading(how, labeled, unreadable=tuple(missing))


def _lines(tree: FileTree, path: str) -> Iterator[list[str]]:
    """The words of each line of a list, without comments."""
    for line in tree.read(path).splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.split()


def _one(tree: FileTree, pattern: str) -> str | None:
    """The list, or the folder if the pattern ends in a slash, that fits a pattern, if there is one."""
    names = tree.all_folders if pattern.endswith("/") else tree.other_files
    return next((path for path in names if fnmatchcase(path, pattern)), None)


def _cub(tree: FileTree) -> Iterator[Entry]:
    files, labels, names = (
        dict(line[:2] for line in _lines(tree, f"{name}.txt")) for name in ("images", "image_class_labels", "classes")
    )
    split = "train_test_split.txt"
    train = dict(line[:2] for line in _lines(tree, split)) if split in tree.top_files else {}
    splits = {"1": TRAINING, "0": TEST}
    return ((file, names[labels[number]], splits[train[number]] if train else None) for number, file in files.items())


def _flowers(tree: FileTree) -> Iterator[Entry]:
    labels = _matlab(tree, "imagelabels.mat")["labels"].ravel()
    sets = _matlab(tree, "setid.mat") if "setid.mat" in tree.top_files else {}
    keys = (("trnid", TRAINING), ("valid", VALIDATION), ("tstid", TEST)) if sets else ()
    splits = {number: split for key, split in keys for number in sets[key].ravel()}
    for number, label in enumerate(labels, 1):
        yield f"image_{number:05}.jpg", str(label), splits.get(number)


def _stanford_dogs(tree: FileTree) -> Iterator[Entry]:
    for name, split in (("train", TRAINING), ("test", TEST)):
        for cell in _matlab(tree, _one(tree, f"*{name}_list.mat"))["file_list"].ravel():
            yield _text(cell), _text(cell).split("/")[0], split


def _stanford_cars(tree: FileTree) -> Iterator[Entry]:
    names = [_text(name) for name in _matlab(tree, _one(tree, "*cars_meta.mat"))["class_names"].ravel()]
    for folder, list_name, split in (
        ("cars_train", "cars_train_annos.mat", TRAINING),
        ("cars_test", "cars_test_annos_withlabels.mat", TEST),
    ):
        if file := _one(tree, f"*{list_name}"):
            for row in _matlab(tree, file)["annotations"].ravel():
                yield f"{folder}/{_text(row['fname'])}", names[int(row["class"].item()) - 1], split


def _matlab(tree: FileTree, path: str) -> dict[str, Any]:
    from scipy.io import loadmat

    return loadmat(tree.root / (tree.base + path))


def _text(cell: Any) -> str:
    """The text in a cell of a MATLAB array, which may be in arrays of one element."""
    while not isinstance(cell, str):
        cell = cell[0]
    return cell.strip()


def _food(tree: FileTree) -> Iterator[Entry]:
    for name, split in (("train", TRAINING), ("test", TEST)):
        for file in tree.read(f"meta/{name}.txt").split():
            yield f"{file}.jpg", file.split("/")[0], split


def _pets(tree: FileTree) -> Iterator[Entry]:
    for name, split in (("trainval", TRAINING), ("test", TEST)):
        for file, *_ in _lines(tree, f"annotations/{name}.txt"):
            yield f"{file}.jpg", file.rpartition("_")[0], split


def _tiny_imagenet(tree: FileTree) -> Iterator[Entry]:
    if "val/val_annotations.txt" not in tree.files and not tree.subtree("val").subtree("images").folders:
        raise UndecidedError("looks like Tiny ImageNet, but val/val_annotations.txt is missing, which has the labels")
    for path in tree.files:
        if path.startswith("train/") and "/images/" in path:
            yield path, path.split("/")[1], TRAINING
    for file, label, *_ in _lines(tree, "val/val_annotations.txt"):
        yield f"val/images/{file}", label, VALIDATION


def _imagenet(tree: FileTree) -> list[Entry]:
    solution, found, flat = _one(tree, "*LOC_val_solution.csv"), [], 0
    for path in tree.images:
        match = re.search(r"(?:^|/)(train|val)/(?:(n\d{8})/)?[^/]+$", path)
        if match and match[2]:
            found.append((path, match[2], TRAINING if match[1] == "train" else VALIDATION))
        elif match and match[1] == "val":
            flat += 1
    if not flat:
        # Folders of classes in train and val are read as such.
        return []
    if not solution:
        raise UndecidedError(
            f"looks like ImageNet, but its {flat:,} validation images have no labels: LOC_val_solution.csv is missing, "
            "and val has no folders of classes; add one of them, or leave the images out with --leave-out val"
        )
    rows = read_rows(tree.root / (tree.base + solution)).rows[1:]
    return [*found, *((f"val/{name}.JPEG", prediction.split()[0], VALIDATION) for name, prediction, *_ in rows)]


def _places(tree: FileTree) -> Iterator[Entry]:
    categories = dict(reversed(line) for line in _lines(tree, _one(tree, "*categories_places365.txt")))
    names = {number: label.removeprefix("/")[2:] for number, label in categories.items()}
    for pattern, split in (("*places365_train_*.txt", TRAINING), ("*places365_val.txt", VALIDATION)):
        if file := _one(tree, pattern):
            for path, number in _lines(tree, file):
                yield path, names[number], split


def _fiftyone(tree: FileTree) -> Iterator[Entry]:
    content = json.loads(tree.read("labels.json"))
    names = content.get("classes") or []
    for file, label in content["labels"].items():
        if isinstance(label, list):
            yield f"data/{file}", tuple(_fiftyone_class(one, names) for one in label), None
        elif (name := _fiftyone_class(label, names)) is not None:
            yield f"data/{file}", name, None


def _fiftyone_class(label: Any, names: list[str]) -> str | None:
    label = label.get("label") if isinstance(label, dict) else label
    return names[label] if isinstance(label, int) else label


def _fiftyone_samples(tree: FileTree) -> Iterator[Entry]:
    for sample in json.loads(tree.read("samples.json"))["samples"]:
        labels = {
            field: value["label"]
            for field, value in sample.items()
            if isinstance(value, dict) and value.get("_cls") == "Classification"
        }
        if len(set(labels.values())) > 1 and "ground_truth" not in labels:
            raise UndecidedError(f"has samples.json with the labels {labels} of an image; export one field of labels")
        if labels:
            yield sample["filepath"], labels.get("ground_truth", next(iter(labels.values()))), None


def _label_studio(tree: FileTree) -> Iterator[Entry]:
    for name in tree.top_files:
        for task in _tasks(tree, name) if name.lower().endswith(".json") else ():
            if not ("annotations" in task or BOOKKEEPING & task.keys() > {"id"}):
                continue
            # In the short form a task's data and its choices are side by side.
            values = {key: value for key, value in task.get("data", task).items() if key not in BOOKKEEPING}
            file = next((text for text in values.values() if isinstance(text, str) and FILE.search(text)), None)
            rest = [value for value in values.values() if value is not file]
            choices = _choices(task["annotations"]) if "annotations" in task else {tuple(_short_choices(rest))} - {()}
            if len(choices) > 1:
                found = " and ".join(sorted(map(str, map(list, choices))))
                raise UndecidedError(
                    f"has {name} with different annotations of {file}, {found}; export one annotation per image"
                )
            for names in choices if file else ():
                yield FILE.search(file)[1], names if len(names) > 1 else names[0], None


def _tasks(tree: FileTree, name: str) -> list[dict[str, Any]]:
    """The tasks in a file; none if it is something else."""
    with open_file(tree.root / (tree.base + name)) as file:
        if not file.read(100).decode("utf-8-sig", "replace").lstrip().startswith("["):
            return []
    text = tree.read(name)
    with suppress(Exception):
        tasks = json.loads(text)
        return tasks if all(isinstance(task, dict) for task in tasks) else []
    return []


def _choices(annotations: list[dict[str, Any]]) -> set[tuple[str, ...]]:
    """What the annotations of a task choose, each one or several texts; people may disagree."""
    results = (one["result"] for one in annotations if not one.get("was_cancelled"))
    chosen = ([text for result in made for text in result["value"].get("choices", ())] for made in results)
    return {tuple(sorted(set(texts))) for texts in chosen if texts}


def _short_choices(values: list[Any]) -> list[str]:
    """The choices among a task's values in the short form: a text, or several in {"choices": […]}."""
    found = []
    for value in values:
        found += value.get("choices", ()) if isinstance(value, dict) else [value] if isinstance(value, str) else ()
    return found


PUBLISHED = (
    PublishedLayout("CUB-200-2011", "images.txt, image_class_labels.txt and classes.txt",
                    ("images.txt", "image_class_labels.txt", "classes.txt", "images/"), ("images/",), _cub),
    PublishedLayout("Oxford Flowers-102", "imagelabels.mat and setid.mat",
                    ("imagelabels.mat", "jpg/"), ("jpg/",), _flowers),
    PublishedLayout("Food-101", "meta/train.txt and meta/test.txt",
                    ("images/", "meta/train.txt", "meta/test.txt"), ("images/",), _food),
    PublishedLayout("Stanford Dogs", "train_list.mat and test_list.mat",
                    ("Images/", "*train_list.mat", "*test_list.mat"), ("Images/",), _stanford_dogs),
    PublishedLayout("Stanford Cars", "cars_train_annos.mat and cars_test_annos_withlabels.mat",
                    ("cars_train/", "*cars_meta.mat", "*cars_train_annos.mat"), (), _stanford_cars),
    PublishedLayout("Oxford-IIIT Pets", "annotations/trainval.txt and annotations/test.txt",
                    ("images/", "annotations/trainval.txt", "annotations/test.txt"), ("images/",), _pets),
    PublishedLayout("Tiny ImageNet", "val/val_annotations.txt",
                    ("wnids.txt", "train/n*/images/", "val/images/"), ("train/", "val/"), _tiny_imagenet),
    PublishedLayout("ImageNet", "the folders and LOC_val_solution.csv",
                    ("*train/n????????/", "*val/"), (), _imagenet),
    PublishedLayout("Places365", "places365_train_*.txt, places365_val.txt and categories_places365.txt",
                    ("*categories_places365.txt", "*places365_train_*.txt"), (), _places),
    PublishedLayout("a FiftyOne export", "labels.json", ("labels.json", "data/"), ("data/",), _fiftyone),
    PublishedLayout("a FiftyOne export", "samples.json", ("samples.json", "data/"), ("data/",), _fiftyone_samples),
    PublishedLayout("a Label Studio export", "a .json of tasks", ("*.json",), (), _label_studio),
)  # fmt: skip
