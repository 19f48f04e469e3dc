"""Checks before any trial starts."""

import pytest

from kerascnn.errors import InputError
from kerascnn.training import Recipe
from kerascnn.training.search import validation
from kerascnn.training.search.folder import Objective
from kerascnn.training.search.space import Space
from kerascnn.training.search.validation import dry_build, objective_for
from support.messages import mentioning

RESNET = Recipe.for_model("resnet20")


@pytest.fixture(autouse=True)
def few_samples(shallow, monkeypatch):
    """Enough for every combination of values in the small spaces below."""
    monkeypatch.setattr(validation, "SAMPLES", 4)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        # A plateau has no warm-up, and the recipe has one.
        ({"schedule.name": {"values": ["plateau"]}}, ("no trial", "all", "'plateau'", "warm-up")),
        ({"schedule.name": {"values": ["cosine", "plateau"]}}, ("no trial", "schedule.name is plateau", "warm-up")),
        ({"optimizer.name": {"values": ["sgd", "adamm"]}}, ("no trial", "optimizer.name is adamm")),
        ({"label_smoothing": {"min": 0, "max": 1}}, ("no trial", "label_smoothing is 1.0")),
        ({"model.shortcut": {"values": ["D", "E"]}}, ("no trial", "shortcut", "'D'")),
        ({"image_size": {"values": [2, 3]}}, ("no trial", "ResNet20", "4 x 4")),
    ],
)
def test_a_space_that_no_trial_satisfies(values, parts):
    with mentioning(InputError, *parts):
        validation.check_space(Space.from_dict(values, RESNET), RESNET, 10)


def test_a_space_that_some_trials_satisfy():
    space = {
        "schedule.name": {"values": {"cosine": None, "plateau": {"schedule.warmup_epochs": {"values": [0]}}}},
        "model.shortcut": {"values": ["A", "B"]},
    }
    validation.check_space(Space.from_dict(space, RESNET), RESNET, 10)


def test_objectives():
    googlenet = Recipe.for_model("googlenet")
    assert objective_for(RESNET, 10) == Objective("val_top1", "max")
    assert objective_for(googlenet, 10) == Objective("val_main_top1", "max")
    assert objective_for(googlenet, 10, "val_main_accuracy") == Objective("val_main_top1", "max")
    assert objective_for(googlenet, 10, "val_aux_4a_loss") == Objective("val_aux_4a_loss", "min")
    with mentioning(InputError, "resnet20", "'val_main_top1'", "did you mean val_top1"):
        objective_for(RESNET, 10, "val_main_top1")
    with mentioning(InputError, "resnet20", "'val_top5'"):
        objective_for(RESNET, 5, "val_top5")


def test_the_size_of_a_network(monkeypatch):
    """ResNet-20 has 0.27 million parameters (He et al., table 6), GoogLeNet without auxiliary heads 7 million."""
    monkeypatch.undo()
    assert dry_build(RESNET, 10).parameters == pytest.approx(0.27e6, rel=0.02)
    assert dry_build(Recipe.for_model("googlenet"), 1000).parameters == pytest.approx(7.0e6, rel=0.02)
