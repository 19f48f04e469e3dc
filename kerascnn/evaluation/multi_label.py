"""Metrics of multi-label scores: average precision, and precision, recall and F1 at a threshold."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kerascnn.average_precision import average_precisions, mean_average_precision
from kerascnn.evaluation.metrics import none_for_nan
from kerascnn.evaluation.scores import MultiLabelScores


class LabelMetrics(NamedTuple):
    """Metrics of one class of a multi-label model; None where the denominator is 0."""

    name: str  # of the class
    images: int  # with the class
    predicted: int  # images for which it is predicted
    average_precision: float | None  # the mean precision over its images, each at its rank by probability
    precision: float | None  # share of the images for which it is predicted that have it
    recall: float | None  # share of the images with the class for which it is predicted
    f1: float | None  # harmonic mean of both


def by_label(scores: MultiLabelScores) -> list[LabelMetrics]:
    """The metrics of every class, in the order of the columns."""
    from sklearn.metrics import precision_recall_fscore_support

    found = average_precisions(scores.labels, scores.probabilities)
    precision, recall, f1, images = precision_recall_fscore_support(
        scores.labels, scores.predictions, average=None, zero_division=np.nan
    )
    predicted = scores.predictions.sum(axis=0)
    metrics = np.stack([found, precision, recall, f1], axis=1)
    return [
        LabelMetrics(name, int(images[column]), int(predicted[column]), *none_for_nan(metrics[column]))
        for column, name in enumerate(scores.class_names)
    ]


class LabelSummary(NamedTuple):
    """Metrics over all classes of a multi-label model, from 0 to 1; micro: over all pairs of an image and a class."""

    map: float | None  # the mean of the average precisions; None if no image has a class
    micro_precision: float
    micro_recall: float
    micro_f1: float
    macro_f1: float  # the mean of the classes' F1


def summary(scores: MultiLabelScores) -> LabelSummary:
    """The metrics over all classes at the scores' threshold."""
    from sklearn.metrics import f1_score, precision_recall_fscore_support

    options = {"average": "micro", "zero_division": 0}
    *micro, _ = precision_recall_fscore_support(scores.labels, scores.predictions, **options)
    macro = f1_score(scores.labels, scores.predictions, average="macro", zero_division=0)
    [found] = none_for_nan([scores.mean_average_precision()])
    return LabelSummary(found, *map(float, micro), float(macro))


class BestThreshold(NamedTuple):
    """The threshold with the greatest micro F1 on some images, and that F1."""

    threshold: float
    micro_f1: float


def best_threshold(scores: MultiLabelScores) -> BestThreshold:
    """The threshold with the greatest micro F1 on these images.

    Choose it on validation images: on the images that it was chosen on, F1 is flattered.

    Example:
        >>> best_threshold(scores)
        BestThreshold(threshold=0.31, micro_f1=0.84)
    """
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(scores.labels.ravel(), scores.probabilities.ravel())
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    best = int(f1[:-1].argmax())
    # Between the last probability that counts and the next: four digits are enough to write it down.
    below = thresholds[best - 1] if best else 0.0
    middle = round(float(thresholds[best] + below) / 2, 4)
    threshold = middle if below < middle <= thresholds[best] else float(thresholds[best])
    return BestThreshold(threshold, float(f1[best]))


class ConstantBaseline(NamedTuple):
    """A multi-label model's mAP, and that of the same probabilities for every image: the mean share of the classes."""

    map: float
    constant_map: float

    @property
    def beaten(self) -> bool:
        """Whether the model's mAP is greater."""
        return self.map > self.constant_map

    def __str__(self) -> str:
        found = f"mAP {self.map:.2%}{'' if self.beaten else ', which is no better than saying the same of every image'}"
        return f"{found}; the same probabilities for every image have {self.constant_map:.2%}"

    def to_dict(self) -> dict[str, object]:
        """Values for JSON."""
        return {"map": self.constant_map, "beaten": self.beaten}


def constant_baseline(scores: MultiLabelScores) -> ConstantBaseline:
    """The model's mAP next to that of the same probabilities for every image.

    Example:
        >>> str(constant_baseline(scores))
        'mAP 71.04%; the same probabilities for every image have 23.10%'
    """
    constant = mean_average_precision(scores.labels, np.zeros_like(scores.probabilities))
    return ConstantBaseline(scores.mean_average_precision(), constant)


def most_wrong_labels(scores: MultiLabelScores, most: int = 24) -> list[tuple[int, int]]:
    """Pairs of an image and a class that are decided wrongly, the most certain mistakes first."""
    wrong = np.argwhere(scores.predictions != scores.labels.astype(bool))
    certainty = np.abs(scores.labels[tuple(wrong.T)] - scores.probabilities[tuple(wrong.T)])
    return [tuple(map(int, pair)) for pair in wrong[np.argsort(-certainty, kind="stable")][:most]]


def label_metrics(scores: MultiLabelScores) -> dict[str, Any]:
    """All metrics over the classes as plain values, for JSON."""
    best = best_threshold(scores)._asdict()
    return {"threshold": scores.threshold, **summary(scores)._asdict(), "best_threshold_on_these_images": best}
