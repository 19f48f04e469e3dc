"""Fields of a recipe's groups that must lie in a range."""

from __future__ import annotations

from kerascnn.errors import InputError


def at_least_zero(group: str, settings: object, *names: str) -> None:
    """Refuses negative numbers in these fields of a recipe's group; None passes.

    Raises:
        InputError: naming the first.
    """
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value >= 0:
            raise InputError(f"{group}.{name} must be at least 0, not {value}.")


def above_zero(group: str, settings: object, *names: str) -> None:
    """Refuses numbers that are not positive; None passes.

    Raises:
        InputError: naming the first.
    """
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise InputError(f"{group}.{name} must be above 0, not {value}.")


def below_one(group: str, settings: object, *names: str) -> None:
    """Refuses numbers that are no share less than the whole.

    Raises:
        InputError: naming the first.
    """
    for name in names:
        value = getattr(settings, name)
        if not 0 <= value < 1:
            raise InputError(f"{group}.{name} must be from 0 to less than 1, not {value}.")
