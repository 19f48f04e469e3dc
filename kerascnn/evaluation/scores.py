"""Scores of predictions over a whole split, every picture counted once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kerascnn.data.dataset import DataSet, Examples
from kerascnn.data.pipeline import evaluation_batches
from kerascnn.data.tracking import Track, untracked
from kerascnn.errors import InputError
from kerascnn.evaluation.predictors import Facts, Predictor

BATCH = 64


@dataclass(frozen=True)
class Scores:
    """What a model does on pictures whose classes are known.

    Attributes:
        class_names: in the order of the columns.
        labels: int (count,), the true classes.
        probabilities: float32 (count, classes).
    """

    class_names: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def predictions(self) -> np.ndarray:
        """int (count,), the most probable classes."""
        return self.probabilities.argmax(axis=1)

    def accuracy(self, k: int = 1) -> float:
        """The share of pictures whose class is among the k most probable ones."""
        from sklearn.metrics import top_k_accuracy_score

        if len(self.class_names) <= k:
            return 1.0
        if k == 1:
            return float(np.mean(self.predictions == self.labels))
        classes = np.arange(len(self.class_names))
        return float(top_k_accuracy_score(self.labels, self.probabilities, k=k, labels=classes))

    def confusion(self) -> np.ndarray:
        """int (classes, classes): pictures of each true class (row) by predicted class (column)."""
        from sklearn.metrics import confusion_matrix

        return confusion_matrix(self.labels, self.predictions, labels=np.arange(len(self.class_names)))


def evaluate(predictor: Predictor, data: DataSet, *, track: Track = untracked) -> Scores:
    """Scores a model on a data set's validation pictures, one centre crop each.

    Args:
        predictor: from `open_predictor`.
        data: its classes are matched to the model's by name.
        track: shows progress over an iterable of known length.

    Raises:
        InputError: the data have classes that the model does not know.

    Example:
        >>> evaluate(open_predictor("model.keras"), kerascnn.data.load("pets.zip")).accuracy()
        0.92
    """
    labels = _labels_of_model(predictor.facts, data)
    count = -(-len(data.validation) // BATCH)
    batches = track(views(data.validation, predictor.facts), count, f"Evaluating {predictor.kind}")
    probabilities = np.concatenate([predictor.probabilities(images) for images in batches])
    return Scores(predictor.facts.class_names, labels, probabilities)


def views(examples: Examples, facts: Facts) -> Iterator[np.ndarray]:
    """The evaluation views of examples, in order: float32 (batch, size, size, 3) in [0, 255]."""
    batches = evaluation_batches(
        examples,
        classes=1,
        size=facts.image_size,
        crop_fraction=facts.crop_fraction,
        batch_size=BATCH,
    )
    return (images.numpy() for images, _ in batches)


def _labels_of_model(facts: Facts, data: DataSet) -> np.ndarray:
    unknown = [name for name in data.class_names if name not in facts.class_names]
    if unknown:
        raise InputError(
            f"the model has {len(facts.class_names)} classes, and '{unknown[0]}' of {data.source} is not among them."
        )
    columns = np.array([facts.class_names.index(name) for name in data.class_names])
    return columns[data.validation.labels]
