"""Golovin et al., Google Vizier, 2017, section 3.2.2: the median stopping rule."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from kerascnn.training.search.objective import Objective

# With fewer a median says little.
FEWEST = 3

# The share of a training that is over before the rule counts.
PATIENCE = 0.25


def is_poor(own: Sequence[float], others: Sequence[Sequence[float]], epochs: int, objective: Objective) -> bool:
    """Whether a trial's best value so far is worse than the median of what the others averaged up to the same epoch.

    Args:
        own: the objective after each epoch of the trial so far.
        others: the same of trials that have ended.
        epochs: how long the trial is to be.
        objective: says what is better.

    Example:
        >>> is_poor([0.1, 0.2], [[0.3, 0.5]] * 3, 4, Objective("val_top1", "max"))
        True
    """
    averages = [fmean(other[: len(own)]) for other in others if len(other) >= len(own)]
    if len(own) < PATIENCE * epochs or len(averages) < FEWEST:
        return False
    best = max(own) if objective.direction == "max" else min(own)
    return objective.better(median(averages), best)
