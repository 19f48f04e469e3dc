"""Metrics of multi-label scores, by counts worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.evaluation.multi_label import best_threshold, by_label, constant_baseline, most_wrong_labels, summary
from kerascnn.evaluation.scores import MultiLabelScores
from kerascnn.evaluation.study import ensemble
from support.messages import mentioning

# By the threshold 0.5: "fog" is right twice and wrong once, "sea" right once and missed once; "sun" is on no image.
LABELS = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], np.uint8)
PROBABILITIES = np.array([[0.9, 0.8, 0.1], [0.6, 0.1, 0.1], [0.7, 0.4, 0.1], [0.2, 0.2, 0.1]], np.float32)
SCORES = MultiLabelScores(("fog", "sea", "sun"), LABELS, PROBABILITIES, 0.5)


def test_metrics_of_every_class():
    fog, sea, sun = by_label(SCORES)
    assert fog[:3] == ("fog", 2, 3) and sea[:3] == ("sea", 2, 1) and sun[:3] == ("sun", 0, 0)
    # "fog" at the ranks 1 and 3.
    assert fog[3:] == pytest.approx(((1 + 2 / 3) / 2, 2 / 3, 1, 4 / 5))
    assert sea[3:] == pytest.approx((1, 1, 1 / 2, 2 / 3))
    assert (sun.average_precision, sun.precision, sun.recall) == (None, None, None)


def test_metrics_over_all_classes():
    found = summary(SCORES)
    assert found.map == pytest.approx((5 / 6 + 1) / 2)
    # 3 of 4 predicted labels are right, and 3 of 4 labels are predicted.
    assert (found.micro_precision, found.micro_recall, found.micro_f1) == pytest.approx((3 / 4, 3 / 4, 3 / 4))
    assert found.macro_f1 == pytest.approx((4 / 5 + 2 / 3 + 0) / 3)


def test_the_threshold_does_not_change_the_map():
    lower = replace(SCORES, threshold=0.3)
    assert summary(lower).map == summary(SCORES).map
    assert summary(lower).micro_recall == 1
    # From 0.4 on, one of five predictions is wrong: F1 is 2 * 4/5 / (4/5 + 1).
    assert best_threshold(SCORES) == pytest.approx((0.3, 8 / 9), abs=1e-4)
    assert summary(replace(SCORES, threshold=best_threshold(SCORES).threshold)).micro_f1 == pytest.approx(8 / 9)


def test_mistakes_begin_with_the_most_certain():
    assert most_wrong_labels(SCORES) == [(2, 0), (2, 1)]
    assert SCORES.names_of(SCORES.labels[0]) == ["fog", "sea"]


def test_the_baseline_is_the_same_for_every_image():
    found = constant_baseline(SCORES)
    assert found.constant_map == pytest.approx(1 / 2)
    assert found.beaten and "50.00%" in str(found)
    worse = constant_baseline(replace(SCORES, probabilities=1 - PROBABILITIES))
    assert not worse.beaten and "no better" in str(worse)


def test_models_are_averaged_by_the_names_of_their_classes():
    order = [2, 0, 1]
    other = MultiLabelScores(("sun", "fog", "sea"), LABELS[:, order], PROBABILITIES[:, order] / 2, 0.5)
    np.testing.assert_allclose(ensemble([SCORES, other]).probabilities, PROBABILITIES * 0.75)
    with mentioning(InputError, "different images"):
        ensemble([SCORES, replace(SCORES, labels=LABELS[::-1])])
