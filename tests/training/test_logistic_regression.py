"""The classifier of a probe: the same as scikit-learn's, cross-validated without leaks, calibrated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from kerascnn.training.fine_tuning import logistic_regression
from kerascnn.training.fine_tuning.logistic_regression import (
    PENALTIES,
    Problem,
    calibrated_loss,
    cross_validated,
    fit_head,
)


def clusters(images: int, width: int, classes: int, distance: float, seed: int = 0):
    """Features of one normal distribution per class, of different scales and offsets, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    centers = distance * rng.normal(size=(classes, width))
    scales = rng.uniform(0.1, 20, width)
    return ((centers[labels] + rng.normal(size=(images, width))) * scales + 5).astype(np.float32), labels


@pytest.mark.parametrize(
    ("images", "width", "classes", "penalty"), [(300, 20, 3, 0.01), (60, 200, 3, 0.01), (400, 60, 12, 1.0)]
)
@pytest.mark.parametrize("rotated", [True, False])
def test_a_classifier_is_scikit_learns(images, width, classes, penalty, rotated, monkeypatch):
    """Of fewer images than features, too, and where it takes too long to rotate them to their principal axes."""
    if not rotated:
        monkeypatch.setattr(logistic_regression, "MOST_ROTATED", 1)
    features, labels = clusters(images, width, classes, 0.2)
    head = fit_head(Problem(features, labels, classes), penalty)
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    theirs = LogisticRegression(C=penalty, tol=1e-8, max_iter=5000).fit(scaled, labels).predict_proba(scaled)
    np.testing.assert_allclose(softmax(features @ head.kernel + head.bias, axis=1), theirs, atol=2e-3)


def test_few_steps_solve_features_that_depend_on_each_other(monkeypatch):
    """Mixtures of which few differ much from the mean of all, as a network's: L-BFGS then needs many steps."""
    features, labels = clusters(600, 100, 10, 0.3)
    mixing = np.random.default_rng(1).normal(size=(100, 100)) * np.geomspace(1, 1e-3, 100)[:, None]
    problem = Problem((features @ mixing).astype(np.float32), labels, 10)
    steps, minimize = [], logistic_regression.minimize

    def counting(*arguments, **options):
        found = minimize(*arguments, **options)
        steps.append(found.nfev)
        return found

    monkeypatch.setattr(logistic_regression, "minimize", counting)
    fit_head(problem, 1.0)
    monkeypatch.setattr(logistic_regression, "MOST_ROTATED", 1)
    fit_head(problem, 1.0)
    assert steps[0] < steps[1] / 2


@pytest.mark.parametrize("distance", [0.02, 0.15, 0.5])
def test_the_penalty_is_the_best_of_all(distance):
    """From every guess the search ends at the least held-out loss."""
    features, labels = clusters(200, 30, 2, distance)
    problem = Problem(features, labels, 2)
    found = [cross_validated(problem, guess) for guess in PENALTIES[::4]]
    losses = [one.loss for one in found]
    np.testing.assert_allclose(losses, min(losses), rtol=2e-3)


def test_a_calibrated_loss():
    """It is the same however sure a model is, that of guessing without knowledge, and little where all are right."""
    rng = np.random.default_rng(0)
    labels, logits = np.arange(200) % 4, rng.normal(size=(200, 4))
    logits[np.arange(200), labels] += 1.5
    sure, unsure = (calibrated_loss(labels, softmax(logits * scale, axis=1)) for scale in (3.0, 0.1))
    assert sure == pytest.approx(unsure, rel=1e-3) and 0.3 < sure < np.log(4)
    assert calibrated_loss(labels, softmax(rng.normal(size=(200, 4)), axis=1)) == pytest.approx(np.log(4), abs=0.03)
    assert calibrated_loss(labels, np.eye(4, dtype=np.float32)[labels]) < 0.1
    tags = np.stack([labels > 1, labels == 0], axis=1).astype(np.uint8)
    assert calibrated_loss(tags, np.full((200, 2), 0.5)) == pytest.approx(np.log(4), abs=1e-3)
    assert calibrated_loss(tags, tags.astype(np.float32)) < 0.1


