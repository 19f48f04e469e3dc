"""Metrics computed by hand."""

import math

import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.evaluation import Scores
from kerascnn.evaluation.metrics import (
    accuracy_of,
    by_class,
    by_size,
    calibration,
    majority_baseline,
    mcnemar,
    most_confused,
    most_wrong,
    top_accuracy,
)
from support.messages import mentioning, names


def scores_with(labels, predictions, confidences=None, classes="abc", sizes=None):
    """Scores with these predictions; the other classes share the remaining probability."""
    confidences = [0.9] * len(labels) if confidences is None else confidences
    probabilities = np.empty((len(labels), len(classes)), "float32")
    for row, prediction, confidence in zip(probabilities, predictions, confidences, strict=True):
        row[:] = (1 - confidence) / (len(classes) - 1)
        row[prediction] = confidence
    return Scores(tuple(classes), np.array(labels), probabilities, sizes)


@pytest.mark.parametrize(("correct", "images"), [(5, 100), (0, 360), (3, 3), (1, 2)])
def test_wilson_intervals(correct, images):
    """The interval's ends solve |p - rate| = z sqrt(p (1 - p) / n)."""
    accuracy = accuracy_of(correct, images)
    for end in (accuracy.low, accuracy.high):
        assert abs(end - accuracy.share) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / images), abs=1e-6)
    assert 0 <= accuracy.low <= accuracy.share <= accuracy.high <= 1


def test_format_of_an_accuracy():
    assert str(accuracy_of(5, 100)) == "5.00% (2.15% to 11.18%)"
    assert top_accuracy(scores_with([0, 0, 1, 2], [0, 1, 1, 2]))[:2] == (3, 4)


def test_classes():
    scores = scores_with([0, 0, 0, 1, 1], [0, 0, 1, 1, 0], classes="abcd")
    a, b, c, _ = by_class(scores)
    assert (a.images, a.correct, a.precision, a.recall) == (3, 2, 2 / 3, 2 / 3)
    assert (b.images, b.correct, b.precision, b.recall, b.f1) == (2, 1, 0.5, 0.5, 0.5)
    # No image is of class c, and none is predicted to be.
    assert c == ("c", 0, 0, None, None, None)


def test_calibration():
    confidences = [0.9] * 10 + [0.61] * 10
    predictions = [0] * 8 + [1] * 2 + [0] * 7 + [1] * 3
    measured = calibration(scores_with([0] * 20, predictions, confidences))
    # Ten have accuracy 0.8 at confidence 0.9, ten have 0.7 at 0.61.
    assert measured.error == pytest.approx((10 * 0.1 + 10 * 0.09) / 20, abs=1e-6)
    assert measured.images.sum() == 20
    np.testing.assert_allclose(measured.accuracy[measured.images > 0], [0.7, 0.8])
    np.testing.assert_allclose(measured.confidence[measured.images > 0], [0.61, 0.9])


def test_a_confident_correct_model_is_calibrated():
    sure = Scores(("a", "b"), np.array([0, 1]), np.array([[1.0000001, 0], [0, 1]], "float32"))
    assert calibration(sure).images[-1] == 2
    assert calibration(sure).error == 0


def test_sizes():
    sizes = np.array([(63, 900), (64, 64), (300, 127), (512, 512), (5000, 4000)])
    accuracies = by_size(scores_with([0] * 5, [0, 1, 0, 1, 1], sizes=sizes))
    assert {group: accuracy[:2] for group, accuracy in accuracies.items()} == {
        "below 64": (1, 1), "64 to 127": (1, 2), "512 and more": (0, 2),
    }  # fmt: skip
    assert by_size(scores_with([0], [0])) == {}


def test_confusions():
    scores = scores_with([0, 0, 0, 0, 1, 2], [0, 1, 1, 2, 0, 2])
    assert most_confused(scores) == [("a", "b", 2, 0.5), ("a", "c", 1, 0.25), ("b", "a", 1, 1.0)]
    assert most_confused(scores, most=1) == [("a", "b", 2, 0.5)]


def test_most_wrong_are_the_most_confident():
    scores = scores_with([0, 0, 0, 0], [1, 0, 1, 2], [0.5, 0.99, 0.9, 0.7])
    assert most_wrong(scores).tolist() == [2, 3, 0]
    assert most_wrong(scores, most=1).tolist() == [2]


@pytest.mark.parametrize(
    ("only_first", "only_second", "better"), [(5, 0, "neither"), (6, 0, "first"), (12, 30, "second"), (0, 0, "neither")]
)
def test_mcnemar_against_the_binomial_distribution(only_first, only_second, better):
    differing = only_first + only_second
    labels = [0] * (differing + 10)
    first = scores_with(labels, [0] * only_first + [1] * only_second + [0] * 7 + [1] * 3)
    second = scores_with(labels, [1] * only_first + [0] * only_second + [0] * 7 + [2] * 3)
    test = mcnemar(first, second)
    tail = sum(math.comb(differing, k) for k in range(min(only_first, only_second) + 1)) / 2**differing
    assert test[:2] == (only_first, only_second)
    assert test.p == pytest.approx(min(1, 2 * tail))
    assert test.better == better


def test_mcnemar_needs_the_same_images():
    with mentioning(InputError, "same images"):
        mcnemar(scores_with([0, 1], [0, 1]), scores_with([1, 0], [0, 1]))
    # The order of the columns does not matter.
    swapped = scores_with([1, 0], [1, 0], classes=("b", "a"))
    assert mcnemar(scores_with([0, 1], [0, 1], classes="ab"), swapped).p == 1


@pytest.mark.parametrize(
    ("right", "beaten", "parts"),
    [
        # 40 of 60 images are of class a. The model knows all of these, and some of the others.
        (60, True, ["100.00%", "60 images;", "always saying 'a' is correct for 66.67%"]),
        (44, False, ["73.33%", "not shown to be better", "p = 0.12", "'a'", "66.67%"]),
        (40, False, ["66.67%", "no better than the most frequent class", "'a'", "66.67%"]),
        (30, False, ["50.00%", "no better"]),
    ],
)
def test_the_majority_class(right, beaten, parts):
    labels = np.arange(60) // 40
    predictions = np.where(np.arange(60) < right, labels, 1 - labels)
    baseline = majority_baseline(Scores(("a", "b"), labels, np.eye(2, dtype="float32")[predictions]))
    assert baseline.beaten is beaten
    names(str(baseline), *parts)
    assert baseline.to_dict() == {"class": "a", "accuracy": 2 / 3, "p": baseline.test.p, "beaten": beaten}


def test_images_of_one_class_have_no_majority_baseline():
    assert majority_baseline(Scores(("a", "b"), np.zeros(3, int), np.eye(2, dtype="float32")[[0, 0, 1]])) is None
