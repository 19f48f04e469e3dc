"""Tries inputs of one kind, one after the other, and counts those that are held."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kerascnn import InputError
from kerascnn.errors import LONGEST_SENTENCE

LONGEST = 5.0  # seconds that one input may take
HANG = 30  # seconds after which it is interrupted
LONGEST_TEXT = LONGEST_SENTENCE + len(" … ")  # What InputError leaves of a very long sentence


class Kind(NamedTuple):
    """A kind of hostile input: `make` draws one, `read` hands it to the program in an empty folder of its own.

    `read` returns, raises InputError, or fails in another way, which is not held.
    """

    make: Callable[[random.Random], Any]
    read: Callable[[Path, Any], Any]


class HangError(BaseException):
    """An input took too long."""


def attack(kind: Kind, chance: random.Random, folder: Path) -> tuple[float, str | None]:
    """Tries an input in a new folder; returns the seconds that it took, and why it was not held."""
    given, place = kind.make(chance), folder / "box" / "in"
    place.mkdir(parents=True)
    started = time.perf_counter()
    try:
        with _interrupted_after(HANG):
            kind.read(place, given)
        reason = None
    except InputError as error:
        reason = fault_of(str(error))
    except HangError:
        reason = f"hangs: {HANG} s"
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}: {str(error)[:200]}"
    seconds = time.perf_counter() - started
    if reason is None and seconds > LONGEST:
        reason = f"took {seconds:.1f} s"
    if reason is None and os.listdir(folder / "box") != ["in"]:
        reason = f"wrote outside its folder: {os.listdir(folder / 'box')}"
    shutil.rmtree(folder / "box")
    return seconds, reason


def attack_many(kind: Kind, seeds: Iterable[int], folder: Path) -> dict[int, str]:
    """Why inputs were not held, by their seeds."""
    return {seed: reason for seed in seeds if (reason := attack(kind, random.Random(seed), folder)[1])}


def peak_megabytes() -> float:
    """The most memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / (1 << 10)


def fault_of(sentence: str) -> str | None:
    """Why a message is not one sentence that a terminal can show."""
    if "\n" in sentence or not sentence.strip():
        return f"not one sentence: {sentence[:200]!r}"
    if any(ord(character) < 32 or ord(character) == 127 for character in sentence):
        return f"control characters: {sentence[:200]!r}"
    return f"a sentence of {len(sentence):,} characters" if len(sentence) > LONGEST_TEXT else None


@contextlib.contextmanager
def _interrupted_after(seconds: int) -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
