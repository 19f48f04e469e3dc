"""Metrics of scores: accuracies, metrics per class and image size, calibration, confusions, McNemar's test."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from kerascnn.errors import InputError
from kerascnn.evaluation.scores import Scores

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05

# As in Guo et al. (2017).
CALIBRATION_BINS = 15

# Bounds between the groups of image sizes, by the shorter side in pixels.
SIZE_BOUNDS = (64, 128, 256, 512)


class Accuracy(NamedTuple):
    """An accuracy with its 95 % Wilson score interval (Wilson, 1927)."""

    correct: int
    images: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.correct / self.images

    def __str__(self) -> str:
        return f"{self.share:.2%} ({self.low:.2%} to {self.high:.2%})"

    def to_dict(self, k: int = 1) -> dict[str, Any]:
        """Values for JSON, of a top-k accuracy."""
        return {f"top{k}_accuracy": self.share, f"top{k}_interval": [self.low, self.high]}


def accuracy_of(correct: int, images: int) -> Accuracy:
    """An accuracy from counts.

    Example:
        >>> str(accuracy_of(95, 100))
        '95.00% (88.82% to 97.85%)'
    """
    from scipy.stats import binomtest

    interval = binomtest(correct, images).proportion_ci(CONFIDENCE, method="wilson")
    return Accuracy(correct, images, float(interval.low), float(interval.high))


def top_accuracy(scores: Scores, k: int = 1) -> Accuracy:
    """Share of images whose class is among the k most probable ones, with its confidence interval."""
    return accuracy_of(scores.correct(k), len(scores.labels))


class ClassMetrics(NamedTuple):
    """Metrics of one class; None where the denominator is 0."""

    name: str  # of the class
    images: int  # of this class
    correct: int  # number of these that are predicted to be of this class
    precision: float | None  # share of the images predicted to be of this class that are
    recall: float | None  # share of this class's images that are predicted to be of it
    f1: float | None  # harmonic mean of both


def by_class(scores: Scores) -> list[ClassMetrics]:
    """Precision, recall and F1 of every class, in the order of the columns."""
    from sklearn.metrics import precision_recall_fscore_support

    classes = np.arange(len(scores.class_names))
    *metrics, images = precision_recall_fscore_support(
        scores.labels, scores.predictions, labels=classes, zero_division=np.nan
    )
    correct = np.diagonal(scores.confusion())
    return [
        ClassMetrics(name, int(images[index]), int(correct[index]), *none_for_nan([row[index] for row in metrics]))
        for index, name in enumerate(scores.class_names)
    ]


def percent(share: float | None) -> str:
    """A share in a table; a dash for None."""
    return "–" if share is None else f"{share:.2%}"


def none_for_nan(values: np.ndarray | list[float]) -> list[float | None]:
    """The values as plain floats, None where they are nan."""
    return [None if np.isnan(value) else float(value) for value in values]


class Calibration(NamedTuple):
    """How well a model's confidence, its greatest probability, matches its accuracy."""

    edges: np.ndarray  # of the intervals of confidence, one more than there are intervals
    images: np.ndarray  # int, number of images per interval
    confidence: np.ndarray  # its means; nan for an empty interval
    accuracy: np.ndarray  # the same
    error: float  # the expected calibration error (Guo et al., 2017, equation 3)


def calibration(scores: Scores) -> Calibration:
    """The calibration over 15 equal intervals of confidence."""
    from scipy.stats import binned_statistic

    # A sum of rounded probabilities can be slightly greater than one.
    confidence = scores.probabilities.max(axis=1).clip(0, 1).astype(np.float64)
    values = [confidence, (scores.predictions == scores.labels).astype(np.float64)]
    count, mean, total = (
        binned_statistic(confidence, values, name, bins=CALIBRATION_BINS, range=(0, 1))
        for name in ("count", "mean", "sum")
    )
    error = float(np.abs(total.statistic[0] - total.statistic[1]).sum() / len(confidence))
    return Calibration(count.bin_edges, count.statistic[0].astype(int), *mean.statistic, error)


def by_size(scores: Scores) -> dict[str, Accuracy]:
    """The top-1 accuracy by the images' shorter side in pixels, for every group that has images.

    Example:
        >>> {group: accuracy.images for group, accuracy in by_size(scores).items()}
        {'128 to 255': 3, '256 to 511': 150, '512 and more': 9}
    """
    if scores.sizes is None:
        return {}
    correct = scores.predictions == scores.labels
    groups = np.digitize(scores.sizes.min(axis=1), SIZE_BOUNDS)
    ranges = (f"{first} to {after - 1}" for first, after in itertools.pairwise(SIZE_BOUNDS))
    names = [f"below {SIZE_BOUNDS[0]}", *ranges, f"{SIZE_BOUNDS[-1]} and more"]
    members = ((names[group], correct[groups == group]) for group in np.unique(groups))
    return {name: accuracy_of(int(of_group.sum()), len(of_group)) for name, of_group in members}


