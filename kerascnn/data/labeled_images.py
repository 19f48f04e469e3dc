"""All images of a source with their classes, without a split: for measuring, or as validation images of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np

from kerascnn.data.dataset import DataSet, Examples, RecordExamples
from kerascnn.data.ingestion.image_check import FileRecord
from kerascnn.errors import InputError
from kerascnn.files.archives.archive_entry import SkippedFile


@dataclass(frozen=True)
class LabeledImages:
    """All images of a source that have a class; there may be one class only.

    Attributes:
        name, source, layout, skipped: as of a `DataSet`.
        class_names: in the order of the labels.
        examples: the images.
        files: one record per file; none for sources without files.
        workspace: keeps a temporary folder alive.
    """

    name: str
    source: str
    class_names: tuple[str, ...]
    examples: Examples
    layout: str = ""
    skipped: tuple[SkippedFile, ...] = ()
    files: Sequence[FileRecord] = ()
    workspace: TemporaryDirectory | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, data: DataSet) -> Self:
        """The images of all splits of a data set."""
        splits = [split for split in (data.training, data.validation, data.test) if split is not None]
        examples = joined(splits)
        return cls(data.name, data.source, data.class_names, examples, data.layout, data.skipped, (), data.workspace)

    def labeled_for(self, class_names: Sequence[str]) -> Examples:
        """The examples with labels that are indices into `class_names`; InputError if a class is not among them."""
        unknown = sorted(set(self.class_names) - set(class_names))
        if unknown:
            raise InputError(
                f"{self.source} has a class '{unknown[0]}' that the training images do not have; "
                f"theirs are {', '.join(class_names[:10])}{', …' if len(class_names) > 10 else ''}."
            )
        numbers = np.array([class_names.index(name) for name in self.class_names], int)
        labels = self.examples.labels
        if labels.ndim == 1:
            return replace(self.examples, labels=numbers[labels])
        multi_hot = np.zeros((len(labels), len(class_names)), labels.dtype)
        multi_hot[:, numbers] = labels
        return replace(self.examples, labels=multi_hot)


def joined(splits: Sequence[Examples]) -> Examples:
    """The examples of several splits, which are of one kind and in the same order."""
    first = splits[0]
    if isinstance(first, RecordExamples):
        starts = np.cumsum([0, *(len(split.shards) for split in splits[:-1])])
        splits = [replace(split, shard=split.shard + start) for split, start in zip(splits, starts, strict=True)]
    return replace(
        first, **{item.name: np.concatenate([getattr(split, item.name) for split in splits]) for item in fields(first)}
    )
