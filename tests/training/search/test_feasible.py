"""What is found out before any trial starts."""

import pytest

from kerascnn.errors import InputError
from kerascnn.training import Recipe
from kerascnn.training.search import feasible
from kerascnn.training.search.drafts import draft
from kerascnn.training.search.objective import Objective, objective_for
from kerascnn.training.search.space import Space
from support.messages import mentioning

RESNET = Recipe.for_model("resnet20")


@pytest.fixture(autouse=True)
def few_draws(shallow, monkeypatch):
    """Enough to have every value, and each with every other, of the small spaces below."""
    monkeypatch.setattr(feasible, "DRAWS", 4)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        # A plateau has no warm-up, and the recipe has one.
        ({"schedule.name": "plateau"}, ("no trial", "all", "'plateau'", "warm-up")),
        ({"schedule.name": "cosine|plateau"}, ("no trial", "schedule.name is plateau", "warm-up")),
        ({"optimizer.name": "sgd|adamm"}, ("no trial", "optimizer.name is adamm")),
        ({"label_smoothing": "0..1"}, ("no trial", "label_smoothing is 1.0")),
        ({"model.shortcut": "D|E"}, ("no trial", "shortcut", "'D'")),
        ({"image_size": "2|3"}, ("no trial", "ResNet20", "4 x 4")),
    ],
)
def test_a_space_that_no_trial_satisfies(values, parts):
    with mentioning(InputError, *parts):
        feasible.check_space(Space.from_dict(values, RESNET), RESNET, 10)


def test_a_space_that_some_trials_satisfy():
    space = {"schedule.name": {"cosine": None, "plateau": {"schedule.warmup_epochs": 0}}, "model.shortcut": "A|B"}
    feasible.check_space(Space.from_dict(space, RESNET), RESNET, 10)


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


def test_what_a_network_costs(monkeypatch):
    """ResNet-20: 0.27 million parameters, He et al.'s table 6, and without auxiliary heads GoogLeNet's 7 million."""
    monkeypatch.undo()
    assert draft(RESNET, 10).parameters == pytest.approx(0.27e6, rel=0.02)
    assert draft(Recipe.for_model("googlenet"), 1000).parameters == pytest.approx(7.0e6, rel=0.02)