class Confusion(NamedTuple):
    """A pair of classes that a model confuses, by their names."""

    true: str
    predicted: str
    images: int  # of the true class with that prediction
    share: float  # of the true class's images


def most_confused(scores: Scores, most: int = 10) -> list[Confusion]:
    """The pairs of classes with the most confused images, in descending order."""
    matrix = scores.confusion()
    totals = matrix.sum(axis=1)
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:most]
    names = scores.class_names
    return [
        Confusion(names[true], names[predicted], int(matrix[true, predicted]), matrix[true, predicted] / totals[true])
        for true, predicted in zip(*np.unravel_index(order, matrix.shape), strict=True)
        if matrix[true, predicted]
    ]


def most_wrong(scores: Scores, most: int = 24) -> np.ndarray:
    """Indices of the wrong predictions, in descending order of the predicted class's probability."""
    wrong = np.flatnonzero(scores.predictions != scores.labels)
    order = np.argsort(-scores.probabilities[wrong].max(axis=1), kind="stable")
    return wrong[order][:most]


class McNemar(NamedTuple):
    """McNemar's exact test of two models on the same images."""

    only_first: int  # number of images that only this model predicts correctly
    only_second: int
    p: float  # the probability that two equally good models differ at least this much on those images

    @property
    def better(self) -> str:
        """The significantly better model at the 5 % level: "first", "second" or "neither"."""
        if self.p >= SIGNIFICANCE:
            return "neither"
        return "first" if self.only_first > self.only_second else "second"


def mcnemar(first: Scores, second: Scores) -> McNemar:
    """McNemar's exact test (McNemar, 1947; Dietterich, 1998, section 3.1) on the same images in the same order.

    Example:
        >>> mcnemar(scores_of_resnet56, scores_of_resnet20)
        McNemar(only_first=120, only_second=80, p=0.0056...)
    """
    from scipy.stats import binomtest

    if not np.array_equal(first.true_names, second.true_names):
        raise InputError("models can only be compared on the same images.")
    first_correct, second_correct = (scores.predictions == scores.labels for scores in (first, second))
    only_first, only_second = int((first_correct > second_correct).sum()), int((second_correct > first_correct).sum())
    differing = only_first + only_second
    return McNemar(only_first, only_second, float(binomtest(only_first, differing).pvalue) if differing else 1.0)


class MajorityBaseline(NamedTuple):
    """A model beside the prediction of the most frequent class for every image."""

    name: str  # of that class
    correct: int  # the number of its images
    model: Accuracy  # the model's accuracy
    test: McNemar  # McNemar's, of the model (first) and that prediction on the same images

    @property
    def accuracy(self) -> float:
        """Of always predicting that class."""
        return self.correct / self.model.images

    @property
    def beaten(self) -> bool:
        """Whether the model is significantly better at the 5 % level."""
        return self.test.better == "first"

    def __str__(self) -> str:
        always = f"always saying '{self.name}' is correct for {self.accuracy:.2%}"
        correct = f"correct for {self.model} of {self.model.images} images"
        if self.beaten:
            return f"{correct}; {always}"
        if self.model.correct <= self.correct:
            return f"{correct}, which is no better than the most frequent class: {always}"
        return (
            f"{correct}, which is not shown to be better than the most frequent class (p = {self.test.p:.2f}): {always}"
        )

    def to_dict(self) -> dict[str, object]:
        """Values for JSON."""
        return {"class": self.name, "accuracy": self.accuracy, "p": self.test.p, "beaten": self.beaten}


def majority_baseline(scores: Scores) -> MajorityBaseline | None:
    """The model beside always predicting the most frequent class that it knows; None if all images are of one class.

    Example:
        >>> str(majority_baseline(scores))
        "correct for 71.04% (64.09% to 77.12%) of 183 images; always saying 'Dog' is correct for 55.19%"
    """
    counts = np.bincount(scores.labels, minlength=len(scores.class_names))
    if np.count_nonzero(counts) < 2:
        return None
    most = counts[: len(scores.known_names)].argmax()
    constant = np.zeros_like(scores.probabilities)
    constant[:, most] = 1
    test = mcnemar(scores, replace(scores, probabilities=constant))
    return MajorityBaseline(scores.class_names[most], int(counts[most]), top_accuracy(scores), test)
