"""The search space as data: which fields of a recipe are searched, and where."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascnn.applications import registry
from kerascnn.errors import InputError
from kerascnn.training.recipe.files import overlaid, read_yaml
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.search.domains import Choice, Domain, Range, domain, label
from kerascnn.training.search.fields import (
    ARGUMENT,
    MODEL,
    arguments_of,
    check_name,
    is_whole,
    settings,
    spelled_out,
    value_in,
)

if TYPE_CHECKING:
    import keras_tuner

DEFAULTS = Path(__file__).with_name("default_spaces.yaml")

Condition = tuple[str, Any]

MISSING = object()


@dataclass(frozen=True)
class Parameter:
    """A field that is searched.

    Attributes:
        name: the oracle's name for it, the field's wherever that is unique.
        field: of the recipe, or "model.<argument>" of the builder.
        domain: what it may be.
        conditions: names of parameters and the options that they must have for this one to matter.
    """

    name: str
    field: str
    domain: Domain
    conditions: tuple[Condition, ...] = ()

    def meant(self, value: Any) -> Any:
        """What the oracle's value stands for in a recipe."""
        if isinstance(self.domain, Choice):
            # Of a list a recipe makes its own in place.
            return copy.deepcopy(self.domain.meant(value))
        return int(value) if self.domain.whole else float(value)


@dataclass(frozen=True)
class Space:
    """What is searched.

    Attributes:
        source: as it was written, for `to_dict`.
        parameters: every field, after those that it depends on.

    Example:
        >>> space = Space.from_dict(
        ...     {"optimizer.learning_rate": "log 1e-3..1e-1", "model.shortcut": "A|B|C"}, Recipe.for_model("resnet20")
        ... )
        >>> [parameter.name for parameter in space.parameters]
        ['optimizer.learning_rate', 'model.shortcut']
    """

    source: dict[str, Any]
    parameters: tuple[Parameter, ...]

    @staticmethod
    def load(file: Path, recipe: Recipe) -> Space:
        """The space of a YAML file, for `recipe`.

        Raises:
            InputError: the file cannot be read, or as `from_dict`.
        """
        return Space.from_dict(read_yaml(Path(file)), recipe)

    @staticmethod
    def for_recipe(recipe: Recipe) -> Space:
        """The space that a network's family is searched in where none is named."""
        values = read_yaml(DEFAULTS)[registry.info(recipe.model).module]
        # Weights to begin with are of one network, and fit no other that its builder makes.
        own = set() if recipe.fine_tuning.weights else {f"{ARGUMENT}{name}" for name in arguments_of(recipe.model)}
        # Plain nets, which have no shortcuts, are of the residual networks' family.
        fitting = {name: value for name, value in values.items() if not name.startswith(ARGUMENT) or name in own}
        return Space.from_dict(fitting, recipe)

    @staticmethod
    def from_dict(values: dict[str, Any], recipe: Recipe) -> Space:
        """A space from its fields and what each may be.

        Args:
            values: texts such as "log 1e-4..1e-1", "0..0.4", "A|B|C", lists of values, or a mapping from each value to
                the fields that are searched with that value only.
            recipe: in which the fields are to be changed.

        Raises:
            InputError: an unknown field, an empty range, or what is neither range nor choice.
        """
        if not values:
            raise InputError("the space is empty; name at least one field to search, such as optimizer.learning_rate.")
        found = list(_walk(values, ()))
        models = _models(found, recipe)
        for field, _, _ in found:
            check_name(field, models)
        fields = [field for field, _, _ in found]
        parameters: list[Parameter] = []
        for field, value, conditions in found:
            name = field
            if fields.count(field) > 1:
                if not conditions or isinstance(value, dict):
                    raise InputError(f"the space searches {field} twice; let it stand in branches of one choice only.")
                name = f"{field} ({', '.join(f'{parent}={label(option)}' for parent, option in conditions)})"
            options = list(value) if isinstance(value, dict) else value
            parameters.append(Parameter(name, field, domain(options, field, is_whole(field)), conditions))
        return Space(dict(values), tuple(parameters))

    def hyperparameters(self) -> keras_tuner.HyperParameters:
        """The space as keras-tuner has it."""
        import contextlib

        import keras_tuner

        found = keras_tuner.HyperParameters()
        by_name = {parameter.name: parameter for parameter in self.parameters}
        for parameter in self.parameters:
            with contextlib.ExitStack() as scopes:
                for parent, option in parameter.conditions:
                    shown = by_name[parent].domain.shown(option)
                    scopes.enter_context(found.conditional_scope(parent, [shown]))
                _add(found, parameter)
        return found

    def fields(self, values: dict[str, Any]) -> dict[str, Any]:
        """The recipe's fields that an oracle's values stand for.

        Args:
            values: by the parameters' names; others, such as "tuner/epochs", are passed over.
        """
        return {one.field: one.meant(values[one.name]) for one in self.parameters if one.name in values}

    def values(self, recipe: Recipe) -> dict[str, Any] | None:
        """The oracle's values for a recipe; None where it lies outside of the space."""
        given: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for one in self.parameters:
            if any(given.get(parent, MISSING) != option for parent, option in one.conditions):
                continue
            value = value_in(recipe, one.field)
            if not one.domain.holds(value):
                return None
            given[one.field] = value
            values[one.name] = one.domain.shown(value) if isinstance(one.domain, Choice) else value
        return values

    def recipe(self, base: Recipe, values: dict[str, Any]) -> Recipe:
        """`base` with an oracle's values in their fields.

        Raises:
            InputError: the values do not go together.
        """
        return Recipe.from_dict(overlaid(base.to_dict(), settings(self.fields(values))), "the space")


def _walk(values: dict[str, Any], conditions: tuple[Condition, ...]) -> Iterator[tuple[str, Any, tuple]]:
    """Every field, what is said of it, and on what it depends."""
    for name, value in values.items():
        field = spelled_out(str(name))
        yield field, value, conditions
        if not isinstance(value, dict):
            continue
        for option, inner in value.items():
            if inner is not None and not isinstance(inner, dict):
                raise InputError(
                    f"{field}: below '{label(option)}' stand the fields that are searched with it, not '{inner}'."
                )
            yield from _walk(inner or {}, (*conditions, (field, option)))


def _models(found: Iterable[tuple[str, Any, tuple]], recipe: Recipe) -> list[str]:
    """The networks that a trial may train."""
    for field, value, _ in found:
        if field == MODEL:
            options = domain(list(value) if isinstance(value, dict) else value, MODEL, whole=False)
            return [registry.canonical(str(option)) for option in options.ends()]
    return [recipe.model]


def _add(hyperparameters: keras_tuner.HyperParameters, parameter: Parameter) -> None:
    found = parameter.domain
    if isinstance(found, Choice):
        hyperparameters.Choice(parameter.name, [found.shown(option) for option in found.options])
        return
    kind = hyperparameters.Int if found.whole else hyperparameters.Float
    kind(parameter.name, found.low, found.high, step=_step(found), sampling="log" if found.log else "linear")


def _step(found: Range) -> float | None:
    if found.step is None and found.whole and not found.log:
        return 1
    return found.step
