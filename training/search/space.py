"""The search space: which fields of a recipe are searched, and which values each may take."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import difflib
import inspect
import json
import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from kerascnn.applications import registry
from kerascnn.errors import InputError, closest
from kerascnn.training.recipe.files import overlaid, read_yaml
from kerascnn.training.recipe.recipe import Recipe

if TYPE_CHECKING:
    import keras_tuner

DEFAULTS = Path(__file__).with_name("default_spaces.yaml")
# Notes, and fields that apply after training; a builder's arguments are searched as "model.<name>".
NOT_SEARCHED = ("about", "model_arguments", "evaluation")
MODEL = "model"
ARGUMENT = f"{MODEL}."
SHORT_NAMES = {"augment": "augmentation"}
Condition = tuple[str, Any]  # A parameter's name and the option that it must have
# YAML 1.1 reads 1e-3 as text.
EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
KEYS = ("min", "max", "sampling", "step", "values")
SAMPLINGS = ("linear", "log")
EXAMPLES = "{min: 0.001, max: 0.1, sampling: log} or {values: [A, B, C]}"


@dataclass(frozen=True)
class SearchRange:
    """Numbers from `min` to `max`, both included."""

    # min, max: the bounds.
    min: float
    max: float
    sampling: str = "linear"  # "linear", or "log" for equal probability per factor; `min` is then above 0
    # The distance, or with "log" the factor, between neighboring values; None for all numbers.
    step: float | None = None
    integer: bool = False  # whether the field takes whole numbers only

    def boundary_values(self) -> tuple[float, float]:
        """The bounds of a range, or all options of a choice."""
        return self.min, self.max

    def contains(self, number: Any) -> bool:
        inside = _is_number(number) and self.min <= number <= self.max
        if not inside or self.step is None:
            return inside
        log = self.sampling == "log"
        steps = math.log(number / self.min, self.step) if log else (number - self.min) / self.step
        return abs(steps - round(steps)) < 1e-9

    def from_unit(self, position: float) -> float:
        """The number at a position between 0 (`min`) and 1 (`max`)."""
        log = self.sampling == "log"
        number = self.min * (self.max / self.min) ** position if log else self.min + position * (self.max - self.min)
        return round(number) if self.integer else number

    def to_unit(self, number: float) -> float:
        """The position of a value between 0 (`min`, or the first option) and 1 (`max`, or the last option)."""
        if self.sampling == "log":
            return math.log(number / self.min) / math.log(self.max / self.min)
        return (number - self.min) / (self.max - self.min)

    def sample(self, chance: random.Random) -> float:
        return self.from_unit(chance.random())

    def to_oracle(self, number: float) -> float:
        return number

    def from_oracle(self, value: float) -> float:
        return int(value) if self.integer else float(value)

    def add_to(self, hyperparameters: keras_tuner.HyperParameters, name: str) -> None:
        add = hyperparameters.Int if self.integer else hyperparameters.Float
        step = 1 if self.step is None and self.integer and self.sampling == "linear" else self.step
        add(name, self.min, self.max, step=step, sampling=self.sampling)


@dataclass(frozen=True)
class SearchChoice:
    """One of several `options`: numbers, texts, booleans, None or lists."""

    options: tuple[Any, ...]

    def boundary_values(self) -> tuple[Any, ...]:
        return self.options

    def contains(self, option: Any) -> bool:
        return self._index(option) is not None

    def to_unit(self, option: Any) -> float:
        return self.options.index(option) / max(1, len(self.options) - 1)

    def sample(self, chance: random.Random) -> Any:
        return chance.choice(self.options)

    def to_oracle(self, option: Any) -> Any:
        """The oracle's value for an option: itself if all options are numbers, else text."""
        found = self.options[self._index(option)]
        if not all(map(_is_number, self.options)):
            return label(found)
        return found if all(isinstance(one, int) for one in self.options) else float(found)

    def from_oracle(self, value: Any) -> Any:
        """The option for an oracle's value; lists are copied, because recipes may change them in place."""
        return copy.deepcopy(next(option for option in self.options if self.to_oracle(option) == value))

    def add_to(self, hyperparameters: keras_tuner.HyperParameters, name: str) -> None:
        hyperparameters.Choice(name, [self.to_oracle(option) for option in self.options])

    def _index(self, option: Any) -> int | None:
        # True equals 1, but is another option.
        same = [one == option and isinstance(one, bool) == isinstance(option, bool) for one in self.options]
        return same.index(True) if any(same) else None


