"""What scores say: errors with their confidence, figures by class and by size, calibration, confusions."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from kerascnn.evaluation.scores import Scores

CONFIDENCE = 0.95

# As many equal intervals of confidence as Guo et al. (2017) take.
CALIBRATION_BINS = 15

# Where a group of image sizes begins, by the shorter side in pixels.
SIZE_GROUPS = (0, 64, 128, 256, 512)


class Error(NamedTuple):
    """An error rate.

    Attributes:
        wrong, images: the counts that it is the ratio of.
        low, high: its Wilson score interval of 95 % (Wilson, 1927).
    """

    wrong: int
    images: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """From 0 to 1."""
        return self.wrong / self.images

    def __str__(self) -> str:
        return f"{self.rate:.2%} ({self.low:.2%} to {self.high:.2%})"


def error_of(wrong: int, images: int) -> Error:
    """An error rate from counts.

    Example:
        >>> str(error_of(5, 100))
        '5.00% (2.15% to 11.18%)'
    """
    from scipy.stats import binomtest

    interval = binomtest(wrong, images).proportion_ci(CONFIDENCE, method="wilson")
    return Error(wrong, images, float(interval.low), float(interval.high))


def top_error(scores: Scores, k: int = 1) -> Error:
    """How often the class is not among the k most probable ones."""
    return error_of(len(scores.labels) - scores.right(k), len(scores.labels))


class ClassMetrics(NamedTuple):
    """How well one class is told from the others; None where there is nothing to divide by.

    Attributes:
        name: of the class.
        images: that belong to it.
        right: how many of these are said to.
        precision: the share of the images said to belong to it that do.
        recall: the share of its images that are said to belong to it.
        f1: the harmonic mean of both.
    """

    name: str
    images: int
    right: int
    precision: float | None
    recall: float | None
    f1: float | None


def by_class(scores: Scores) -> list[ClassMetrics]:
    """Precision, recall and F1 of every class, in the order of the columns."""
    from sklearn.metrics import precision_recall_fscore_support

    classes = np.arange(len(scores.class_names))
    *figures, images = precision_recall_fscore_support(
        scores.labels, scores.predictions, labels=classes, zero_division=np.nan
    )
    right = np.diagonal(scores.confusion())
    return [
        ClassMetrics(name, int(images[index]), int(right[index]), *(_known(figure[index]) for figure in figures))
        for index, name in enumerate(scores.class_names)
    ]


def _known(figure: float) -> float | None:
    return None if np.isnan(figure) else float(figure)


class Calibration(NamedTuple):
    """How far a model's confidence, its greatest probability, is the share of its right answers.

    Attributes:
        edges: of the intervals of confidence, one more than there are.
        images: int, how many fall into each.
        confidence, accuracy: their mean confidence and the share that is right; nan for an empty interval.
        error: the expected calibration error (Guo et al., 2017, equation 3).
    """

    edges: np.ndarray
    images: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    error: float


def calibration(scores: Scores) -> Calibration:
    """The calibration over 15 equal intervals of confidence."""
    from scipy.stats import binned_statistic

    # A sum of rounded probabilities can be a little more than one.
    confidence = scores.probabilities.max(axis=1).clip(0, 1).astype(np.float64)
    right = (scores.predictions == scores.labels).astype(np.float64)
    counted = {
        name: binned_statistic(confidence, [confidence, right], name, bins=CALIBRATION_BINS, range=(0, 1))
        for name in ("count", "mean", "sum")
    }
    confidences, rights = counted["sum"].statistic
    return Calibration(
        edges=counted["count"].bin_edges,
        images=counted["count"].statistic[0].astype(int),
        confidence=counted["mean"].statistic[0],
        accuracy=counted["mean"].statistic[1],
        error=float(np.abs(confidences - rights).sum() / len(confidence)),
    )


def by_size(scores: Scores) -> dict[str, Error]:
    """The top-1 error of the images whose shorter side is of a length in pixels, for every group that has some.

    Example:
        >>> {group: error.images for group, error in by_size(scores).items()}
        {'128 to 255': 3, '256 to 511': 150, '512 and more': 9}
    """
    if scores.sizes is None:
        return {}
    group = np.digitize(scores.sizes.min(axis=1), SIZE_GROUPS) - 1
    wrong = scores.predictions != scores.labels
    ends = [f"{first} to {after - 1}" for first, after in itertools.pairwise(SIZE_GROUPS)]
    names = [f"below {SIZE_GROUPS[1]}", *ends[1:], f"{SIZE_GROUPS[-1]} and more"]
    return {
        name: error_of(int(wrong[group == number].sum()), int((group == number).sum()))
        for number, name in enumerate(names)
        if (group == number).any()
    }


class Confusion(NamedTuple):
    """A pair of classes that a model takes for one another in one direction.

    Attributes:
        true, predicted: the classes' names.
        images: how many of the first are said to be of the second.
        share: of the first's images.
    """

    true: str
    predicted: str
    images: int
    share: float


def most_confused(scores: Scores, most: int = 10) -> list[Confusion]:
    """The pairs of classes with the most images confused, most first."""
    matrix = scores.confusion()
    totals = matrix.sum(axis=1)
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:most]
    pairs = zip(*np.unravel_index(order, matrix.shape), strict=True)
    names = scores.class_names
    return [
        Confusion(names[true], names[predicted], int(matrix[true, predicted]), matrix[true, predicted] / totals[true])
        for true, predicted in pairs
        if matrix[true, predicted]
    ]


def most_wrong(scores: Scores, most: int = 24) -> np.ndarray:
    """The numbers of the wrongly named images, those first whose wrong class is most probable."""
    wrong = np.flatnonzero(scores.predictions != scores.labels)
    order = np.argsort(-scores.probabilities[wrong].max(axis=1), kind="stable")
    return wrong[order][:most]
