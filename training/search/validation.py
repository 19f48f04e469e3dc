"""Checks before any trial starts: can the networks be built, and does any trial satisfy the space?"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import keras

from kerascnn.applications import registry
from kerascnn.complexity.analysis import analyze, without_values
from kerascnn.errors import InputError, closest
from kerascnn.training.assembly import MAIN
from kerascnn.training.multi_label import MULTI_LABEL
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.search.folder import Objective
from kerascnn.training.search.space import Space, label

SAMPLES = 32  # Random combinations: with 32, a value that is valid in one case of ten is hardly missed
METRIC_ALIASES = {"accuracy": "top1"}  # Keras' usual name of the metric that is top1 here


class DryBuild(NamedTuple):
    """The names of a network's classifiers, None if there is one; parameters and multiply-adds for inference."""

    outputs: tuple[str, ...] | None
    parameters: int
    macs: int


def dry_build(recipe: Recipe, classes: int) -> DryBuild:
    """Builds the recipe's network without weights; InputError if the builder rejects an argument or the image size."""
    info = registry.info(recipe.model)
    shape = replace(recipe, image_size=recipe.image_size or info.input_size).image_shape
    arguments: dict[str, Any] = {"input_shape": shape, "classes": classes, **recipe.model_arguments}
    if info.aux_heads:
        arguments.setdefault("aux_heads", recipe.auxiliary_heads.use)

    def build() -> DryBuild:
        model = registry.create(recipe.model, **arguments)
        several = isinstance(model.output, dict)
        totals = analyze(keras.Model(model.input, model.output[MAIN]) if several else model).totals
        return DryBuild(tuple(model.output) if several else None, totals.parameters, totals.macs)

    return without_values(build)


def objective_for(recipe: Recipe, classes: int, name: str | None = None) -> Objective:
    """The objective of a name such as "val_loss"; by default the main classifier's accuracy on the held-out images.

    If the recipe's task is multi-label, the default is its mAP. "accuracy" means top1. Losses are minimized, all other
    metrics maximized. Raises InputError if training does not report it.
    """
    outputs = dry_build(recipe, classes).outputs
    multi_label = recipe.task == MULTI_LABEL
    metrics = ["loss", *(["microf1", "macrof1"] if multi_label else ["top1", "top5"] if classes > 5 else ["top1"])]
    if outputs:
        metrics = ["loss", *(f"{output}_{metric}" for output in outputs for metric in metrics)]
    main = f"{MAIN}_" if outputs else ""
    reported = [*metrics, *(f"val_{metric}" for metric in metrics), *([f"val_{main}map"] if multi_label else [])]
    name = name or f"val_{main}{'map' if multi_label else 'top1'}"
    head, underscore, last = name.rpartition("_")
    known = f"{head}{underscore}{METRIC_ALIASES.get(last, last)}"
    if known not in reported:
        raise InputError(f"training {recipe.model} does not report '{name}'; {closest(name, reported)}")
    return Objective(known, "min" if last == "loss" else "max")


def check_space(space: Space, base: Recipe, classes: int) -> None:
    """Raises InputError if no trial satisfies the space, or none is valid with one of its values, with a reason."""
    combinations, recipes, errors = list(_combinations(space)), [], []
    for values in combinations:
        try:
            recipes.append(space.recipe(base, values))
            errors.append(None)
        except InputError as error:
            errors.append(str(error).removeprefix("the space: "))
    if all(errors):
        raise InputError(
            f"no trial satisfies the space: all {len(errors)} sampled combinations are invalid, "
            f"the first because {errors[0]}"
        )
    for parameter in space.parameters:
        for value in parameter.domain.boundary_values():
            shown = parameter.domain.to_oracle(value)
            pairs = zip(combinations, errors, strict=True)
            found = [error for values, error in pairs if values.get(parameter.name) == shown]
            if found and all(found):
                raise InputError(f"no trial satisfies the space if {parameter.field} is {label(value)}: {found[0]}")
    shapes = ((one.image_size, one.channels, one.auxiliary_heads.use) for one in recipes)
    networks = {repr((one.model, one.model_arguments, shape)): one for one, shape in zip(recipes, shapes, strict=True)}
    failures = []
    for recipe in networks.values():
        try:
            dry_build(recipe, classes)
        except InputError as error:
            failures.append(str(error))
    if len(failures) == len(networks):
        raise InputError(f"no trial satisfies the space: {failures[0]}")


def _combinations(space: Space) -> Iterator[dict[str, Any]]:
    """Oracle values: every boundary value of every parameter, then random ones."""
    chance = random.Random(0)
    for parameter in space.parameters:
        for value in parameter.domain.boundary_values():
            yield _sample(space, chance, {**dict(parameter.conditions), parameter.name: value})
    for _ in range(SAMPLES):
        yield _sample(space, chance, {})


def _sample(space: Space, chance: random.Random, given: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for parameter in space.parameters:
        if parameter.applies(options):
            name = parameter.name
            options[name] = given[name] if name in given else parameter.domain.sample(chance)
    return {one.name: one.domain.to_oracle(options[one.name]) for one in space.parameters if one.name in options}