Domain = SearchRange | SearchChoice


def label(option: Any) -> str:
    """An option as text: itself, or JSON."""
    return option if isinstance(option, str) else json.dumps(option, default=str)


@dataclass(frozen=True)
class Parameter:
    """A field that is searched."""

    name: str  # the oracle's name: the field's, unless several branches of a choice search the same field
    field: str  # of the recipe, or "model.<argument>" of the network's builder
    domain: Domain  # the values that it may take
    conditions: tuple[Condition, ...] = ()  # what other parameters must be for this one to apply

    def applies(self, options: dict[str, Any]) -> bool:
        """Whether the conditions hold, given the options of other parameters."""
        return all(parent in options and label(options[parent]) == label(option) for parent, option in self.conditions)


@dataclass(frozen=True)
class Space:
    """A search space: the plain values in `source`, and `parameters`, each after those that it depends on.

    Example:
        >>> space = Space.from_dict(
        ...     {
        ...         "optimizer.learning_rate": {"min": 0.001, "max": 0.1, "sampling": "log"},
        ...         "model.shortcut": {"values": ["A", "B", "C"]},
        ...     },
        ...     Recipe.for_model("resnet20"),
        ... )
        >>> [parameter.name for parameter in space.parameters]
        ['optimizer.learning_rate', 'model.shortcut']
    """

    source: dict[str, Any]
    parameters: tuple[Parameter, ...]

    @staticmethod
    def load(file: Path, recipe: Recipe) -> Space:
        """The space of a YAML file, for `recipe`; raises InputError if it cannot be read, or as `from_dict`."""
        return Space.from_dict(read_yaml(Path(file)), recipe)

    @staticmethod
    def for_recipe(recipe: Recipe) -> Space:
        """The default space of a network's family; InputError if it has none."""
        values = read_yaml(DEFAULTS).get(registry.info(recipe.model).module)
        if values is None:
            raise InputError(f"there is no default search space for {recipe.model}; name one with --space FILE.")
        # Pretrained weights fit one architecture only, and plain networks of the residual family have no shortcuts.
        known = () if recipe.fine_tuning.weights else _arguments_of(recipe.model)
        unusable = {name for name in values if name.startswith(ARGUMENT) and name.removeprefix(ARGUMENT) not in known}
        return Space.from_dict({name: value for name, value in values.items() if name not in unusable}, recipe)

    @staticmethod
    def from_dict(values: dict[str, Any], recipe: Recipe) -> Space:
        """A space from plain values, for the fields of `recipe`.

        `values` has for each field a range (`min`, `max` and, optionally, `sampling` and `step`) or a choice (`values`:
        a list, or a mapping from each value to the fields that are searched with that value only). InputError for an
        unknown field or key, an empty range, or neither a range nor a choice; or if the recipe begins with hints.
        """
        if recipe.distillation.begins_with_hints:
            raise InputError("a search has no epochs of hints; leave out --hints, or set distillation.hints={}.")
        if not values:
            raise InputError("the space is empty; name at least one field to search, such as optimizer.learning_rate.")
        found = list(_walk(values, ()))
        fields = [field for field, _, _ in found]
        kinds = _field_types()
        _check_names(found, kinds, recipe)
        parameters: list[Parameter] = []
        for field, spec, conditions in found:
            name = field
            if fields.count(field) > 1:
                if not conditions or (isinstance(spec, dict) and isinstance(spec.get("values"), dict)):
                    raise InputError(f"the space searches {field} twice; only the branches of one choice may share it.")
                name = f"{field} ({', '.join(f'{parent}={label(option)}' for parent, option in conditions)})"
            # The types of builders' arguments are unknown.
            kind = kinds.get(field)
            integer = kind is int or int in get_args(kind)
            parameters.append(Parameter(name, field, parse_domain(spec, field, integer), conditions))
        return Space(dict(values), tuple(parameters))

    def hyperparameters(self) -> keras_tuner.HyperParameters:
        """The space as keras-tuner's `HyperParameters`."""
        import keras_tuner

        found = keras_tuner.HyperParameters()
        domains = {parameter.name: parameter.domain for parameter in self.parameters}
        for parameter in self.parameters:
            with contextlib.ExitStack() as scopes:
                for parent, option in parameter.conditions:
                    scopes.enter_context(found.conditional_scope(parent, [domains[parent].to_oracle(option)]))
                parameter.domain.add_to(found, parameter.name)
        return found

    def fields(self, values: dict[str, Any]) -> dict[str, Any]:
        """The recipe's fields for an oracle's values; other values, such as "tuner/epochs", are ignored."""
        return {one.field: one.domain.from_oracle(values[one.name]) for one in self.parameters if one.name in values}

    def values(self, recipe: Recipe) -> dict[str, Any] | None:
        """The oracle's values for a recipe; None if the recipe lies outside the space."""
        options, values = {}, {}
        for one in self.parameters:
            if not one.applies(options):
                continue
            value = value_in(recipe, one.field)
            if not one.domain.contains(value):
                return None
            options[one.field] = value
            values[one.name] = one.domain.to_oracle(value)
        return values

    def recipe(self, base: Recipe, values: dict[str, Any]) -> Recipe:
        """`base` with the fields of an oracle's values; raises InputError if these contradict each other."""
        changes: dict[str, Any] = {}
        for field, value in self.fields(values).items():
            group, _, rest = field.rpartition(".")
            if group:
                changes.setdefault("model_arguments" if group == MODEL else group, {})[rest] = value
            else:
                changes[field] = value
        return Recipe.from_dict(overlaid(base.to_dict(), changes), "the space")


