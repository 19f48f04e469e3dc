"""What a source becomes: labelled images in two splits, and the list of skipped files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory

import numpy as np

from kerascnn.errors import InputError
from kerascnn.files.archives.archive_entry import SkippedFile


@dataclass(frozen=True)
class ArrayExamples:
    """Images in memory.

    Attributes:
        images: uint8 (count, height, width, 3), RGB in [0, 255].
        labels: int (count,), indices into the data set's class names.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Sequence[int]) -> ArrayExamples:
        """The examples at `indices`, in that order."""
        return ArrayExamples(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class FileExamples:
    """Images in files that were checked.

    Attributes:
        paths: str (count,).
        plain: bool (count,), whether TensorFlow's JPEG decoder reads the file as it is; the others go
            through Pillow.
        labels: int (count,), indices into the data set's class names.
    """

    paths: np.ndarray
    plain: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Sequence[int]) -> FileExamples:
        """The examples at `indices`, in that order."""
        return FileExamples(self.paths[indices], self.plain[indices], self.labels[indices])


@dataclass(frozen=True)
class RecordExamples:
    """Images in the TFRecord shards that `kerascnn.data.pipeline.tfrecords.write_records` made.

    Attributes:
        shards: str (shards,), the files.
        shard: int (count,), which of the files holds the image.
        offset: int (count,), where its record begins in the file, in bytes.
        plain: bool (count,), whether it is kept as an upright JPEG; the others are kept as PNG.
        labels: int (count,), indices into the data set's class names.
    """

    shards: np.ndarray
    shard: np.ndarray
    offset: np.ndarray
    plain: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Sequence[int]) -> RecordExamples:
        """The examples at `indices`, in that order."""
        return RecordExamples(
            self.shards, self.shard[indices], self.offset[indices], self.plain[indices], self.labels[indices]
        )


Examples = ArrayExamples | FileExamples | RecordExamples


@dataclass(frozen=True)
class DataSet:
    """A source, read and split.

    Attributes:
        name: short, fit for folder names.
        source: what was asked for, so that it can be asked for again.
        class_names: in the order of the labels.
        training, validation: the two splits; no image is in both.
        skipped: files that cannot be read as images.
        mirrored: whether a mirrored image still belongs to its class (digits do not).
        workspace: keeps a temporary folder alive as long as the data set.
    """

    name: str
    source: str
    class_names: tuple[str, ...]
    training: Examples
    validation: Examples
    skipped: tuple[SkippedFile, ...] = ()
    mirrored: bool = True
    workspace: TemporaryDirectory | None = field(default=None, repr=False, compare=False)

    def imbalance(self) -> float:
        """How many times as many training images the largest class has as the smallest."""
        counts = np.bincount(self.training.labels, minlength=len(self.class_names))
        return float(counts.max() / max(counts.min(), 1))

    def __post_init__(self):
        if len(self.class_names) < 2:
            raise InputError(
                f"{self.source} has one class only ('{self.class_names[0]}'); a classifier needs at least two."
                if self.class_names
                else f"{self.source} has no classes; give a folder with one subfolder a class."
            )
        for split, examples in (("training", self.training), ("validation", self.validation)):
            if len(examples) == 0:
                raise InputError(f"{self.source} leaves no {split} images; it needs at least two a class.")

    def class_weights(self) -> np.ndarray:
        """A weight a class, float32 (classes,), with which every class counts the same in training.

        They are inversely proportional to the training images of the class, and 1 on average over the images; a
        class without any has weight 0.
        """
        counts = np.bincount(self.training.labels, minlength=len(self.class_names))
        present = np.count_nonzero(counts)
        return np.where(counts, counts.sum() / present / np.maximum(counts, 1), 0).astype(np.float32)


def limited(examples: Examples, limit: int) -> Examples:
    """At most `limit` examples, the classes taken in turn so that each keeps its share of small limits."""
    if limit >= len(examples):
        return examples
    rank_in_class = np.empty(len(examples), int)
    for label in np.unique(examples.labels):
        members = np.flatnonzero(examples.labels == label)
        rank_in_class[members] = np.arange(len(members))
    chosen = np.lexsort((examples.labels, rank_in_class))[:limit]
    return examples.take(np.sort(chosen))


def shortened(data: DataSet, limit: int | None) -> DataSet:
    """The data set with at most `limit` images over both splits, in the splits' proportion.

    Raises:
        InputError: the limit leaves a class without training or validation image.
    """
    if limit is None:
        return data
    total = len(data.training) + len(data.validation)
    validation = max(len(data.class_names), round(limit * len(data.validation) / total))
    training = limit - validation
    if training < len(data.class_names):
        raise InputError(
            f"--limit {limit} is too small for {len(data.class_names)} classes; "
            f"give at least {2 * len(data.class_names)}."
        )
    return DataSet(
        **{
            **vars(data),
            "training": limited(data.training, training),
            "validation": limited(data.validation, validation),
        }
    )
