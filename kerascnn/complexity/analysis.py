"""A model's cost, worked out from its layers and how they are joined, without running it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras

from kerascnn.applications import registry
from kerascnn.complexity.layer_costs import Cost, Value, Window, Writes, cost_of
from kerascnn.complexity.report import Report, Row
from kerascnn.errors import InputError


@dataclass(frozen=True, eq=False)
class Call:
    """A layer that makes `output` of `inputs`, under the name it has in the outermost model."""

    name: str
    layer: keras.layers.Layer
    inputs: tuple[Value, ...]
    output: Value
    cost: Cost


class Axis(NamedTuple):
    """What the units of a map see of the image along one axis, in pixels.

    The first unit sees from `low` to `high`, each next one `stride` further; 0 where there is one unit.
    """

    low: int = 0
    high: int = 1
    stride: int = 1


Field = tuple[Axis, Axis]


def analyze(model: keras.Model) -> Report:
    """What a model costs for one image, layer by layer; nothing is run.

    Multiply-adds are those of convolutions (grouped, depthwise and separable too) and dense layers: the products of
    weights and inputs, those with padding included, as the papers count "ops" and, He et al. (2015), "FLOPs". Adding
    biases, normalization, activations, pooling and additions of maps count as none.

    Memory of the forward pass is what an inference writes if no map's memory is used again: the outputs of all layers
    in their own dtypes, the image included. An output is free if it is its input (flattening, class labels, dropout
    outside of training), or if it is computed number by number (activation, batch normalization, preprocessing) from
    an input that no other layer reads; it then takes the input's place.

    Memory kept for the backward pass is every output that the gradient of some weight is computed from, counted once
    and at the layer that made it:

    - the input of a convolution or dense layer that is trained;
    - the input of batch normalization that is trained;
    - the output of a rectification, softmax, sigmoid or tanh; the input of any other activation;
    - input and output of max pooling and local response normalization;
    - a byte a number of dropout, for its mask.

    Flattening passes its input's memory on; average pooling, padding, addition and concatenation need nothing.
    Layers before the first trained weight keep nothing but that one's input. Weights, their gradients, the few
    statistics of batch normalization and copies in another precision are not in it.

    The receptive field of a unit is the smallest rectangle with every pixel that can reach it on any path, so the
    largest of several paths; padding counts as if the image went on.

    Args:
        model: a functional or sequential model whose sizes are all known; models inside it are gone into.

    Returns:
        A row a call of a layer, from the image to the outputs, each branch as a whole.

    Raises:
        InputError: the model is no graph of layers, has an unknown size, or a layer of a kind that is not known.

    Example:
        >>> report = analyze(kerascnn.applications.VGG16())
        >>> report.row("fc6").parameters, report.row("pool5").receptive_field
        (102764544, (212, 212))
    """
    calls, outputs = _calls(model)
    fields = _fields(calls)
    kept = _kept_bytes(calls)
    forward = _forward_bytes(calls, outputs)
    counted: set[int] = set()
    rows = []
    for call in calls:
        weights = [] if id(call.layer) in counted else call.layer.weights
        counted.add(id(call.layer))
        trainable = _size(weight for weight in weights if weight.trainable)
        rows.append(
            Row(
                name=call.name,
                kind=type(call.layer).__name__,
                output_shape=call.output.shape,
                trainable=trainable,
                non_trainable=_size(weights) - trainable,
                macs=call.cost.macs,
                forward_bytes=forward[call],
                kept_bytes=kept[call],
                **_described(fields[call.output]),
            )
        )
    return Report(model.name, tuple(rows))


def analyze_by_name(name: str, **arguments: Any) -> Report:
    """What a network of the registry costs; `analyze` without the time and memory that its weights' values take.

    Args:
        name: one of `kerascnn.applications.list_models()`.
        arguments: those of the builder but `weights`.

    Raises:
        InputError: there is no such network, or the builder refuses an argument's value.

    Example:
        >>> analyze_by_name("vgg16", batch_norm=True).totals.non_trainable
        8448
    """

    def work() -> Report:
        with keras.StatelessScope(initialize_variables=False):
            return analyze(registry.create(name, **arguments))

    # Keras keeps a list of variables that wait for their values, and makes up for it at its next occasion; the list is
    # a thread's own and ends with it.
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(work).result()


def _size(weights: Iterable[Any]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _calls(model: keras.Model, prefix: str = "", given: list[Value] | None = None) -> tuple[list[Call], list[Value]]:
    """The calls of the model's layers, each after those it depends on, and the model's outputs.

    Args:
        model: the model, or one that is nested in it.
        prefix: before the names of the layers.
        given: the tensors that a nested model is called with, in place of its own inputs.
    """
    if not getattr(model, "outputs", None):
        raise InputError(f"the model '{model.name}' is no graph of layers; build it with Keras' functional interface.")
    values: dict[int, Value] = {}
    if given is not None:
        values.update(zip(map(id, model.inputs), given, strict=True))
    calls: list[Call] = []
    for node in _in_order(model, values):
        layer, name = node.operation, f"{prefix}{node.operation.name}"
        inputs = tuple(values[id(tensor)] for tensor in node.input_tensors)
        if isinstance(layer, keras.Model):
            inner, made = _calls(layer, f"{name}/", list(inputs))
            calls += inner
        else:
            made = [_value(tensor, name) for tensor in node.output_tensors]
            calls.append(Call(name, layer, inputs, made[0], cost_of(layer, inputs, made[0])))
        values.update(zip(map(id, node.output_tensors), made, strict=True))
    return calls, [values[id(tensor)] for tensor in model.outputs]


def _in_order(model: keras.Model, known: dict[int, Value]) -> list[Any]:
    """The nodes of Keras' graph that lead to the model's outputs, inputs first, each branch as a whole.

    Args:
        model: the model.
        known: the tensors to stop at.
    """
    order: list[Any] = []
    seen: set[int] = set()
    # No recursion: ResNet-1202 is thousands of layers deep.
    waiting = [(tensor, False) for tensor in reversed(model.outputs)]
    while waiting:
        tensor, complete = waiting.pop()
        if id(tensor) in known:
            continue
        operation, number, _ = tensor._keras_history
        node = operation._inbound_nodes[number]
        if complete:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            waiting.append((tensor, True))
            waiting += [(before, False) for before in reversed(node.input_tensors)]
    return order


def _value(tensor: keras.KerasTensor, name: str) -> Value:
    shape = tuple(tensor.shape[1:])
    if None in shape:
        raise InputError(
            f"the output of '{name}' has an unknown size, {shape}; build the model with a known height and width, "
            "as in input_shape=(224, 224, 3)."
        )
    return Value(shape, tensor.dtype)


def _fields(calls: list[Call]) -> dict[Value, Field | None]:
    """What the units of each output see of the image; None where there is no image."""
    fields: dict[Value, Field | None] = {}
    for call in calls:
        if call.inputs:
            seen = _largest([fields[value] for value in call.inputs])
            fields[call.output] = seen and _seen_through(call, seen)
        else:
            fields[call.output] = (Axis(), Axis()) if len(call.output.shape) == 3 else None
    return fields


def _largest(fields: list[Field | None]) -> Field | None:
    """What can be seen on any of several paths."""
    known = [field for field in fields if field is not None]
    if not known:
        return None

    def union(paths: tuple[Axis, ...]) -> Axis:
        lows, highs, strides = zip(*paths, strict=True)
        return Axis(min(lows), max(highs), max(strides))

    vertical, horizontal = map(union, zip(*known, strict=True))
    return vertical, horizontal


def _seen_through(call: Call, field: Field) -> Field:
    """The field of the call's output from that of its input."""
    if call.cost.windows is None:
        return _seen_by_all(call, field)
    vertical, horizontal = map(_seen_by_window, field, call.cost.windows)
    return vertical, horizontal


