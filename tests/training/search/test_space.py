"""Spaces as data, and the error messages of invalid ones."""

from collections import Counter
from dataclasses import replace

import pytest
import yaml

from kerascnn.applications import registry
from kerascnn.errors import InputError
from kerascnn.training import Recipe
from kerascnn.training.search.space import SearchChoice, SearchRange, Space, parse_domain, value_in
from support.messages import mentioning

RESNET = Recipe.for_model("resnet20")


@pytest.mark.parametrize(
    ("text", "integer", "expected"),
    [
        # YAML 1.1 reads 1e-4 as text.
        ("{min: 1e-4, max: 1e-1, sampling: log}", False, SearchRange(1e-4, 0.1, sampling="log")),
        ("{min: 0, max: 0.4}", False, SearchRange(0.0, 0.4)),
        ("{min: -1.5, max: .5, sampling: linear, step: 0.25}", False, SearchRange(-1.5, 0.5, step=0.25)),
        ("{min: 5, max: 20}", True, SearchRange(5, 20, integer=True)),
        ("{max: 256, min: 16, sampling: log, step: 2}", True, SearchRange(16, 256, "log", step=2, integer=True)),
        ("{values: [A, B, C]}", False, SearchChoice(("A", "B", "C"))),
        ("{values: [32, 64]}", True, SearchChoice((32, 64))),
        ("{values: [1e-3, 0.5, null, true]}", False, SearchChoice((1e-3, 0.5, None, True))),
        ("{values: [[30, 60], [40, 80]]}", False, SearchChoice(([30, 60], [40, 80]))),
        ("{values: [7]}", True, SearchChoice((7,))),
        ("{values: {sgd: , adam: }}", False, SearchChoice(("sgd", "adam"))),
    ],
)
def test_domains(text, integer, expected):
    assert parse_domain(yaml.safe_load(text), "field", integer) == expected


def test_positions_of_numbers():
    decades = SearchRange(1e-4, 1e-2, sampling="log")
    assert [decades.from_unit(position) for position in (0, 0.5, 1)] == pytest.approx([1e-4, 1e-3, 1e-2])
    assert decades.to_unit(1e-3) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("spec", "inside", "outside"),
    [
        ({"min": 0.1, "max": 0.9, "step": 0.2}, 0.5, 0.4),
        ({"min": 1, "max": 8, "sampling": "log", "step": 2}, 4, 3),
        ({"min": 1, "max": 4}, 3, 5),
    ],
)
def test_numbers_of_a_range(spec, inside, outside):
    found = parse_domain(spec, "optimizer.momentum", integer=False)
    assert found.contains(inside) and not found.contains(outside) and not found.contains(True)
    steps = SearchRange(0.0, 1.0, step=0.25)
    assert steps.contains(0.75) and not steps.contains(0.7) and not steps.contains(1.25)


