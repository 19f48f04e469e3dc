"""All images of a source with their classes, without a split: for measuring, or as validation images of another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from tempfile import TemporaryDirectory
from typing import Literal, Self

import numpy as np

from kerascnn.data.dataset import DataSet, Examples, RecordExamples, class_counts, columns_of
from kerascnn.data.ingestion.file_table import FileTable
from kerascnn.data.ingestion.image_check import READ
from kerascnn.errors import InputError, first_of
from kerascnn.files.archives.archive_entry import SkippedFile

Split = Literal["all", "training", "validation", "test"]
SPLITS: tuple[Split, ...] = ("training", "validation", "test")


@dataclass(frozen=True)
class LabeledImages:
    """All images of a source that have a class; there may be one class only.

    Attributes:
        name, source, layout, skipped: as of a `DataSet`.
        class_names: in the order of the labels.
        examples: the images.
        files: one record per file; none for sources without files.
        listed: as of an `Ingested`.
        workspace: keeps a temporary folder alive.
        split: "all", "training", "validation" or "test": which of the source's images these are.
        available: the number of labeled images in the source; None if these are all.
        allows_horizontal_flip: as of a `DataSet`.
    """

    name: str
    source: str
    class_names: tuple[str, ...]
    examples: Examples
    layout: str = ""
    skipped: tuple[SkippedFile, ...] = ()
    files: FileTable = field(default_factory=FileTable, repr=False)
    listed: bool = False
    workspace: TemporaryDirectory | None = field(default=None, repr=False, compare=False)
    split: Split = "all"
    available: int | None = None
    allows_horizontal_flip: bool = True

    @classmethod
    def of(cls, data: DataSet, split: Split = "all") -> Self:
        """The images of one split, or of all splits of a data set.

        Raises:
            InputError: the data set has no such split.
        """
        splits = {name: getattr(data, name) for name in SPLITS if getattr(data, name) is not None}
        chosen = [examples for name, examples in splits.items() if split in ("all", name)]
        if not chosen:
            raise no_such_split(data.source, split, {name: len(examples) for name, examples in splits.items()})
        return cls(
            data.name, data.source, data.class_names, joined(chosen), data.layout, data.skipped,
            workspace=data.workspace, split=split, available=None if split == "all" else sum(map(len, splits.values())),
            allows_horizontal_flip=data.allows_horizontal_flip,
        )  # fmt: skip

    def of_split(self, split: Split) -> Self:
        """The images of one of the source's own splits, which `files` name; "all" are all images.

        Raises:
            InputError: the source has no such split.
        """
        if split == "all":
            return self
        if split not in self.splits:
            raise no_such_split(self.source, split, self.splits)
        of_files, names = self.files.distinct("split")
        numbers = np.flatnonzero(of_files[self.files.rows(status=READ)] == names.index(split))
        some = replace(self, examples=self.examples.take(numbers), split=split, available=len(self.examples))
        return some.of_classes([name for name, count in zip(self.class_names, some.counts(), strict=True) if count])

    @property
    def splits(self) -> dict[str, int]:
        """The number of images in each of the source's own splits; none if it is not split."""
        counts = self.files.counts("split", self.files.rows(status=READ)) if self.files else {}
        return {name: counts[name] for name in SPLITS if name in counts}

    def of_classes(self, class_names: Sequence[str]) -> Self:
        """The images of some classes; of multi-label data all images, with labels for these classes."""
        number_of = {name: number for number, name in enumerate(class_names)}
        numbers = np.array([number_of.get(name, -1) for name in self.class_names], int)
        examples = self.examples
        if examples.labels.ndim == 1:
            examples = examples.take(np.flatnonzero(numbers[examples.labels] >= 0))
        examples = replace(examples, labels=_relabeled(examples.labels, numbers, len(class_names)))
        available = len(self.examples) if self.available is None else self.available
        return replace(self, class_names=tuple(class_names), examples=examples, available=available)

    @property
    def multi_label(self) -> bool:
        """As of a `DataSet`."""
        return self.examples.labels.ndim == 2

    def counts(self) -> np.ndarray:
        """int (classes,), the number of the images that each class has."""
        return class_counts(self.examples.labels, len(self.class_names))

    @property
    def counted(self) -> str:
        """How many images, of which split, of how many there are.

        Example:
            >>> load_labeled("photos").of_split("test").counted
            '12 test images of 60'
        """
        count, kind = len(self.examples), "" if self.split == "all" else f"{self.split} "
        counted = f"{count:,} {kind}{'image' if count == 1 else 'images'}"
        return counted if self.available is None else f"{counted} of {self.available:,}"

    def __str__(self) -> str:
        return f"{self.counted} in {self.source}"

    def labeled_for(self, class_names: Sequence[str]) -> Examples:
        """The examples with labels that are indices into `class_names`; InputError if a class is not among them."""
        unknown = sorted(set(self.class_names) - set(class_names))
        if unknown:
            raise InputError(
                f"{self.source} has a class '{unknown[0]}' that the training images do not have; "
                f"theirs are {first_of(class_names)}."
            )
        number_of = {name: number for number, name in enumerate(class_names)}
        numbers = np.array([number_of[name] for name in self.class_names], int)
        return replace(self.examples, labels=_relabeled(self.examples.labels, numbers, len(class_names)))


def _relabeled(labels: np.ndarray, numbers: np.ndarray, classes: int) -> np.ndarray:
    """Labels with the new number of each class, or -1 for a class that is left out."""
    if labels.ndim == 1:
        return numbers[labels]
    multi_hot = np.zeros((len(labels), classes), labels.dtype)
    multi_hot[:, numbers[numbers >= 0]] = labels[:, numbers >= 0]
    return multi_hot


def no_such_split(source: str, split: str, counts: Mapping[str, int]) -> InputError:
    """The error that a source has no images of a split, with the number of images of those that it has."""
    splits = ", ".join(f"{name} ({count:,})" for name, count in counts.items())
    has = f"its splits are {splits}" if splits else "it is not split"
    hint = "; test images validate where there are no others" if split == "test" and "validation" in counts else ""
    return InputError(f"{source} has no {split} images; {has}, and 'all' are all of them{hint}.")


def joined(splits: Sequence[Examples]) -> Examples:
    """The examples of several splits, which are of one kind and in the same order."""
    first = splits[0]
    if isinstance(first, RecordExamples):
        starts = np.cumsum([0, *(len(split.shards) for split in splits[:-1])])
        splits = [replace(split, shard=split.shard + start) for split, start in zip(splits, starts, strict=True)]
    shards = [{"shards": split.shards} if isinstance(split, RecordExamples) else {} for split in splits]
    columns = [columns_of(split) | more for split, more in zip(splits, shards, strict=True)]
    names = [name for name in columns[0] if all(name in arrays for arrays in columns)]
    return type(first)(**{name: np.concatenate([arrays[name] for arrays in columns]) for name in names})
