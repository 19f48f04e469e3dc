"""Contestants that take turns, so that whatever else the machine does falls on both."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Medians(NamedTuple):
    """Seconds of one round, and how often the first contestant fits into the second's time."""

    ours: float
    theirs: float
    ratios: list[float]

    @property
    def ratio(self) -> float:
        """The median over the rounds of theirs / ours, each pair measured in the same moment."""
        return statistics.median(self.ratios)


def take_turns(ours: Callable[[], object], theirs: Callable[[], object], *, rounds: int, warm_up: int) -> Medians:
    """Runs both in turn, the first one changing from round to round.

    Args:
        ours, theirs: what is timed.
        rounds: how many pairs are timed.
        warm_up: how many pairs are run before.
    """
    for _ in range(warm_up):
        ours()
        theirs()
    seconds = {ours: [], theirs: []}
    for number in range(rounds):
        for contestant in (ours, theirs) if number % 2 == 0 else (theirs, ours):
            gc.collect()
            start = time.perf_counter()
            contestant()
            seconds[contestant].append(time.perf_counter() - start)
    ratios = [second / first for first, second in zip(seconds[ours], seconds[theirs], strict=True)]
    return Medians(statistics.median(seconds[ours]), statistics.median(seconds[theirs]), ratios)
