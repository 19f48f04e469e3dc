"""Transfer to other classes: which images and arms, and what is said of accuracies and times."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.experiments import find, transfer
from kerascnn.experiments.runs import ArmRun
from kerascnn.experiments.transfer import Plan, curve, few, final, halves, name_of, results_of, sentences
from support.messages import mentioning, refused

TRANSFER = find("transfer")


def test_half_of_the_classes_are_for_pretraining(digits):
    source, target = halves(digits)
    assert (source.class_names, target.class_names) == (tuple("02468"), tuple("13579"))
    assert len(source.training) + len(target.training) == len(digits.training)
    for half, first in ((source, 0), (target, 1)):
        kept = digits.validation.labels[digits.validation.labels % 2 == first]
        np.testing.assert_array_equal(half.validation.labels, kept // 2)


def test_as_many_images_of_every_class_by_the_seed(few_digits):
    found = few(few_digits, 5, seed=3)
    assert np.bincount(found.training.labels).tolist() == [5] * 10
    assert found.validation is few_digits.validation
    again, other = few(few_digits, 5, seed=3), few(few_digits, 5, seed=4)
    np.testing.assert_array_equal(again.training.images, found.training.images)
    assert not np.array_equal(other.training.images, found.training.images)
    assert len(few(few_digits, 10_000, seed=0).training) == len(few_digits.training)


def test_what_cannot_be_transferred(few_digits, command, tmp_path):
    splits = [replace(part, labels=part.labels % 2) for part in (few_digits.training, few_digits.validation)]
    two = replace(few_digits, class_names=("even", "odd"), training=splits[0], validation=splits[1])
    with mentioning(InputError, "2 classes", "--weights"):
        halves(two)
    splits = [replace(part, labels=np.eye(10, dtype=np.uint8)[part.labels] | 1) for part in splits]
    several = replace(few_digits, training=splits[0], validation=splits[1])
    with mentioning(InputError, "several classes per image"):
        Plan(TRANSFER, TRANSFER.small, (0,), "imagenet", []).train(several, tmp_path, lambda text: None)
    found = command("experiment", "depth", "--weights", "imagenet", "--data", "digits", "--out", tmp_path)
    refused(found, "depth", "--weights")


@pytest.fixture
def trained(monkeypatch):
    """What would be trained: arms, folders, recipes and data."""
    seen = []

    def run_arm(arm, recipe, data, folder, **options):
        seen.append((arm, recipe, data, folder.name))
        return SimpleNamespace(folder=SimpleNamespace(path=folder))

    monkeypatch.setattr(transfer, "run_arm", run_arm)
    # Nothing is read of the weights of a run that is not there.
    monkeypatch.setattr(transfer, "with_weights", lambda recipe, weights: recipe.with_values(seed=recipe.seed))
    return seen


@pytest.mark.parametrize("weights", [None, "imagenet"])
def test_what_is_trained(weights, trained, digits, tmp_path):
    plan = Plan(TRANSFER, TRANSFER.small, (0, 1), weights, ["precision=float32"])
    plan.train(digits, tmp_path, lambda text: None)
    arms, recipes, data, _ = zip(*trained, strict=True)
    assert (arms[0].name == "source") is (weights is None)
    own = list(zip(arms, recipes, data, strict=True))[weights is None :]
    # The digits have fewer than 200 images of a class, so that only 50 of each are drawn.
    assert [arm.name for arm, *_ in own] == 2 * [
        f"{name}, 50 per class" for name in ("probe", "fine-tuned", "from scratch")
    ]
    classes = 10 if weights else 5
    assert all(len(part.training) == 50 * classes for _, _, part in own)
    assert [recipe.epochs for arm, recipe, _ in own if not arm.pretrained] == [40, 40]
    assert all(recipe.precision == "float32" for recipe in recipes)
    # Every arm of a seed gets the same images.
    np.testing.assert_array_equal(own[0][2].training.images, own[2][2].training.images)
    assert not np.array_equal(own[0][2].training.images, own[3][2].training.images)


def run_of(name, rows, preparation=0.0, images=50, seed=0):
    facts = {"validation_images": 400, "preparation_seconds": preparation}
    folder = SimpleNamespace(history=lambda: rows, read_recipe=lambda: (None, "", None, facts))
    arm = replace(TRANSFER.arms[1], name=name_of(replace(TRANSFER.arms[1], name=name), images))
    return ArmRun(arm, SimpleNamespace(seed=seed), folder)


def row(accuracy, seconds, **more):
    return {"val_top1": accuracy, "seconds": seconds, **more}


TUNED = [row(0.8, 2.0, exported=0), row(0.7, 4.0, exported=0), row(0.84, 4.0, exported=1), row(0.9, 4.0, exported=0)]
SCRATCH = [row(0.3, 3.0), row(0.5, 3.0)]


def test_accuracies_by_seconds():
    tuned = run_of("fine-tuned", TUNED, preparation=10.0)
    # The probe's 2 s, then 10 s of preparation and 4 s of each epoch.
    assert curve(tuned) == [(2.0, 0.8), (16.0, 0.7), (20.0, 0.84), (24.0, 0.9)]
    assert (final(tuned), final(run_of("from scratch", SCRATCH))) == (0.84, 0.5)


def test_what_is_said_of_the_medians():
    runs = [run_of("probe", [row(value, 2.0)]) for value in (0.70, 0.81, 0.82)]
    runs += [run_of("fine-tuned", TUNED, preparation=10.0), run_of("from scratch", SCRATCH)]
    results = results_of(TRANSFER, runs)
    assert [(one.arm, one.images, one.accuracy, one.seconds) for one in results] == [
        ("probe", 50, 0.81, 2.0), ("fine-tuned", 50, 0.84, 24.0), ("from scratch", 50, 0.5, 6.0),
    ]  # fmt: skip
    # Wilson's interval of 324 of 400.
    assert results[0].interval[2:] == pytest.approx((0.7687, 0.8454), abs=1e-4)
    share, beside, scratch = sentences(results)
    assert "96.4% of the fine-tuned accuracy after 8.3% of its time" in share and "is reached" in share
    assert "+3.0%" in beside and "not below" in beside
    assert "probe +31.0%" in scratch and "fine-tuned +34.0%" in scratch


def test_an_arm_that_diverged_is_said():
    runs = [run_of("probe", [row(0.8, 2.0)]), replace(run_of("from scratch", []), diverged="the loss is nan")]
    [said] = sentences(results_of(TRANSFER, [*runs, run_of("fine-tuned", TUNED)]))
    assert "50 per class" in said and "from scratch diverged" in said


def test_a_figure_of_every_size():
    runs = [run_of("probe", [row(0.8, 2.0)], images=images) for images in (50, 200)]
    figure = transfer.figure_of(TRANSFER, [*runs, run_of("from scratch", SCRATCH)], "digits")
    assert [axes.get_title() for axes in figure.axes] == ["50 images per class", "200 images per class"]
    [scratch] = [line for line in figure.axes[0].lines if line.get_label() == "from scratch"]
    np.testing.assert_allclose(scratch.get_xydata(), [[3, 30], [6, 50]])