def _walk(values: dict[str, Any], conditions: tuple[Condition, ...]) -> Iterator[tuple[str, Any, tuple]]:
    """Every field with its full name, its specification and its conditions."""
    for name, spec in values.items():
        group, dot, rest = str(name).partition(".")
        field = f"{SHORT_NAMES.get(group, group)}{dot}{rest}"
        yield field, spec, conditions
        branches = spec.get("values") if isinstance(spec, dict) else None
        for option, inner in branches.items() if isinstance(branches, dict) else ():
            if inner is not None and not isinstance(inner, dict):
                raise InputError(
                    f"{field}: '{label(option)}' takes a mapping of fields that are searched with it, not '{inner}'."
                )
            yield from _walk(inner or {}, (*conditions, (field, parse_option(option))))


def _check_names(found: list[tuple[str, Any, tuple]], kinds: dict[str, Any], recipe: Recipe) -> None:
    searched = [parse_domain(spec, field, False).boundary_values() for field, spec, _ in found if field == MODEL]
    models = [registry.canonical(str(model)) for model in searched[0]] if searched else [recipe.model]
    known = {*kinds, *(f"{ARGUMENT}{argument}" for model in models for argument in _arguments_of(model))}
    for field, _, _ in found:
        if field not in known:
            [nearest] = difflib.get_close_matches(field, known, n=1, cutoff=0.0)
            raise InputError(f"the space has an unknown field '{field}'; the closest is '{nearest}'.")


def _field_types() -> dict[str, Any]:
    """The searchable fields of a recipe and their types."""
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(Recipe).items():
        if name in NOT_SEARCHED:
            continue
        if dataclasses.is_dataclass(hint):
            found |= {f"{name}.{inner}": kind for inner, kind in get_type_hints(hint).items()}
        else:
            found[name] = hint
    return found


