"""Whether a space has anything that can be trained, found out before any trial starts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from kerascnn.errors import InputError
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.search.domains import Choice, label
from kerascnn.training.search.drafts import draft
from kerascnn.training.search.space import Space

# Enough that what is right in one case of ten is hardly missed.
DRAWS = 32


def check_space(space: Space, base: Recipe, classes: int) -> None:
    """Refuses a space that no trial satisfies, and a value with which none does.

    Args:
        space: the space.
        base: the recipe whose fields it changes.
        classes: of the data.

    Raises:
        InputError: with the reason of the first refusal.
    """
    drawn = list(_combinations(space))
    refusals = [_refusal(space, base, values) for values in drawn]
    if all(refusals):
        raise InputError(
            f"no trial satisfies the space: all {len(drawn)} combinations drawn from it are refused, "
            f"the first because {_phrase(refusals[0])}"
        )
    for parameter in space.parameters:
        for end in parameter.domain.ends():
            shown = parameter.domain.shown(end) if isinstance(parameter.domain, Choice) else end
            having = [
                refusal for values, refusal in zip(drawn, refusals, strict=True) if values.get(parameter.name) == shown
            ]
            if having and all(having):
                raise InputError(
                    f"no trial satisfies the space where {parameter.field} is {label(end)}: {_phrase(having[0])}"
                )
    fitting = [values for values, refusal in zip(drawn, refusals, strict=True) if not refusal]
    _check_networks(space, base, classes, fitting)


def _check_networks(space: Space, base: Recipe, classes: int, fitting: list[dict[str, Any]]) -> None:
    """Builds every network of the combinations."""
    refused, networks = [], {}
    for values in fitting:
        recipe = space.recipe(base, values)
        key = repr((recipe.model, recipe.model_arguments, recipe.image_size, recipe.auxiliary_heads.use))
        networks.setdefault(key, recipe)
    for recipe in networks.values():
        try:
            draft(recipe, classes)
        except InputError as error:
            refused.append(str(error))
    if len(refused) == len(networks):
        raise InputError(f"no trial satisfies the space: {_phrase(refused[0])}")


def _refusal(space: Space, base: Recipe, values: dict[str, Any]) -> str | None:
    try:
        space.recipe(base, values)
    except InputError as error:
        return str(error)
    return None


def _phrase(sentence: str) -> str:
    """What is wrong, without the name of who says so."""
    return sentence.removeprefix("the space: ")


def _combinations(space: Space) -> Iterator[dict[str, Any]]:
    """Values by the oracle's names: every end of every parameter, then others by chance."""
    chance = random.Random(0)
    for parameter in space.parameters:
        for end in parameter.domain.ends():
            yield _drawn(space, chance, {**dict(parameter.conditions), parameter.name: end})
    for _ in range(DRAWS):
        yield _drawn(space, chance, {})


def _drawn(space: Space, chance: random.Random, given: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for parameter in space.parameters:
        if any(
            parent not in options or label(options[parent]) != label(option) for parent, option in parameter.conditions
        ):
            continue
        found = parameter.domain
        if isinstance(found, Choice):
            option = given[parameter.name] if parameter.name in given else chance.choice(found.options)
            options[parameter.name], values[parameter.name] = option, found.shown(option)
        else:
            values[parameter.name] = given.get(parameter.name, found.at(chance.random()))
    return values