def test_values_of_keras_tuner_give_the_right_recipe():
    space = Space.from_dict(
        {
            "model.shortcut": {"values": ["A", "B", "C"]},
            "augment.mixup": {"min": 0, "max": 0.4},
            "optimizer.clip_norm": {"values": [None, 1.0]},
            "augmentation.flip": {"values": [True, False]},
            "schedule.milestones": {"values": [[1, 2], [3, 4]]},
            "epochs": {"min": 5, "max": 20},
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
    # All other fields are unchanged.
    unchanged = {"model_arguments", "augmentation", "optimizer", "schedule", "epochs"}
    assert all(value == RESNET.to_dict()[name] for name, value in recipe.to_dict().items() if name not in unchanged)
    assert space.values(recipe) == values


CONDITIONAL = {
    "optimizer.name": {
        "values": {
            "sgd": {
                "optimizer.momentum": {"min": 0.8, "max": 0.99},
                "optimizer.learning_rate": {"min": 1e-2, "max": 1, "sampling": "log"},
            },
            "adam": {"optimizer.learning_rate": {"min": 1e-4, "max": 1e-2, "sampling": "log"}},
            "rmsprop": None,
        }
    }
}


def test_conditional_choices(config_of):
    from kerascnn.training.search.oracles import make_oracle

    space = Space.from_dict(CONDITIONAL, RESNET)
    oracle = make_oracle(config_of(CONDITIONAL, tuner="random"))
    oracle.accepts, oracle.initial = (lambda values: True), []
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
def test_the_default_space_of_every_network_contains_its_default_recipe(model):
    recipe = Recipe.for_model(model)
    space = Space.for_recipe(recipe)
    assert space.values(recipe) or recipe.optimizer.base_batch_size is None
    found = {one.field: one.domain for one in space.parameters}
    assert found["optimizer.learning_rate"].contains(recipe.optimizer.learning_rate)


@pytest.mark.parametrize(
    ("model", "field", "paper"),
    [("resnet50", "stride_in", "1x1"), ("vgg11", "batch_norm", False), ("inceptionv3", "variant", "released")],
)
def test_options_that_weights_may_set_have_the_papers_values(model, field, paper):
    recipe = Recipe.for_model(model)
    assert value_in(recipe, f"model.{field}") == paper
    assert value_in(recipe.with_values(model_arguments={field: "other"}), f"model.{field}") == "other"


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"optimizer.learning_rat": {"min": 0, "max": 1}}, ("'optimizer.learning_rat'", "'optimizer.learning_rate'")),
        ({"model.shortcuts": {"values": ["A", "B"]}}, ("'model.shortcuts'", "'model.shortcut'")),
        ({"about.paper": {"values": ["a", "b"]}}, ("'about.paper'",)),
        ({"label_smoothing": {"min": 0.4, "max": 0.1}}, ("label_smoothing", "min", "0.4", "max", "0.1", "empty")),
        (
            {"optimizer.weight_decay": {"min": 0, "max": 1, "sampling": "log"}},
            ("optimizer.weight_decay", "log", "above 0"),
        ),
        ({"batch_size": {"min": 0.5, "max": 8}}, ("batch_size", "min", "whole number", "0.5")),
        ({"label_smoothing": {"min": 0, "max": 0.1, "steps": 3}}, ("label_smoothing", "'steps'", "did you mean step?")),
        ({"label_smoothing": {"min": 0}}, ("label_smoothing", "max is missing", "{min: 0.001, max: 0.1")),
        ({"label_smoothing": {"min": 0, "max": "much"}}, ("label_smoothing", "max", "a number", "'much'")),
        ({"label_smoothing": {"min": 0, "max": True}}, ("label_smoothing", "max", "a number", "'true'")),
        ({"label_smoothing": {"min": 0, "max": float("inf")}}, ("label_smoothing", "max", "a number")),
        ({"label_smoothing": {"min": 0, "max": 0.1, "step": 0}}, ("label_smoothing", "step", "above 0")),
        (
            {"batch_size": {"min": 8, "max": 64, "sampling": "log", "step": 1}},
            ("batch_size", "step", "above 1", "log"),
        ),
        (
            {"label_smoothing": {"min": 0, "max": 0.1, "sampling": "lgo"}},
            ("label_smoothing", "sampling", "'lgo'", "did you mean log?"),
        ),
        ({"label_smoothing": {"min": 0, "max": 1, "values": [0, 1]}}, ("label_smoothing", "values", "combined")),
        ({"label_smoothing": "0..0.1"}, ("label_smoothing", "'0..0.1'", "range", "choice", "{min: 0.001")),
        ({"model.shortcut": ["A", "B"]}, ("model.shortcut", '\'["A", "B"]\'', "{values: [A, B, C]}")),
        ({"model.shortcut": {"values": "A"}}, ("model.shortcut", "values", "list", "'A'")),
        ({"model.shortcut": {"values": ["A", "A"]}}, ("model.shortcut", "'A'", "twice")),
        ({"model.shortcut": {"values": []}}, ("model.shortcut", "values", "empty")),
        ({}, ("space", "empty")),
        ({"optimizer.name": {"values": {"sgd": 3}}}, ("optimizer.name", "'sgd'", "fields", "3")),
        ({"optimizer.name": {"sgd": None}}, ("optimizer.name", "'sgd'", "values")),
        (
            {
                "optimizer.momentum": {"min": 0.8, "max": 0.9},
                "optimizer.name": {"values": {"sgd": {"optimizer.momentum": {"values": [0.1, 0.2]}}}},
            },
            ("optimizer.momentum", "twice"),
        ),
    ],
)
def test_mistakes(values, parts):
    with mentioning(InputError, *parts):
        Space.from_dict(values, RESNET)


@pytest.mark.parametrize("model", registry.UNLISTED)
def test_a_network_without_a_default_space(model):
    with mentioning(InputError, model, "--space"):
        Space.for_recipe(Recipe.for_model(model))


def test_pretrained_weights_fix_the_architecture():
    fields = [parameter.field for parameter in Space.for_recipe(RESNET).parameters]
    assert "model.shortcut" in fields
    tuned = replace(RESNET, fine_tuning=replace(RESNET.fine_tuning, weights="resnet20.keras"))
    assert [parameter.field for parameter in Space.for_recipe(tuned).parameters] == [
        field for field in fields if not field.startswith("model.")
    ]
