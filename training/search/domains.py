"""What a searched field may be: a range of numbers or one of some values, read from a few characters."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from kerascnn.errors import InputError

NUMBER = r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?"
RANGE = re.compile(rf"(log\s+)?({NUMBER})\s*\.\.\s*({NUMBER})(?:\s+step\s+({NUMBER}))?")

FORMS = "'1..8', '0..0.4', 'log 1e-4..1e-1', '0..0.4 step 0.1' or 'A|B|C'"


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes:
        low, high: the ends.
        log: whether equal factors, instead of equal distances, are equally likely.
        step: the distance, or with `log` the factor, of neighbours; None for all numbers.
        whole: whether only whole numbers are meant.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    def ends(self) -> tuple[float, float]:
        """The first and the last number."""
        return self.low, self.high

    def at(self, share: float) -> float:
        """The number at a share of the way from the first to the last.

        Example:
            >>> Range(0.01, 1.0, log=True).at(0.5)
            0.1
        """
        way = self.low * (self.high / self.low) ** share if self.log else self.low + share * (self.high - self.low)
        return round(way) if self.whole else way

    def holds(self, number: Any) -> bool:
        """Whether a number is one of these."""
        if not isinstance(number, int | float) or isinstance(number, bool) or not self.low <= number <= self.high:
            return False
        if self.step is None:
            return True
        steps = math.log(number / self.low, self.step) if self.log else (number - self.low) / self.step
        return abs(steps - round(steps)) < 1e-9

    def share(self, number: float) -> float:
        """Where on that way a number lies."""
        if self.log:
            return math.log(number / self.low) / math.log(self.high / self.low)
        return (number - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Choice:
    """One of some values.

    Attributes:
        options: the values; numbers, texts, truth values, None or lists.
    """

    options: tuple[Any, ...]

    @property
    def numbers(self) -> bool:
        """Whether all are numbers, which have an order."""
        return all(isinstance(option, int | float) and not isinstance(option, bool) for option in self.options)

    def holds(self, option: Any) -> bool:
        """Whether it is one of these."""
        return bool(self._own(option))

    def shown(self, option: Any) -> Any:
        """One of these as the oracle knows it: numbers as they are, all else as text."""
        [own] = self._own(option)
        if self.numbers:
            return own if all(isinstance(one, int) for one in self.options) else float(own)
        return label(own)

    def meant(self, shown: Any) -> Any:
        """The option that `shown` stands for."""
        return next(option for option in self.options if self.shown(option) == shown)

    def _own(self, option: Any) -> list[Any]:
        """The equal one; true is not 1 here."""
        return [one for one in self.options if one == option and isinstance(one, bool) == isinstance(option, bool)]

    def ends(self) -> tuple[Any, ...]:
        """All of them."""
        return self.options


Domain = Range | Choice


def label(option: Any) -> str:
    """An option as text.

    Example:
        >>> label(None), label("A"), label([30, 60])
        ('null', 'A', '[30, 60]')
    """
    return option if isinstance(option, str) else json.dumps(option)


def domain(value: Any, name: str, whole: bool) -> Domain:
    """Reads what a space says of a field.

    Args:
        value: a text as in `FORMS`, a list of options, or one value, which is then fixed.
        name: of the field, for error sentences.
        whole: whether the field takes whole numbers only.

    Raises:
        InputError: it is neither, or holds nothing.

    Example:
        >>> domain("log 1e-4..1e-1", "optimizer.learning_rate", whole=False)
        Range(low=0.0001, high=0.1, log=True, step=None, whole=False)
    """
    if isinstance(value, str) and ".." in value:
        return _range(value, name, whole)
    options = [_option(text.strip(), name, value) for text in value.split("|")] if isinstance(value, str) else value
    options = options if isinstance(options, list) else [options]
    labels = [label(option) for option in options]
    twice = next((one for place, one in enumerate(labels) if one in labels[:place]), None)
    if not options:
        raise InputError(f"{name} is to be one of no values; give some, such as A|B|C.")
    if twice is not None:
        raise InputError(f"{name} names '{twice}' twice in '{_shown(value)}'; give every value once.")
    return Choice(tuple(options))


def _range(text: str, name: str, whole: bool) -> Range:
    found = RANGE.fullmatch(text.strip())
    if not found:
        raise InputError(f"{name}: '{text}' is no range; ranges and choices look like {FORMS}.")
    log, low, high, step = bool(found[1]), float(found[2]), float(found[3]), found[4] and float(found[4])
    if low >= high:
        raise InputError(f"{name}: the range '{text}' is empty; it must go from a lower to a higher number.")
    if log and low <= 0:
        raise InputError(f"{name}: the range '{text}' begins at {low:g}; with log it must begin above 0.")
    if step is not None and not (1 if log else 0) < step:
        raise InputError(f"{name}: the step of '{text}' must be above {1 if log else 0}.")
    if not whole:
        return Range(low, high, log, step)
    if low % 1 or high % 1 or (step or 1) % 1:
        raise InputError(f"{name} takes whole numbers, which the ends of '{text}' are not.")
    return Range(int(low), int(high), log, step and int(step), whole=True)


def _option(text: str, name: str, value: str) -> Any:
    """An option of a choice; YAML alone would take 1e-3 for a text."""
    import yaml

    if not text:
        raise InputError(f"{name}: '{value}' has an empty value; ranges and choices look like {FORMS}.")
    if re.fullmatch(NUMBER, text):
        return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(f"{name}: '{text}' is not YAML.") from None


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
