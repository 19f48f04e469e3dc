"""The cost of a model, computed from its graph of layers without running it."""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import keras

from kerascnn.applications import registry
from kerascnn.complexity.layer_costs import FeatureMap, LayerCost, Memory, cost_of
from kerascnn.complexity.report import LayerRow, Report
from kerascnn.errors import InputError
from kerascnn.keras_internals import producing_node

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class LayerCall:
    """A layer that computes `output` from `inputs`, under its name in the outermost model."""

    name: str
    layer: keras.layers.Layer
    inputs: tuple[FeatureMap, ...]
    output: FeatureMap
    cost: LayerCost


class AxisField(NamedTuple):
    """The receptive fields of a map's units along one axis, in pixels of the image.

    The first unit sees from `low` to `high`, each next one `jump` further; 0 if there is only one unit.
    """

    low: int = 0
    high: int = 1
    jump: int = 1


# Vertical and horizontal.
ReceptiveField = tuple[AxisField, AxisField]


def analyze(model: keras.Model) -> Report:
    """The cost of a model for one image, layer by layer; nothing is run.

    Multiply-adds are those of convolutions (grouped, depthwise and separable too) and dense layers: the products of
    weights and inputs, those with padding included, as the papers count "ops" and, He et al. (2015), "FLOPs". Biases,
    normalization, activations, pooling and additions of maps count as none.

    Memory of the forward pass is that written in inference if no map's memory is used again: the outputs of all layers
    in their dtypes, the image included. An output is free if it is its input (flattening, class labels, dropout
    outside of training), or if it is computed elementwise (activation, batch normalization, preprocessing) from an
    input that no other layer reads; it then overwrites the input.

    Memory saved for the backward pass is every output that the gradient of some weight is computed from, counted once
    and at the layer that computed it:

    - the input of a trainable convolution or dense layer;
    - the input of trainable batch normalization;
    - the output of ReLU, softmax, sigmoid or tanh; the input of any other activation;
    - input and output of max pooling, of a maximum of maps and of local response normalization;
    - the input of a parametric ReLU, and both factors of a product of maps;
    - one byte per number of dropout, for its mask.

    Flattening passes its input's memory on; average pooling, padding, addition and concatenation need nothing.
    Layers before the first trainable weight save only the input of that one. Weights, their gradients, the few
    statistics of batch normalization and copies in another precision are not counted.

    The receptive field of a unit is the smallest rectangle with every pixel that reaches it on any path, so the
    largest of several paths; padding counts as if the image continued.

    Args:
        model: a functional or sequential model with known sizes; nested models are analyzed too.

    Returns:
        One row per call of a layer, from the image to the outputs, with the layers of each branch together.

    Raises:
        InputError: the model is not a graph of layers, has an unknown size, or has a layer of an unknown kind.

    Example:
        >>> report = analyze(kerascnn.applications.VGG16())
        >>> report.row("fc6").parameters, report.row("pool5").receptive_field
        (102764544, (212, 212))
    """
    calls, outputs = _calls(model)
    fields, saved, forward = _fields(calls), _saved_bytes(calls), _forward_bytes(calls, outputs)
    counted: set[int] = set()
    rows = []
    for call in calls:
        weights = [] if id(call.layer) in counted else call.layer.weights
        counted.add(id(call.layer))
        trainable = _size(weight for weight in weights if weight.trainable)
        field = fields[call.output]
        rows.append(
            LayerRow(
                name=call.name,
                kind=type(call.layer).__name__,
                output_shape=call.output.shape,
                trainable=trainable,
                non_trainable=_size(weights) - trainable,
                macs=call.cost.macs,
                forward_bytes=forward[call],
                saved_bytes=saved[call],
                receptive_field=field and tuple(axis.high - axis.low for axis in field),
                jump=tuple(axis.jump for axis in field) if field and all(axis.jump for axis in field) else None,
                offset=field and tuple((axis.low + axis.high) / 2 for axis in field),
            )
        )
    return Report(model.name, tuple(rows))


def analyze_by_name(name: str, **arguments: Any) -> Report:
    """The cost of a network of the registry, without the time and memory of creating its weights' values.

    Args:
        name: one of `kerascnn.applications.list_models()`.
        arguments: those of the builder except `weights`.

    Raises:
        InputError: there is no such network, or the builder rejects an argument.

    Example:
        >>> analyze_by_name("vgg16", batch_norm=True).totals.non_trainable
        8448
    """
    return without_values(lambda: analyze(registry.create(name, **arguments)))


def without_values(work: Callable[[], Result]) -> Result:
    """Runs `work`; the networks that it builds have no values in their weights, which takes neither time nor memory."""

    def scoped() -> Result:
        with keras.StatelessScope(initialize_variables=False):
            return work()

    # Keras lists variables without values and initializes them at the next opportunity; the list is the thread's own
    # and ends with it.
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(scoped).result()


