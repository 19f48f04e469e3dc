"""Data sets: labeled images in two splits, in memory, in files or in TFRecord shards."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np

from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.errors import InputError, first_of
from kerascnn.files.archives.archive_entry import SkippedFile
from kerascnn.files.file_names import safe_file_name
from kerascnn.files.secret_urls import concealed
from kerascnn.shown_text import literal

# The end of the `source` of data sets that cannot be loaded again by it.
MADE_IN_PYTHON = " (made in Python)"


class _LabeledExamples:
    """The length and the selection of examples, for dataclasses of arrays with one value per example."""

    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Sequence[int]) -> Self:
        """The examples at `indices`, in that order."""
        return replace(self, **{name: values[indices] for name, values in columns_of(self).items()})


def columns_of(examples: _LabeledExamples) -> dict[str, np.ndarray]:
    """The arrays with one value per example, by their names."""
    names = (item.name for item in fields(examples) if item.name not in ("shards", "root"))
    return {name: values for name in names if (values := getattr(examples, name)) is not None}


@dataclass(frozen=True)
class ArrayExamples(_LabeledExamples):
    """Images in memory.

    Attributes:
        images: uint8 (count, height, width, 3), RGB in [0, 255], or (count, height, width, 1), gray.
        labels: int (count,), indices into the data set's class names; uint8 (count, classes), 1 for each class of the
            image, in multi-label data.
    """

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class FileExamples(_LabeledExamples):
    """Images in files that were checked.

    Attributes:
        paths: str (count,).
        plain: bool (count,), whether TensorFlow's JPEG decoder reads the file directly; Pillow reads the others.
        labels: int (count,), indices into the data set's class names; uint8 (count, classes), 1 for each class of the
            image, in multi-label data.
        groups: uint64 (count,), equal for images that must be in one split; None if there are no such images.
        digests: uint64 (count,), the first bits of each file's SHA-256; None if they are unknown.
        root: the folder that the files are below, if there is one.
    """

    paths: np.ndarray
    plain: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None = None
    digests: np.ndarray | None = None
    root: str = ""


@dataclass(frozen=True)
class RecordExamples(_LabeledExamples):
    """Images in TFRecord shards written by `kerascnn.data.write_records`.

    Attributes:
        shards: str (shards,), the files.
        shard: int (count,), the index of the file that holds the image.
        offset: int (count,), where its record begins in the file, in bytes.
        plain: bool (count,), whether it is stored as an upright JPEG; the others are stored as PNG.
        labels: int (count,), indices into the data set's class names; uint8 (count, classes), 1 for each class of the
            image, in multi-label data.
    """

    shards: np.ndarray
    shard: np.ndarray
    offset: np.ndarray
    plain: np.ndarray
    labels: np.ndarray


Examples = ArrayExamples | FileExamples | RecordExamples


@dataclass(frozen=True)
class DataSet:
    """The images of a source, split for training and validation.

    Attributes:
        name: short, usable in folder names.
        source: the source as it was given, so that it can be loaded again.
        class_names: in the order of the labels.
        training, validation: the two splits; no image is in both.
        skipped: files that cannot be read as images.
        allows_horizontal_flip: whether a mirrored image still belongs to its class (digits do not).
        workspace: keeps a temporary folder alive as long as the data set.
        test: the images of a test split, which no training uses; None if there is none.
        layout: how the classes were recognized, with the evidence, on one line; empty for built-in data sets.
        options: with which `source` was loaded.
        median_size: the median height and width of the images in pixels; None if it is unknown. If the training
            images are in memory, it is their size.
        validation_workspace: as `workspace`, of the validation images of another source.

    Raises:
        InputError: fewer than two classes, or an empty split.
    """

    name: str
    source: str
    class_names: tuple[str, ...]
    training: Examples
    validation: Examples
    skipped: tuple[SkippedFile, ...] = ()
    allows_horizontal_flip: bool = True
    workspace: TemporaryDirectory | None = field(default=None, repr=False, compare=False)
    test: Examples | None = None
    layout: str = ""
    options: DataOptions = DataOptions()
    median_size: tuple[int, int] | None = None
    validation_workspace: TemporaryDirectory | None = field(default=None, repr=False, compare=False)

    def __post_init__(self):
        object.__setattr__(self, "source", concealed(self.source))
        # Folders are named for it, and commands name these.
        object.__setattr__(self, "name", safe_file_name(re.sub(r"[^\w.+ -]", "_", self.name)))
        for name in self.class_names:
            if literal(str(name)) != name or not name.strip():
                raise InputError(f"the class name {name!r} is blank, no text, or has control characters; give another.")
        if len(self.class_names) < 2:
            raise InputError(
                f"{self.source} has only one class ('{self.class_names[0]}'); a classifier needs at least two."
                if self.class_names
                else f"{self.source} has no classes; give a folder with one subfolder per class."
            )
        for split, examples in (("training", self.training), ("validation", self.validation)):
            if len(examples) == 0:
                raise InputError(f"{self.source} has no {split} images; it needs at least two per class.")
            _check_examples(examples, len(self.class_names), f"{self.source}: the {split}")
            if examples.labels.ndim == 2 and not examples.labels.any():
                raise InputError(f"{self.source} has no {split} image with a class; a training needs some.")
        splits = (self.training, self.validation)
        if all(isinstance(split, ArrayExamples) and split.labels.ndim == 2 for split in splits) and all(
            (split.labels.sum(axis=1) == 1).all() for split in splits
        ):
            raise InputError(f"{self.source}: the labels are one-hot; give numbers, labels.argmax(axis=1).")
        if self.test is not None:
            _check_examples(self.test, len(self.class_names), f"{self.source}: the test")
        if self.median_size is None and isinstance(self.training, ArrayExamples):
            object.__setattr__(self, "median_size", self.training.images.shape[1:3])

    def __str__(self) -> str:
        images = f"{len(self.training)} training and {len(self.validation)} validation images"
        return f"{self.name}: {images} of {len(self.class_names)} classes ({first_of(self.class_names)})"

    def __repr__(self) -> str:
        return f"<DataSet {self}>"

    @property
    def multi_label(self) -> bool:
        """Whether an image may have any number of classes: tags, instead of one class."""
        return self.training.labels.ndim == 2

    def counts(self, examples: Examples) -> np.ndarray:
        """int (classes,), the number of the examples that each class has."""
        return class_counts(examples.labels, len(self.class_names))

    def imbalance(self) -> float:
        """The training images of the largest class over those of the smallest."""
        counts = self.counts(self.training)
        return float(counts.max() / max(counts.min(), 1))

    def class_weights(self) -> np.ndarray:
        """One weight per class, float32 (classes,), with which every class counts the same in training.

        They are inversely proportional to the class's training images, and 1 on average over the images; a class
        without training images has weight 0.

        Of multi-label data float32 (2, classes): the first row for images without the class, the second for images
        with it. Both groups of every class then count the same, and the weights are 1 on average over the images.
        """
        counts = self.counts(self.training)
        if self.multi_label:
            groups = np.stack([len(self.training) - counts, counts])
            return (len(self.training) / 2 / np.maximum(groups, 1)).astype(np.float32)
        present = np.count_nonzero(counts)
        return np.where(counts, counts.sum() / present / np.maximum(counts, 1), 0).astype(np.float32)

    def image_weights(self) -> np.ndarray:
        """`class_weights` of each training image, float32 (images,); of multi-label data (images, classes)."""
        labels, weights = self.training.labels, self.class_weights()
        return np.where(labels > 0, *weights[::-1]) if self.multi_label else weights[labels]


def _check_examples(examples: Examples, classes: int, what: str) -> None:
    """Raises InputError for labels and images that no training could use."""
    labels = examples.labels
    advice = "; kerascnn.data.from_arrays checks and converts arrays"
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "biu" or labels.ndim not in (1, 2):
        found = f"{labels.dtype} {labels.shape}" if isinstance(labels, np.ndarray) else type(labels).__name__
        raise InputError(f"{what} labels must be whole numbers (count,) or (count, classes), not {found}{advice}.")
    highest = classes - 1 if labels.ndim == 1 else 1
    if labels.ndim == 2 and labels.shape[1] != classes:
        raise InputError(f"{what} labels have {labels.shape[1]} columns for {classes} classes.")
    if len(labels) and not 0 <= labels.min() <= labels.max() <= highest:
        raise InputError(
            f"{what} labels are from {labels.min()} to {labels.max()}, and must be from 0 to {highest}{advice}."
        )
    for name, value in columns_of(examples).items():
        if len(value) != len(labels):
            raise InputError(f"{what} split has {len(value)} {name} and {len(labels)} labels.")
    if isinstance(examples, ArrayExamples):
        images = np.asarray(examples.images)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
            raise InputError(
                f"{what} images must be uint8 (count, height, width, 3 or 1) from 0 to 255, not {images.dtype} "
                f"{images.shape}{advice}."
            )
        if images.max(initial=0) == 1:
            raise InputError(
                f"{what} images have pixels of 0 and 1 only, and must have 0 to 255; multiply them by 255."
            )


def class_counts(labels: np.ndarray, classes: int) -> np.ndarray:
    """int (classes,), the images of each class, from labels as in `ArrayExamples`."""
    return labels.sum(axis=0, dtype=int) if labels.ndim == 2 else np.bincount(labels, minlength=classes)


def limited(examples: Examples, limit: int) -> Examples:
    """At most `limit` examples, taken from the classes in turn, so that small limits keep every class."""
    if limit >= len(examples):
        return examples
    labels = examples.labels
    if labels.ndim == 2:
        # An image without classes belongs to a group of its own; of several classes it takes its turn in the rarest.
        labels = np.column_stack([labels, ~labels.any(axis=1)])
        ranks = np.where(labels, labels.cumsum(axis=0, dtype=int), len(labels) + 1).min(axis=1)
        return examples.take(np.sort(np.argsort(ranks, kind="stable")[:limit]))
    rank_in_class = np.empty(len(examples), int)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rank_in_class[members] = np.arange(len(members))
    chosen = np.lexsort((labels, rank_in_class))[:limit]
    return examples.take(np.sort(chosen))


def shortened(data: DataSet, limit: int | None) -> DataSet:
    """The data set with at most `limit` images over both splits, in the splits' proportion.

    Raises:
        InputError: the limit leaves a class without a training or validation image.
    """
    if limit is None:
        return data
    if not isinstance(limit, int | np.integer):
        raise InputError(f"limit must be a number of images, not {limit!r}.")
    classes, total = len(data.class_names), len(data.training) + len(data.validation)
    validation = max(classes, round(limit * len(data.validation) / total))
    if limit - validation < classes:
        raise InputError(f"--limit {limit} is too small for {classes} classes; use at least {2 * classes}.")
    return replace(
        data, training=limited(data.training, limit - validation), validation=limited(data.validation, validation)
    )