def _arguments_of(model: str) -> list[str]:
    """The arguments of a network's builder, beyond those that all builders take."""
    parameters = inspect.signature(registry.builder(model)).parameters.values()
    return [one.name for one in parameters if one.kind is one.KEYWORD_ONLY and one.name != "dtype"]


def value_in(recipe: Recipe, field: str) -> Any:
    """A recipe's value of a field; the builder's default for an argument that the recipe does not set."""
    group, _, rest = field.rpartition(".")
    if group != MODEL:
        value = getattr(getattr(recipe, group) if group else recipe, rest)
        # As YAML holds it.
        return list(value) if isinstance(value, tuple) else value
    if rest in recipe.model_arguments:
        return recipe.model_arguments[rest]
    argument = inspect.signature(registry.builder(recipe.model)).parameters.get(rest)
    if argument is None:
        return None
    # Options that public weights may set are None there.
    return registry.PAPER_OPTIONS.get(rest) if argument.default is None else argument.default


def parse_domain(spec: Any, field: str, integer: bool) -> Domain:
    """The domain of a field from a mapping with `min`, `max` and, optionally, `sampling` and `step`, or with `values`.

    Raises InputError for an unknown key, a missing or invalid value, or an empty range or choice.
    """
    if not isinstance(spec, dict):
        raise InputError(f"{field}: '{label(spec)}' is neither a range nor a choice; write {EXAMPLES}.")
    for key in spec:
        if key not in KEYS:
            raise InputError(f"{field} has an unknown key '{key}'; {closest(str(key), KEYS)} Write {EXAMPLES}.")
    if "values" not in spec:
        return _parse_range(spec, field, integer)
    if len(spec) > 1:
        raise InputError(f"{field}: values cannot be combined with other keys; write {EXAMPLES}.")
    values = spec["values"]
    if not isinstance(values, list | dict):
        raise InputError(f"{field}: values must be a list, such as [A, B, C], not '{label(values)}'.")
    if not values:
        raise InputError(f"{field}: values is empty; list at least one.")
    options = tuple(map(parse_option, values))
    labels = list(map(label, options))
    repeated = next((one for one in labels if labels.count(one) > 1), None)
    if repeated is not None:
        raise InputError(f"{field} lists '{repeated}' twice; list every value once.")
    return SearchChoice(options)


def parse_option(option: Any) -> Any:
    """An option of a choice; text such as "1e-3" is a number."""
    return float(option) if isinstance(option, str) and EXPONENT.fullmatch(option) else option


def _parse_range(spec: dict[str, Any], field: str, integer: bool) -> SearchRange:
    for key in ("min", "max"):
        if key not in spec:
            raise InputError(f"{field}: {key} is missing; write {EXAMPLES}.")
    numbers = {key: _parse_number(spec[key], f"{field}: {key}", integer) for key in ("min", "max")}
    sampling, step = spec.get("sampling", "linear"), spec.get("step")
    if sampling not in SAMPLINGS:
        raise InputError(f"{field}: there is no sampling '{sampling}'; {closest(str(sampling), SAMPLINGS)}")
    if numbers["min"] >= numbers["max"]:
        low, high = (f"{numbers[key]:g}" for key in ("min", "max"))
        raise InputError(f"{field}: the range is empty; min must be less than max, but is {low}, and max is {high}.")
    if sampling == "log" and numbers["min"] <= 0:
        raise InputError(f"{field}: min must be above 0 with log sampling, not {numbers['min']:g}.")
    if step is not None:
        step, least = _parse_number(step, f"{field}: step", integer), 1 if sampling == "log" else 0
        if step <= least:
            raise InputError(f"{field}: step must be above {least} with {sampling} sampling, not {step:g}.")
    return SearchRange(**numbers, sampling=sampling, step=step, integer=integer)


def _parse_number(value: Any, name: str, integer: bool) -> float:
    number = parse_option(value)
    if not _is_number(number) or not math.isfinite(number):
        raise InputError(f"{name} must be a number, not '{label(value)}'.")
    if not integer:
        return float(number)
    if number % 1:
        raise InputError(f"{name} must be a whole number, not {number:g}.")
    return int(number)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
