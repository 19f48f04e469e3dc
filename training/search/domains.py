"""The values that a searched field may take: a range of numbers or a choice of values."""

from __future__ import annotations

import copy
import json
import math
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kerascnn.errors import InputError, closest

if TYPE_CHECKING:
    import keras_tuner

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
