"""Whether one model is better than another, or was luckier on these images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kerascnn.errors import InputError
from kerascnn.evaluation.scores import Scores

# What is called significant.
LEVEL = 0.05


class McNemar(NamedTuple):
    """McNemar's exact test on two models that named the same images.

    Attributes:
        only_first, only_second: images that only the one, and only the other, names rightly.
        p: how often two equally good models would differ at least so much on the images that only one is right on.
    """

    only_first: int
    only_second: int
    p: float

    @property
    def verdict(self) -> str:
        """In a word: "first" or "second" is better, or "neither" can be said to be."""
        if self.p >= LEVEL:
            return "neither"
        return "first" if self.only_first > self.only_second else "second"


def mcnemar(first: Scores, second: Scores) -> McNemar:
    """McNemar's exact test (McNemar, 1947; Dietterich, 1998, section 3.1).

    Args:
        first, second: scores on the same images in the same order.

    Raises:
        InputError: they are of different images.

    Example:
        >>> mcnemar(scores_of_resnet56, scores_of_resnet20)
        McNemar(only_first=120, only_second=80, p=0.0056...)
    """
    from scipy.stats import binomtest

    if not np.array_equal(first.true_names, second.true_names):
        raise InputError("models can only be compared on the same images.")
    first_right, second_right = (scores.predictions == scores.labels for scores in (first, second))
    only_first = int(np.count_nonzero(first_right & ~second_right))
    only_second = int(np.count_nonzero(second_right & ~first_right))
    differing = only_first + only_second
    return McNemar(only_first, only_second, float(binomtest(only_first, differing).pvalue) if differing else 1.0)