def _seen_by_window(axis: Axis, window: Window) -> Axis:
    low = axis.low - window.before * axis.stride
    reach = (window.size - 1 - window.before) * axis.stride
    return Axis(low, axis.high + reach, axis.stride * window.stride)


def _seen_by_all(call: Call, field: Field) -> Field:
    [value] = call.inputs
    if len(value.shape) != 3:
        return field
    sizes = value.shape[1:] if call.layer.data_format == "channels_first" else value.shape[:2]
    vertical, horizontal = (
        Axis(axis.low, axis.high + (size - 1) * axis.stride, 0) for axis, size in zip(field, sizes, strict=True)
    )
    return vertical, horizontal


def _described(field: Field | None) -> dict[str, Any]:
    """A field in the terms of `Row`."""
    if field is None:
        return {"receptive_field": None, "stride": None, "start": None}
    return {
        "receptive_field": tuple(axis.high - axis.low for axis in field),
        "stride": tuple(axis.stride for axis in field) if all(axis.stride for axis in field) else None,
        "start": tuple((axis.low + axis.high) / 2 for axis in field),
    }


def _forward_bytes(calls: list[Call], outputs: list[Value]) -> dict[Call, int]:
    """The memory that each call's output takes in inference."""
    readers = Counter([value for call in calls for value in call.inputs] + outputs)
    # What may be written over: an output that lies in memory of the network's own.
    own: set[Value] = set()
    taken = {}
    for call in calls:
        over = [value for value in call.inputs if value in own and readers[value] == 1]
        in_place = call.cost.writes is Writes.IN_PLACE and any(value.bytes >= call.output.bytes for value in over)
        if call.inputs and call.cost.writes is not Writes.NOTHING:
            own.add(call.output)
        taken[call] = 0 if in_place or call.cost.writes is Writes.NOTHING else call.output.bytes
    return taken


def _kept_bytes(calls: list[Call]) -> dict[Call, int]:
    """The memory that each call makes and a training step keeps for the gradient."""
    origin: dict[Value, Value] = {}
    trained: set[Value] = set()
    kept: set[Value] = set()
    taken = {}
    for call in calls:
        origin[call.output] = origin[call.inputs[0]] if call.cost.passes_on else call.output
        if not call.layer.trainable_weights and trained.isdisjoint(call.inputs):
            taken[call] = 0
            continue
        trained.add(call.output)
        kept.update(origin[value] for value in call.inputs if call.cost.reads_input)
        kept.update([origin[call.output]] if call.cost.reads_output else [])
        taken[call] = call.cost.also_kept
    return {call: size + (call.output.bytes if call.output in kept else 0) for call, size in taken.items()}
