"""One round of a contestant: steps for at least some seconds."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from benchmarks.part import Measure


def rate(step: Callable[[], object], count: float, seconds: float, warm_up: int = 2) -> Measure:
    """Measures how many things a second `step` does, `count` at a time, after some steps that are not measured.

    Example:
        >>> rate(lambda: model.train_on_batch(images, labels), len(images), seconds=2)
    """
    for _ in range(warm_up):
        step()

    def measure() -> float:
        gc.collect()
        steps, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds or not steps:
            step()
            steps += 1
        return count * steps / elapsed

    return measure


def milliseconds(step: Callable[[], object], seconds: float, warm_up: int = 2) -> Measure:
    """Measures the milliseconds of a step."""
    measure = rate(step, 1, seconds, warm_up)
    return lambda: 1000 / measure()
