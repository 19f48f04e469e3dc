"""Functional models that are deeper than Python's recursion limit allows Keras to build.

Keras walks from the outputs of a functional model to its inputs by recursion, two calls a layer. ResNet-1202 has
thousands of layers behind each other; Python stops at a thousand calls.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

import keras

# Where doubling ends: deeper than any network here, and safely within the stack of a thread.
HIGHEST_LIMIT = 64_000

T = TypeVar("T")


@keras.saving.register_keras_serializable(package="kerascnn")
class DeepModel(keras.Model):
    """A functional model that raises Python's recursion limit while Keras builds it, and as far as that needs."""

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return with_recursion(lambda: super(DeepModel, cls).from_config(config, custom_objects=custom_objects))


def functional(inputs, outputs, name: str) -> keras.Model:
    """`keras.Model(inputs, outputs, name=name)`, and a `DeepModel` where Python's recursion limit forbids that."""
    try:
        return keras.Model(inputs, outputs, name=name)
    except RecursionError:
        return with_recursion(lambda: DeepModel(inputs, outputs, name=name))


def with_recursion(build: Callable[[], T]) -> T:
    """The result of `build`, under a recursion limit that is doubled until it is enough, and put back afterwards."""
    limit = sys.getrecursionlimit()
    while True:
        try:
            with _recursion_limit(limit):
                return build()
        except RecursionError:
            if limit >= HIGHEST_LIMIT:
                raise
        limit *= 2


@contextlib.contextmanager
def _recursion_limit(limit: int) -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, before))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
