"""What is found out before any trial starts."""

import pytest

from kerascnn.errors import InputError
from kerascnn.training import Recipe
from kerascnn.training.search.drafts import draft
from kerascnn.training.search.feasible import check_space
from kerascnn.training.search.objective import Objective, objective_for
from kerascnn.training.search.space import Space

RESNET = Recipe.for_model("resnet20")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        # A plateau has no warm-up, and the recipe has one.
        pytest.param({"schedule.name": "plateau"}, "no trial satisfies the space: all", marks=pytest.mark.slow),
        ({"schedule.name": "cosine|plateau"}, "where schedule.name is plateau: schedule 'plateau' has no warm-up"),
        pytest.param({"optimizer.name": "sgd|adamm"}, "where optimizer.name is adamm: ", marks=pytest.mark.slow),
        pytest.param({"label_smoothing": "0..1"}, "where label_smoothing is 1.0: ", marks=pytest.mark.slow),
        ({"model.shortcut": "D|E"}, "no trial satisfies the space: "),
        pytest.param({"image_size": "2|3"}, "ResNet20 needs images of at least 4 x 4", marks=pytest.mark.slow),
    ],
)
def test_a_space_that_no_trial_satisfies(values, sentence):
    with pytest.raises(InputError) as raised:
        check_space(Space.from_dict(values, RESNET), RESNET, 10)
    assert sentence in str(raised.value)


def test_a_space_that_some_trials_satisfy():
    space = {"schedule.name": {"cosine": None, "plateau": {"schedule.warmup_epochs": 0}}, "model.shortcut": "A|B"}
    check_space(Space.from_dict(space, RESNET), RESNET, 10)


def test_objectives():
    googlenet = Recipe.for_model("googlenet")
    assert objective_for(RESNET, 10) == Objective("val_top1", "max")
    assert objective_for(googlenet, 10) == Objective("val_main_top1", "max")
    assert objective_for(googlenet, 10, "val_main_accuracy") == Objective("val_main_top1", "max")
    assert objective_for(googlenet, 10, "val_aux_4a_loss") == Objective("val_aux_4a_loss", "min")
    with pytest.raises(InputError, match="resnet20 does not report 'val_main_top1'; did you mean val_top1"):
        objective_for(RESNET, 10, "val_main_top1")
    with pytest.raises(InputError, match="does not report 'val_top5'"):
        objective_for(RESNET, 5, "val_top5")


def test_what_a_network_costs():
    """ResNet-20: 0.27 million parameters, He et al.'s table 6, and without auxiliary heads GoogLeNet's 7 million."""
    assert draft(RESNET, 10).parameters == pytest.approx(0.27e6, rel=0.02)
    assert draft(Recipe.for_model("googlenet"), 1000).parameters == pytest.approx(7.0e6, rel=0.02)
