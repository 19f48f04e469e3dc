"""Pictures in folders: one subfolder a class, with or without train and validation above."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerascnn.data.dataset import DataSet, FileExamples, SetAside
from kerascnn.data.pictures import UnreadablePictureError, decode_picture, is_plain
from kerascnn.errors import InputError

VALIDATION_SHARE = 0.2
TRAINING_NAMES = ("train", "training")
VALIDATION_NAMES = ("val", "valid", "validation", "test", "testing")

# Left behind by operating systems and tools; nobody misses them in a report.
IGNORED_NAMES = ("__MACOSX",)

Track = Callable[[Iterable, int, str], Iterable]


def untracked(items: Iterable, total: int, description: str) -> Iterable:
    """The `Track` that shows nothing."""
    return items


@dataclass(frozen=True)
class Checked:
    """A file, its class, and what reading it gave."""

    path: Path
    class_name: str
    plain: bool
    digest: str
    problem: str | None


def load_folder(folder: Path, name: str, source: str, track: Track = untracked) -> DataSet:
    """Reads and checks a folder of pictures.

    A folder that holds nothing but one folder is looked through. Where the folders below are named `train` and
    `validation` (or `val`, `test`) they are the splits; otherwise a fifth of each class is held out, chosen by
    the hash of the files' contents, so that the choice is the same on every machine and copies of one picture
    never end up on both sides.

    Args:
        folder: where the pictures are.
        name, source: of the data set.
        track: shows progress over an iterable of known length, such as `rich.progress.track`.

    Raises:
        InputError: no folder, no classes, one class, no pictures.
    """
    folder = _looked_through(folder)
    splits = _splits(folder)
    if splits is None:
        examples, set_aside = _check(_listed(folder), source, track)
        training, validation = _held_out(examples)
    else:
        training, bad_training = _check(_listed(splits[0]), source, track)
        validation, bad_validation = _check(_listed(splits[1]), source, track)
        set_aside = bad_training + bad_validation
    class_names = tuple(sorted({item.class_name for item in training}))
    unknown = sorted({item.class_name for item in validation} - set(class_names))
    if unknown:
        raise InputError(f"{source} has a class '{unknown[0]}' without readable training pictures.")
    return DataSet(
        name=name,
        source=source,
        class_names=class_names,
        training=_examples(training, class_names),
        validation=_examples(validation, class_names),
        set_aside=tuple(SetAside(str(item.path.relative_to(folder)), item.problem) for item in set_aside),
    )


def _visible(folder: Path) -> list[Path]:
    entries = [
        entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.name not in IGNORED_NAMES
    ]
    return sorted(entries, key=lambda entry: entry.name)


def _looked_through(folder: Path) -> Path:
    """`folder`, or the one folder that is all it holds, as long as that one has folders in turn."""
    while True:
        entries = _visible(folder)
        if len(entries) != 1 or not entries[0].is_dir() or not any(inner.is_dir() for inner in _visible(entries[0])):
            return folder
        folder = entries[0]


def _splits(folder: Path) -> tuple[Path, Path] | None:
    named = {entry.name.lower(): entry for entry in _visible(folder) if entry.is_dir()}
    training = [named[name] for name in TRAINING_NAMES if name in named]
    validation = [named[name] for name in VALIDATION_NAMES if name in named]
    return (training[0], validation[0]) if training and validation else None


def _listed(folder: Path) -> list[tuple[Path, str]]:
    """Every file below each class folder, with its class."""
    listed = []
    for class_folder in _visible(folder):
        if class_folder.is_dir():
            files = (path for path in class_folder.rglob("*") if path.is_file() and not path.name.startswith("."))
            listed += [(path, _class_name(class_folder)) for path in sorted(files)]
    return listed


def _class_name(folder: Path) -> str:
    """The folder's name on one line, since labels are written one a line."""
    return " ".join(folder.name.encode("utf-8", "replace").decode().split())


def _check(listed: list[tuple[Path, str]], source: str, track: Track) -> tuple[list[Checked], list[Checked]]:
    """What can be read, and what is set aside."""
    if not listed:
        raise InputError(
            f"{source} has no pictures; give a folder with one subfolder a class, or a .zip or .tar of one."
        )
    with ThreadPoolExecutor() as threads:
        results = threads.map(lambda item: _checked(*item), listed)
        checked = list(track(results, len(listed), "Checking pictures"))
    good = [item for item in checked if item.problem is None]
    bad = [item for item in checked if item.problem is not None]
    if not good:
        raise InputError(f"none of the {len(listed)} files in {source} can be read as an image.")
    return good, bad


def _checked(path: Path, class_name: str) -> Checked:
    try:
        contents = path.read_bytes()
        decode_picture(contents)
    except (UnreadablePictureError, OSError) as error:
        return Checked(path, class_name, False, "", str(error))
    plain = is_plain(contents) and _tensorflow_reads(contents)
    return Checked(path, class_name, plain, hashlib.sha256(contents).hexdigest(), None)


def _tensorflow_reads(contents: bytes) -> bool:
    """Whether the decoder that training uses takes the file too; its libjpeg is stricter than Pillow's."""
    import tensorflow as tf

    try:
        tf.io.decode_jpeg(contents, channels=3)
    except tf.errors.InvalidArgumentError:
        return False
    return True


def _held_out(examples: list[Checked]) -> tuple[list[Checked], list[Checked]]:
    training, validation = [], []
    for class_name in sorted({item.class_name for item in examples}):
        members = [item for item in examples if item.class_name == class_name]
        digests = sorted({item.digest for item in members})
        held = set(digests[: max(1, round(len(digests) * VALIDATION_SHARE))]) if len(digests) > 1 else set()
        validation += [item for item in members if item.digest in held]
        training += [item for item in members if item.digest not in held]
    return training, validation


def _examples(items: list[Checked], class_names: tuple[str, ...]) -> FileExamples:
    return FileExamples(
        paths=np.array([str(item.path) for item in items], dtype=object),
        plain=np.array([item.plain for item in items], dtype=bool),
        labels=np.array([class_names.index(item.class_name) for item in items], dtype=int),
    )
