"""Average precision, by which multi-label models are measured in training and in evaluation."""

from __future__ import annotations

import numpy as np


def average_precisions(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The average precision of every class: the mean precision over its images, each at the rank of that image.

    Labels, 0 or 1, and probabilities are (images, classes). Returns float (classes,), from 0 to 1; nan for a class
    without images, or if a probability is not finite.

    Example:
        >>> average_precisions(np.array([[1], [0], [1]]), np.array([[0.9], [0.8], [0.7]]))
        array([0.83333333])
    """
    from sklearn.metrics import average_precision_score

    found = np.full(labels.shape[1], np.nan)
    for column in np.flatnonzero(labels.any(axis=0) & np.isfinite(probabilities).all(axis=0)):
        found[column] = average_precision_score(labels[:, column], probabilities[:, column])
    return found


def mean_average_precision(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """mAP: the mean of `average_precisions` over the classes that have images; nan if none has."""
    found = average_precisions(labels, probabilities)
    return float(np.nanmean(found)) if np.isfinite(found).any() else np.nan
