"""What a user needs from a message: the value at fault, what it is about, the remedy; the wording is free."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest


def names(message: object, *parts: object) -> None:
    """Asserts that a message has each of the parts in it."""
    missing = [str(part) for part in parts if str(part) not in str(message)]
    assert parts and not missing, f"{message!s}\ndoes not name {missing}"


@contextlib.contextmanager
def mentioning(exception: type[BaseException], *parts: object) -> Iterator[pytest.ExceptionInfo]:
    """`pytest.raises` for a message that has each of the parts in it."""
    with pytest.raises(exception) as caught:
        yield caught
    names(caught.value, *parts)


def refused(outcome, *parts: object) -> None:
    """Asserts that a command ended with status 2 and one sentence that has each of the parts in it."""
    assert outcome.status == 2, outcome.err
    assert "Traceback" not in outcome.err
    last = outcome.err.strip().splitlines()[-1]
    assert last.startswith("kerascnn: ")
    names(last, *parts)