def test_of_many_labels_each_is_scikit_learns():
    features, first = clusters(200, 10, 2, 0.3)
    labels = np.stack([first, np.arange(200) % 5 == 0], axis=1).astype(np.uint8)
    head = fit_head(Problem(features, labels, 2), penalty=0.05)
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    for column, probabilities in enumerate(expit(features @ head.kernel + head.bias).T):
        theirs = LogisticRegression(C=0.05, tol=1e-8, max_iter=5000).fit(scaled, labels[:, column])
        np.testing.assert_allclose(probabilities, theirs.predict_proba(scaled)[:, 1], atol=2e-3)


def test_weights_count_as_repeated_images():
    features, labels = clusters(90, 5, 3, 0.5)
    weights = np.where(labels == 0, 2.0, 1.0)[:, None]
    rows = np.concatenate([np.arange(90), np.flatnonzero(labels == 0)])
    # The same scaling for both: it is of the images, not of their weights.
    features = np.concatenate([features, features[labels > 0][:0]])
    features = (features - features[rows].mean(axis=0)) / features[rows].std(axis=0)
    repeated = fit_head(Problem(features[rows].astype(np.float32), labels[rows], 3), penalty=0.1)
    weighted = fit_head(Problem(features.astype(np.float32), labels, 3, weights=weights), penalty=0.1)
    outputs = [softmax(features @ head.kernel + head.bias, axis=1) for head in (repeated, weighted)]
    np.testing.assert_allclose(*outputs, atol=0.03)
    unweighted = fit_head(Problem(features.astype(np.float32), labels, 3), penalty=0.1)
    assert outputs[1][:, 0].mean() > softmax(features @ unweighted.kernel + unweighted.bias, axis=1)[:, 0].mean() + 0.03


def test_cross_validation_expects_what_new_images_show():
    features, labels = clusters(2000, 30, 2, 0.15)
    found = cross_validated(Problem(features[:400], labels[:400], 2))
    head = fit_head(Problem(features[:400], labels[:400], 2), found.penalty, found.temperature)
    probabilities = softmax(features[400:] @ head.kernel + head.bias, axis=1)
    accuracy = (probabilities.argmax(axis=1) == labels[400:]).mean()
    assert found.standard_error == pytest.approx(np.sqrt(found.accuracy * (1 - found.accuracy) / 400))
    assert abs(found.accuracy - accuracy) < 3 * found.standard_error
    # Calibrated: the mean probability of the predicted class is the share of right predictions.
    assert abs(probabilities.max(axis=1).mean() - accuracy) < 0.03


def test_what_is_always_right_is_not_certain():
    """Forty images do not show that one of a hundred is not wrong."""
    features, labels = clusters(40, 4, 2, 8.0)
    problem = Problem(features, labels, 2)
    found = cross_validated(problem)
    head = fit_head(problem, found.penalty, found.temperature)
    assert found.accuracy == 1
    assert 0.9 < softmax(features @ head.kernel + head.bias, axis=1).max(axis=1).mean() < 0.995


def test_images_of_a_group_are_held_out_together():
    """Noise that is the same for all images of a group tells its label to whoever knows the others."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 4)
    labels, features = rng.integers(0, 2, 40)[groups], rng.normal(size=(40, 300))[groups].astype(np.float32)
    assert cross_validated(Problem(features, labels, 2)).accuracy == 1
    assert cross_validated(Problem(features, labels, 2, groups)).accuracy < 0.8
    tags = np.eye(2, dtype=np.uint8)[labels]
    assert cross_validated(Problem(features, tags, 2)).accuracy == 1
    assert cross_validated(Problem(features, tags, 2, groups)).accuracy < 0.8


def test_few_images():
    """A class of one image, a class of none, a feature that is always the same, and images too few to hold out."""
    features, labels = clusters(21, 6, 2, 3.0)
    labels[0] = 2
    features[:, 0] = 7
    problem = Problem(features, labels, 4)
    found = cross_validated(problem)
    assert found.accuracy >= 0.9
    head = fit_head(problem, found.penalty)
    assert not head.kernel[0].any()
    assert np.isfinite(head.kernel).all()
    outputs = softmax(features @ head.kernel + head.bias, axis=1)
    assert outputs[:, 3].max() < 0.05
    assert np.isnan(cross_validated(Problem(features[:2], labels[1:3], 2)).accuracy)
