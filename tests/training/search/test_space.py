"""Spaces as data, and the one sentence for each that cannot be searched."""

from collections import Counter
from dataclasses import replace

import pytest

from kerascnn.applications import registry
from kerascnn.errors import InputError
from kerascnn.training import Recipe
from kerascnn.training.search.domains import Choice, Range, domain
from kerascnn.training.search.space import Space
from support.messages import mentioning

RESNET = Recipe.for_model("resnet20")


@pytest.mark.parametrize(
    ("text", "whole", "expected"),
    [
        ("log 1e-4..1e-1", False, Range(1e-4, 0.1, log=True)),
        ("0..0.4", False, Range(0.0, 0.4)),
        ("-1.5 .. .5 step 0.25", False, Range(-1.5, 0.5, step=0.25)),
        ("5..20", True, Range(5, 20, whole=True)),
        ("log 16..256 step 2", True, Range(16, 256, log=True, step=2, whole=True)),
        ("A|B|C", False, Choice(("A", "B", "C"))),
        ("32|64", True, Choice((32, 64))),
        ("1e-3|0.5|null|true", False, Choice((1e-3, 0.5, None, True))),
        ([[30, 60], [40, 80]], False, Choice(([30, 60], [40, 80]))),
        (7, True, Choice((7,))),
    ],
)
def test_what_a_field_may_be(text, whole, expected):
    assert domain(text, "field", whole) == expected


def test_numbers_on_the_way():
    decades = Range(1e-4, 1e-2, log=True)
    assert [decades.at(share) for share in (0, 0.5, 1)] == pytest.approx([1e-4, 1e-3, 1e-2])
    assert decades.share(1e-3) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("text", "inside", "outside"), [("0.1..0.9 step 0.2", 0.5, 0.4), ("log 1..8 step 2", 4, 3), ("1..4", 3, 5)]
)
def test_numbers_of_a_range(text, inside, outside):
    found = domain(text, "optimizer.momentum", whole=False)
    assert found.holds(inside) and not found.holds(outside) and not found.holds(True)
    steps = Range(0.0, 1.0, step=0.25)
    assert steps.holds(0.75) and not steps.holds(0.7) and not steps.holds(1.25)


def test_every_combination_of_keras_tuner_becomes_the_recipe_that_it_means():
    space = Space.from_dict(
        {
            "model.shortcut": "A|B|C",
            "augment.mixup": "0..0.4",
            "optimizer.clip_norm": "null|1.0",
            "augmentation.flip": "true|false",
            "schedule.milestones": [[1, 2], [3, 4]],
            "epochs": "5..20",
        },
        RESNET,
    )
    values = space.hyperparameters().values
    values |= {
        "model.shortcut": "C",
        "augmentation.mixup": 0.3,
        "augmentation.flip": "false",
        "schedule.milestones": "[3, 4]",
    }
    recipe = space.recipe(RESNET, values)
    assert recipe.model_arguments == {"shortcut": "C"}
    assert (recipe.augmentation.mixup, recipe.augmentation.flip) == (0.3, False)
    assert (recipe.optimizer.clip_norm, recipe.schedule.milestones, recipe.epochs) == (None, [3, 4], 5)
    # All else is as it was.
    unchanged = {"model_arguments", "augmentation", "optimizer", "schedule", "epochs"}
    assert all(value == RESNET.to_dict()[name] for name, value in recipe.to_dict().items() if name not in unchanged)
    assert space.values(recipe) == values


CONDITIONAL = {
    "optimizer.name": {
        "sgd": {"optimizer.momentum": "0.8..0.99", "optimizer.learning_rate": "log 1e-2..1"},
        "adam": {"optimizer.learning_rate": "log 1e-4..1e-2"},
        "rmsprop": None,
    }
}


def test_conditional_choices():
    from kerascnn.training.search.objective import Objective
    from kerascnn.training.search.oracles import oracle_for

    space = Space.from_dict(CONDITIONAL, RESNET)
    oracle = oracle_for(
        "random",
        space.hyperparameters(),
        Objective("val_top1", "max"),
        max_trials=None,
        epochs=1,
        endless=False,
        seed=0,
    )
    oracle.accepts, oracle.first = (lambda values: True), []
    drawn = [space.fields(oracle._random_values()) for _ in range(60)]
    kinds = Counter(fields["optimizer.name"] for fields in drawn)
    assert set(kinds) == {"sgd", "adam", "rmsprop"}
    for fields in drawn:
        rate = fields.get("optimizer.learning_rate")
        assert ("optimizer.momentum" in fields) == (fields["optimizer.name"] == "sgd")
        if fields["optimizer.name"] == "sgd":
            assert 0.01 <= rate <= 1
        elif fields["optimizer.name"] == "adam":
            assert 1e-4 <= rate <= 0.01
        else:
            assert rate is None
    # The recipe's own values: SGD at 0.1, with momentum.
    assert space.fields(space.values(RESNET)) == {
        "optimizer.name": "sgd",
        "optimizer.momentum": 0.9,
        "optimizer.learning_rate": 0.1,
    }
    rmsprop = replace(RESNET, optimizer=replace(RESNET.optimizer, name="rmsprop"))
    assert space.values(rmsprop) == {"optimizer.name": "rmsprop"}


@pytest.mark.parametrize("model", registry.list_models())
def test_the_default_space_of_every_network_holds_its_default_recipe(model):
    recipe = Recipe.for_model(model)
    space = Space.for_recipe(recipe)
    assert space.values(recipe) or recipe.optimizer.base_batch_size is None
    found = {one.field: one.domain for one in space.parameters}
    assert found["optimizer.learning_rate"].holds(recipe.optimizer.learning_rate)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"optimizer.learning_rat": "0..1"}, ("'optimizer.learning_rat'", "'optimizer.learning_rate'")),
        ({"model.shortcuts": "A|B"}, ("'model.shortcuts'", "'model.shortcut'")),
        ({"about.paper": "a|b"}, ("'about.paper'",)),
        ({"label_smoothing": "0.4..0.1"}, ("label_smoothing", "'0.4..0.1'", "empty")),
        ({"optimizer.weight_decay": "log 0..1"}, ("optimizer.weight_decay", "log", "above 0")),
        ({"batch_size": "0.5..8"}, ("batch_size", "whole numbers")),
        ({"label_smoothing": "0..0.1 steps 3"}, ("label_smoothing", "'0..0.1 steps 3'")),
        ({"model.shortcut": "A||B"}, ("model.shortcut", "empty value")),
        ({"model.shortcut": "A|A"}, ("model.shortcut", "'A'", "twice")),
        ({"model.shortcut": []}, ("model.shortcut", "no values")),
        ({}, ("space", "empty")),
        ({"optimizer.name": {"sgd": 3}}, ("optimizer.name", "'sgd'", "fields", "3")),
        (
            {"optimizer.momentum": "0.8..0.9", "optimizer.name": {"sgd": {"optimizer.momentum": "0.1|0.2"}}},
            ("optimizer.momentum", "twice"),
        ),
    ],
)
def test_mistakes(values, parts):
    with mentioning(InputError, *parts):
        Space.from_dict(values, RESNET)


def test_weights_to_begin_with_leave_the_network_as_it_is():
    fields = [parameter.field for parameter in Space.for_recipe(RESNET).parameters]
    assert "model.shortcut" in fields
    tuned = replace(RESNET, fine_tuning=replace(RESNET.fine_tuning, weights="resnet20.keras"))
    assert [parameter.field for parameter in Space.for_recipe(tuned).parameters] == [
        field for field in fields if not field.startswith("model.")
    ]
