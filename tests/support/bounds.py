"""Bounds on what rounding does to floating-point results, derived from what was computed.

A sum of n products is rounded n times; roundings of random sign add up to sqrt(n) unit roundoffs of the largest term
(Higham and Mary, "A New Approach to Probabilistic Rounding Error Analysis", 2019), and the layers of a network add
theirs in the same way. So two correct programs that sum in different orders, as CPUs with other vector instructions
do, differ by at most 2 * SIGMAS * u * sqrt(all terms) of the largest result. A fault (a wrong padding, a forgotten
bias, momentum or scale) changes the first digits.
"""

from __future__ import annotations

import json
import os

import keras
import numpy as np

# Half a unit in the last place of 1.
UNIT_ROUNDOFF = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}

# How many standard deviations of the random sum are allowed.
SIGMAS = 1.0

# A file for one JSON line per comparison: the test, the largest difference, the bound. See docs/testing.md.
MARGINS = "KERASCNN_MARGINS"


def of_sum(terms: float, dtype: str = "float32") -> float:
    """How far two sums of so many terms may be apart, relative to the largest term that could be their result."""
    return 2 * SIGMAS * UNIT_ROUNDOFF[dtype] * np.sqrt(terms)


def terms_of(model: keras.Model) -> int:
    """The number of products and additions behind one output of each layer, over all layers."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            total += terms_of(layer)
        elif hasattr(layer, "kernel"):
            total += int(np.prod(layer.kernel.shape[:-1]))
        elif isinstance(layer, keras.layers.BatchNormalization):
            # Subtract, divide, scale and shift.
            total += 4
        elif hasattr(layer, "pool_size"):
            total += int(np.prod(layer.pool_size))
        else:
            total += 1
    return total


def of_network(model: keras.Model) -> float:
    """How far two computations of a network's logits or features may be apart, relative to the largest of them."""
    return of_sum(terms_of(model))


def of_probabilities(model: keras.Model, probabilities: np.ndarray) -> float:
    """How far two computations of a network's probabilities may be apart, absolutely.

    Softmax moves no probability by more than half of what its logits move.
    """
    logits = np.log(np.maximum(probabilities, np.finfo("float32").tiny))
    spread = np.abs(logits - logits.mean(axis=-1, keepdims=True)).max()
    return of_network(model) * max(0.5 * float(spread), 0.5)


def check(actual, expected, bound: float, *, relative: bool = False) -> None:
    """Asserts that no result is further than the bound from what is expected, and records the largest difference.

    Args:
        relative: whether the bound is relative to the largest expected value.
    """
    actual, expected = np.asarray(actual, "float64"), np.asarray(expected, "float64")
    assert actual.shape == expected.shape
    if relative:
        bound = bound * np.abs(expected).max()
    difference = np.abs(actual - expected).max()
    record(difference, bound)
    assert difference <= bound, f"{difference:.3g} is more than {bound:.3g}"


def record(difference: float, bound: float) -> None:
    """Writes how much of a bound a comparison took, where `KERASCNN_MARGINS` names a file."""
    if path := os.environ.get(MARGINS):
        test = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
        with open(path, "a") as file:
            file.write(json.dumps({"test": test, "difference": float(difference), "bound": float(bound)}) + "\n")


def record_assert_allclose(monkeypatch) -> None:
    """Has numpy's `assert_allclose` record its margins too."""
    real = np.testing.assert_allclose

    def recorded(actual, desired, rtol=1e-7, atol=0, **options):
        wanted = np.asarray(desired, "float64")
        difference = np.abs(np.asarray(actual, "float64") - wanted)
        allowed = atol + rtol * np.abs(wanted)
        share = np.where(difference > 0, difference / np.maximum(allowed, np.finfo("float64").tiny), 0)
        if share.size:
            worst = np.unravel_index(np.argmax(share), share.shape)
            record(np.broadcast_to(difference, share.shape)[worst], np.broadcast_to(allowed, share.shape)[worst])
        return real(actual, desired, rtol=rtol, atol=atol, **options)

    monkeypatch.setattr(np.testing, "assert_allclose", recorded)