def _size(weights: Iterable[Any]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _calls(
    model: keras.Model, prefix: str = "", given: list[FeatureMap] | None = None
) -> tuple[list[LayerCall], list[FeatureMap]]:
    """The calls of the model's layers in order, and the model's outputs; `given` are a nested model's inputs."""
    if isinstance(model, str):
        raise InputError(f"analyze takes a Keras model; analyze_by_name('{model}') takes the name of a network.")
    if not getattr(model, "outputs", None):
        raise InputError(
            f"the model '{getattr(model, 'name', model)}' is not a graph of layers; build it with Keras' functional "
            "interface."
        )
    maps: dict[int, FeatureMap] = {}
    if given is not None:
        maps.update(zip(map(id, model.inputs), given, strict=True))
    calls: list[LayerCall] = []
    for node in _in_order(model, maps):
        layer, name = node.operation, f"{prefix}{node.operation.name}"
        inputs = tuple(maps[id(tensor)] for tensor in node.input_tensors)
        if isinstance(layer, keras.Model):
            inner, outputs = _calls(layer, f"{name}/", list(inputs))
            calls += inner
        else:
            outputs = [_feature_map(tensor, name) for tensor in node.output_tensors]
            calls.append(LayerCall(name, layer, inputs, outputs[0], cost_of(layer, inputs, outputs[0])))
        maps.update(zip(map(id, node.output_tensors), outputs, strict=True))
    return calls, [maps[id(tensor)] for tensor in model.outputs]


def _in_order(model: keras.Model, known: dict[int, FeatureMap]) -> list[Any]:
    """The nodes of Keras' graph from the `known` tensors to the model's outputs, each branch as a whole."""
    order: list[Any] = []
    seen: set[int] = set()
    # No recursion: ResNet-1202 is thousands of layers deep.
    waiting = [(tensor, False) for tensor in reversed(model.outputs)]
    while waiting:
        tensor, complete = waiting.pop()
        if id(tensor) in known:
            continue
        node = producing_node(tensor)
        if complete:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            waiting.append((tensor, True))
            waiting += [(before, False) for before in reversed(node.input_tensors)]
    return order


def _feature_map(tensor: keras.KerasTensor, name: str) -> FeatureMap:
    shape = tuple(tensor.shape[1:])
    if None in shape:
        raise InputError(
            f"the output of '{name}' has an unknown size, {shape}; build the model with a known height and width, "
            "as in input_shape=(224, 224, 3)."
        )
    return FeatureMap(shape, tensor.dtype)


def _fields(calls: list[LayerCall]) -> dict[FeatureMap, ReceptiveField | None]:
    """The receptive field of each output; None where there is no image."""
    fields: dict[FeatureMap, ReceptiveField | None] = {}
    for call in calls:
        if call.inputs:
            known = [fields[source] for source in call.inputs if fields[source] is not None]
            fields[call.output] = _field_of(call, known) if known else None
        else:
            fields[call.output] = (AxisField(), AxisField()) if len(call.output.shape) == 3 else None
    return fields


def _field_of(call: LayerCall, paths: list[ReceptiveField]) -> ReceptiveField:
    """The field of the call's output from those of its inputs."""
    field = tuple(
        AxisField(min(axis.low for axis in axes), max(axis.high for axis in axes), max(axis.jump for axis in axes))
        for axes in zip(*paths, strict=True)
    )
    if call.cost.windows is not None:
        return tuple(
            AxisField(low - padding * jump, high + (size - 1 - padding) * jump, jump * stride)
            for (low, high, jump), (size, stride, padding) in zip(field, call.cost.windows, strict=True)
        )
    shape = call.inputs[0].shape
    if len(shape) != 3:
        return field
    sizes = shape[1:] if call.layer.data_format == "channels_first" else shape[:2]
    # One unit sees all of the input's units.
    return tuple(
        AxisField(axis.low, axis.high + (size - 1) * axis.jump, 0) for axis, size in zip(field, sizes, strict=True)
    )


def _forward_bytes(calls: list[LayerCall], outputs: list[FeatureMap]) -> dict[LayerCall, int]:
    """The memory of each call's output in inference."""
    readers = Counter([source for call in calls for source in call.inputs] + outputs)
    # Outputs in memory of the network, which may be overwritten; the image may not.
    writable: set[FeatureMap] = set()
    sizes = {}
    for call in calls:
        sources = [source for source in call.inputs if source in writable and readers[source] == 1]
        free = call.cost.memory is Memory.NONE or (
            call.cost.memory is Memory.IN_PLACE and any(source.bytes >= call.output.bytes for source in sources)
        )
        if call.inputs and call.cost.memory is not Memory.NONE:
            writable.add(call.output)
        sizes[call] = 0 if free else call.output.bytes
    return sizes


def _saved_bytes(calls: list[LayerCall]) -> dict[LayerCall, int]:
    """The memory that each call allocates and a training step saves for the gradient."""
    origin: dict[FeatureMap, FeatureMap] = {}
    trained: set[FeatureMap] = set()
    saved: set[FeatureMap] = set()
    sizes = {}
    for call in calls:
        origin[call.output] = origin[call.inputs[0]] if call.cost.passes_on else call.output
        if not call.layer.trainable_weights and trained.isdisjoint(call.inputs):
            sizes[call] = 0
            continue
        trained.add(call.output)
        saved.update(origin[source] for source in call.inputs if call.cost.saves_input)
        saved.update([origin[call.output]] if call.cost.saves_output else [])
        sizes[call] = call.cost.extra_saved
    return {call: size + (call.output.bytes if call.output in saved else 0) for call, size in sizes.items()}
