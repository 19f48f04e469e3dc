"""Functional models that are deeper than Python's recursion limit allows Keras to build.

Keras walks from the outputs of a functional model to its inputs by recursion, one call per layer. ResNet-1202 has
thousands of layers in sequence; Python allows a thousand calls.
"""

import contextlib
import inspect
import sys
from collections.abc import Iterator

import keras

from kerascnn.keras_internals import producing_node

# Calls that Keras makes between those of the walk.
MARGIN = 200


@keras.saving.register_keras_serializable(package="kerascnn")
class DeepModel(keras.Model):
    """A functional model that raises Python's recursion limit while Keras builds it, as far as needed."""

    def __init__(self, inputs, outputs, name=None, **kwargs):
        with _recursion_for(_nodes_before(outputs)):
            super().__init__(inputs, outputs, name=name, **kwargs)


def functional(inputs, outputs, name: str | None = None) -> keras.Model:
    """`keras.Model(inputs, outputs, name=name)`, or a `DeepModel` where Python's recursion limit forbids that.

    All networks, and all models built around one, are made by this function.
    """
    try:
        return keras.Model(inputs, outputs, name=name)
    except RecursionError:
        return DeepModel(inputs, outputs, name=name)


def _nodes_before(outputs) -> int:
    """The number of calls of layers from the inputs to the outputs."""
    waiting = [producing_node(tensor) for tensor in keras.tree.flatten(outputs)]
    seen = set()
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting.extend(node.parent_nodes)
    return len(seen)


@contextlib.contextmanager
def _recursion_for(nodes: int) -> Iterator[None]:
    """Allows as many calls beyond the present ones as there are nodes."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, len(inspect.stack(0)) + nodes + MARGIN))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
