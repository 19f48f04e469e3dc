"""What can be searched: the fields of a recipe and the arguments of the networks' builders."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Iterable
from typing import Any, get_args, get_type_hints

from kerascnn.applications import registry
from kerascnn.errors import InputError
from kerascnn.training.recipe.recipe import Recipe

# What says where a recipe comes from, and where arguments lie in it: not for a search.
NOT_SEARCHED = ("about", "model_arguments", "evaluation")

MODEL = "model"
ARGUMENT = f"{MODEL}."
# Groups that may be written shorter.
SHORT = {"augment": "augmentation"}


def spelled_out(name: str) -> str:
    """The field's name in a recipe.

    Example:
        >>> spelled_out("augment.mixup")
        'augmentation.mixup'
    """
    group, dot, rest = name.partition(".")
    return f"{SHORT.get(group, group)}{dot}{rest}"


def check_name(name: str, models: Iterable[str]) -> None:
    """Refuses what no recipe and none of the networks knows.

    Args:
        name: such as "optimizer.learning_rate" or, for a builder's argument, "model.shortcut".
        models: the networks that may be trained.

    Raises:
        InputError: naming the closest.
    """
    known = {*_kinds(), *(f"{ARGUMENT}{argument}" for model in models for argument in arguments_of(model))}
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    raise InputError(f"the space has an unknown field '{name}'; the closest is '{near[0]}'.")


def arguments_of(model: str) -> list[str]:
    """The names of a builder's own arguments, those beyond what all builders take."""
    parameters = inspect.signature(registry.builder(model)).parameters.values()
    return [one.name for one in parameters if one.kind is one.KEYWORD_ONLY and one.name != "dtype"]


def is_whole(name: str) -> bool:
    """Whether a recipe's field takes whole numbers only; of builders' arguments that is not known."""
    kind = _kinds().get(name)
    return kind is int or int in get_args(kind)


def settings(values: dict[str, Any]) -> dict[str, Any]:
    """Values by their fields' names, nested as in a recipe.

    Example:
        >>> settings({"model.shortcut": "B", "optimizer.momentum": 0.8})
        {'model_arguments': {'shortcut': 'B'}, 'optimizer': {'momentum': 0.8}}
    """
    nested: dict[str, Any] = {}
    for name, value in values.items():
        group, _, rest = name.rpartition(".")
        if group:
            nested.setdefault("model_arguments" if group == MODEL else group, {})[rest] = value
        else:
            nested[name] = value
    return nested


def value_in(recipe: Recipe, name: str) -> Any:
    """What a recipe says of a field; of an argument that it does not state, the builder's default.

    Example:
        >>> value_in(Recipe.for_model("resnet20"), "model.shortcut")
        'A'
        >>> value_in(Recipe.for_model("resnet50"), "model.stride_in")
        '1x1'
    """
    group, _, rest = name.rpartition(".")
    if group != MODEL:
        return getattr(getattr(recipe, group) if group else recipe, rest)
    if rest in recipe.model_arguments:
        return recipe.model_arguments[rest]
    argument = inspect.signature(registry.builder(recipe.model)).parameters.get(rest)
    if argument is None:
        return None
    return registry.PAPER_OPTIONS.get(rest) if argument.default is None else argument.default


def _kinds() -> dict[str, Any]:
    """The recipe's fields and their types."""
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(Recipe).items():
        if name in NOT_SEARCHED:
            continue
        if dataclasses.is_dataclass(hint):
            found.update({f"{name}.{inner}": kind for inner, kind in get_type_hints(hint).items()})
        else:
            found[name] = hint
    return found
