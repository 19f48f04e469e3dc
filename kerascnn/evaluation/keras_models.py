"""Reads any Keras classifier as one that maps pixels in [0, 255] to the probabilities of named classes."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import threading
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerascnn.applications.deep import functional
from kerascnn.applications.preprocessing import SCALINGS, Scaling
from kerascnn.console import messages, print_text
from kerascnn.errors import InputError, first_of, one_line, refused
from kerascnn.evaluation.feature_maps import TWO_CLASSES, flatten_model
from kerascnn.evaluation.model_options import INPUT_SCALINGS, NO_OPTIONS, ModelOptions, numbered_classes
from kerascnn.files.memory import free_memory, require_memory
from kerascnn.files.user_file import MAX_RATIO, checked_file, checked_folder, open_zip
from kerascnn.image_shape import COLORS, RGB, ImageSize, Size
from kerascnn.keras_internals import nodes_in_order, producing_node
from kerascnn.layers import ClassLabels, Preprocessing
from kerascnn.native_output import logged_from

# The name of the output to use when a network has several classifiers.
MAIN = "main"

# Of `INPUT_SCALINGS`.
UNSCALED = "none"
SCALING_OF = {
    UNSCALED: Scaling((0.0,) * 3, (1.0,) * 3),
    "unit": Scaling((0.0,) * 3, (255.0,) * 3),
    **{name: SCALINGS[name] for name in ("symmetric", "torch", "caffe")},
}

# Layers and operations that scale pixels, if they come before the first layer with a kernel.
SCALING_LAYERS = (keras.layers.Rescaling, keras.layers.Normalization, keras.layers.BatchNormalization, Preprocessing)
SCALING_OPERATIONS = {"Add", "Subtract", "Multiply", "Divide", "TrueDivide"}

# Bytes of a weight, or of a value between layers.
FLOAT = 4

# Held while `keras.layers.Layer.add_weight` is replaced.
_LIMITING = threading.RLock()

# The images that show what a model's outputs are; bytes for a pixel's channel in all of them.
TEST_IMAGES = 4
TEST_BYTES = 4 * 16

# How far sums of probabilities may be from 1, in 16-bit precision too.
ROUNDING = 0.01

# From which probability an image has a class, where every class has a sigmoid of its own.
THRESHOLD = 0.5


def load_keras(path: Path) -> keras.Model:
    """Loads a Keras model from its `.keras` or `.h5` file, without its optimizer and losses.

    InputError if the file is not a Keras model, or needs code that is not there.
    """
    with refused(f"{path} cannot be opened as a Keras model", _why_not_keras):
        if zipfile.is_zipfile(checked_file(path)):
            with open_zip(path) as archive:
                # Keras does not read to the end of what it reads, where damage would show.
                if damaged := archive.testzip():
                    raise zipfile.BadZipFile(f"its {damaged} is damaged")
        with _limited_weights(min(MAX_RATIO * os.stat(path).st_size, free_memory())):
            try:
                return keras.saving.load_model(path, compile=False)
            except InputError as error:
                # Our own layers do not know of which file they are.
                raise ValueError(str(error)) from None


@contextlib.contextmanager
def _limited_weights(most: int) -> Iterator[None]:
    """Layers that are built inside the block get weights of so many bytes in all; what a config may claim is endless.

    MemoryError before more are made. Other threads build layers as before, or wait here.
    """
    with _LIMITING:
        add_weight, left, thread = keras.layers.Layer.add_weight, most, threading.get_ident()

        def limited(layer: keras.layers.Layer, shape: Any = None, *arguments: Any, **options: Any) -> keras.Variable:
            nonlocal left
            if threading.get_ident() == thread:
                # Keras takes whatever has sides, TensorFlow's shapes too.
                left -= FLOAT * math.prod(shape if isinstance(shape, Iterable) else (shape or 1,))
                if left < 0:
                    raise MemoryError("its layers have more weights than the file, or than there is memory for")
            return add_weight(layer, shape, *arguments, **options)

        keras.layers.Layer.add_weight = limited
        try:
            yield
        finally:
            keras.layers.Layer.add_weight = add_weight


def largest_tensor(model: keras.Model) -> int:
    """The bytes of the largest tensor inside a functional model, nested ones included, for one image."""
    largest = 0
    for node in nodes_in_order(model):
        sizes = [math.prod(side or 1 for side in tensor.shape) for tensor in node.output_tensors]
        largest = max(largest, FLOAT * max(sizes, default=0))
        nested = node.operation
        if isinstance(nested, keras.Model) and getattr(nested, "inputs", None):
            # A Sequential shows its graph to nobody else.
            largest = max(largest, largest_tensor(functional(nested.inputs, nested.outputs)))
    return largest


def _why_not_keras(error: Exception) -> str:
    there = "load the model in Python and hand it over there."
    if missing := re.search(r"Could not locate class '(\w+)'|Unknown layer: '?(\w+)", str(error)):
        return f"it has the class {missing[1] or missing[2]}, which Keras does not know; import its code, {there}"
    if "`Lambda` layer" in str(error):
        return f"it has a Lambda layer, that is code; if you trust it and set safe_mode=False, {there}"
    return "it holds only weights." if "No model config" in str(error) else one_line(error)


def load_saved_model(path: Path) -> keras.Model:
    """A SavedModel of any program as one layer, without class names; InputError if it has no serving signature."""
    import tensorflow as tf

    def reason_of(error: Exception) -> str:
        reasons = {"Available endpoints": "it has no such signature.", "values to unpack": "it has more tensors."}
        return next((reason for part, reason in reasons.items() if part in str(error)), one_line(error))

    described = f"{path} is not a SavedModel whose signature serving_default maps one tensor to one"
    with refused(described, reason_of), logged_from("absl", logging.CRITICAL):
        layer = keras.layers.TFSMLayer(str(checked_folder(path)), call_endpoint="serving_default", name="saved_model")
        [spec] = layer.call_endpoint_fn.structured_input_signature[1].values()
        pixels = keras.Input(tuple(spec.shape)[1:], dtype="float32", name="pixels")
        cast = pixels if spec.dtype == tf.float32 else keras.ops.cast(pixels, spec.dtype.name)
        [output] = keras.tree.flatten(layer(cast))
    return functional(pixels, output, name=path.name)


def main_output(model: keras.Model) -> keras.KerasTensor | None:
    """The output of a model's only or main classifier; None if that is ambiguous."""
    outputs = getattr(model, "outputs", None) or []
    if len(outputs) == 1:
        return outputs[0]
    return model.output.get(MAIN) if outputs and isinstance(model.output, dict) else None


def labels_of(model: keras.Model) -> ClassLabels | None:
    """The layer behind a model's main classifier that holds its class names."""
    output = main_output(model)
    layer = None if output is None else producing_node(output).operation
    return layer if isinstance(layer, ClassLabels) else None


def graph_of(model: keras.Model, image_size: Size | None = None) -> keras.Model:
    """The main classifier of a model that maps RGB or gray images to a value per class, for images of one size.

    A model without a graph, such as a subclassed one, becomes a layer of the result. `image_size` is None for the
    model's own; InputError if it has none or another one, or if the model is no such classifier.
    """
    if not isinstance(model, keras.Model):
        raise InputError(
            f"{type(model).__name__} is no model; give a Keras model, or its path to functions that open it."
        )
    shape = _input_shape(model)
    several = len(getattr(model, "inputs", None) or ()) > 1
    if several or len(shape) != 4 or shape[3] not in (*COLORS, None):
        raise _not_a_classifier(model, "it has several inputs" if several else f"its input is {shape[1:]}")
    own = shape[1:3]
    if None in own and image_size is None:
        raise _not_a_classifier(model, "it takes any size; give one as --image-size PIXELS, in Python image_size=")
    size = tuple(own) if image_size is None else tuple(ImageSize.of(image_size))
    if any(side not in (None, given) for side, given in zip(own, size, strict=True)):
        raise InputError(f"the model '{model.name}' takes images of {own[0]} x {own[1]}, not {size[0]} x {size[1]}.")
    channels = shape[3] or RGB
    fixed = getattr(model, "inputs", None) and tuple(model.inputs[0].shape) == (None, *size, channels)
    if not fixed:
        pixels = keras.Input((*size, channels), name="pixels")
        with refused(f"the model '{model.name}' cannot be called with images"):
            model = functional(pixels, model(pixels), name=model.name)
    output = main_output(model)
    if output is None or len(output.shape) != 2 or output.shape[1] is None:
        of = "it has several outputs" if output is None else f"its output is {output.shape[1:]}"
        raise _not_a_classifier(model, of)
    return functional(model.inputs[0], output, name=model.name)


def _not_a_classifier(model: keras.Model, reason: str) -> InputError:
    return InputError(f"the model '{model.name}' does not map RGB or gray images of one size to classes: {reason}.")


def _input_shape(model: keras.Model) -> tuple[int | None, ...]:
    if getattr(model, "inputs", None):
        return tuple(model.inputs[0].shape)
    config = (model.get_build_config() if getattr(model, "built", False) else None) or {}
    shape = config.get("input_shape")
    # A model that was never built or called takes what it is given.
    return (None,) * 4 if shape is None else tuple(shape)


def as_classifier(model: keras.Model, options: ModelOptions = NO_OPTIONS) -> keras.Model:
    """A model that maps pixels in [0, 255] to the probabilities of named classes; the given one if it does.

    What has to be assumed, where the options say nothing, is printed on standard error. Logits get a softmax, and a
    single value, the probability or logit of the second class, becomes two probabilities. If each of several classes
    has a sigmoid, the model is multi-label.

    Raises:
        InputError: the model does not map one image to one output, or one called "main", a value per class; its
            outputs are neither probabilities nor logits; or an option does not fit.

    Example:
        >>> as_classifier(keras.Sequential([..., keras.layers.Dense(1, "sigmoid")])).output_shape
        (None, 2)
    """
    if labels := labels_of(model):
        options.check(f"the model '{model.name}'", labels.class_names, ImageSize(*model.inputs[0].shape[1:3]).plain)
        return model
    graph = graph_of(model, options.image_size)
    flat = flatten_model(graph)
    if options.scaling not in (None, UNSCALED):
        graph = with_scaling(graph, SCALING_OF[options.scaling])
    elif options.scaling is None and not _scales_pixels(flat):
        _say(
            f"assumed: '{model.name}' takes {COLORS[graph.inputs[0].shape[3]]} pixels from 0 to 255, as no layer "
            f"that scales them was found; otherwise give --scaling, in Python scaling= ({', '.join(INPUT_SCALINGS)})"
        )
    output, threshold = _probabilities(graph, _last_activation(flat))
    names = options.class_names
    if names is None:
        names = numbered_classes(output.shape[1])
        _say(
            f"'{model.name}' has no class names: its classes are {first_of(names, 2)}; give --labels FILE, in Python "
            "class_names=, in the order of its outputs"
        )
    elif len(names) != output.shape[1]:
        single = ", one for a value near 0, then one for a value near 1" if graph.output_shape[1] == 1 else ""
        raise InputError(
            f"{len(names)} class names ({first_of(names)}) do not fit the model '{model.name}' of {output.shape[1]} "
            f"classes; give {output.shape[1]}{single}."
        )
    return with_labels(graph, output, names, threshold)


def with_scaling(network: keras.Model, scaling: Scaling, crop_fraction: float = 1.0) -> keras.Model:
    """A network behind a layer that scales its pixels from [0, 255]."""
    shape = network.inputs[0].shape[1:]
    if shape[2] != RGB and (scaling.reverse or len(set(scaling.mean)) > 1):
        raise InputError(f"the model '{network.name}' takes gray images; torch and caffe are scalings of RGB images.")
    pixels = keras.Input(shape, name="pixels")
    scale = Preprocessing((shape[2],), list(scaling.std[: shape[2]]), crop_fraction, name="preprocessing")
    x = scale(pixels)
    scale.set_mean(scaling.mean[: shape[2]])
    return functional(pixels, network(keras.ops.flip(x, axis=-1) if scaling.reverse else x), name=network.name)


def with_labels(
    network: keras.Model, probabilities: keras.KerasTensor, class_names: tuple[str, ...], threshold: float | None = None
) -> keras.Model:
    """A network from its input to these probabilities, with the names of their classes behind them."""
    labels = ClassLabels(class_names, threshold, dtype="float32", name=_free_name(network, "labels"))
    return functional(network.inputs[0], labels(probabilities), name=network.name)


def _probabilities(graph: keras.Model, activation: str | None) -> tuple[keras.KerasTensor, float | None]:
    """The output as probabilities, and for a multi-label model its threshold; it is judged by the values for images."""
    values, output, name = _values(graph), graph.outputs[0], graph.name
    low, high, several = values.min(), values.max(), values.shape[1] > 1
    if not np.isfinite(values).all():
        raise InputError(f"the model '{name}' gives values that are not finite for images with pixels from 0 to 255.")
    bounded = low >= -ROUNDING and high <= 1 + ROUNDING
    if not several and activation == "softmax":
        raise InputError(f"the model '{name}' ends in a softmax over one value, which is always 1: it has no classes.")
    if several and bounded and np.abs(values.sum(axis=1) - 1).max() <= ROUNDING:
        return output, None
    if several and bounded and activation == "sigmoid":
        _say(f"every output of '{name}' has a sigmoid of its own: an image has each class from {THRESHOLD} on, or none")
        return output, THRESHOLD
    logits = not bounded or activation == "linear"
    if several and not logits:
        raise InputError(
            f"the {values.shape[1]} outputs of the model '{name}' are neither probabilities, which add up to 1, nor "
            f"logits: they are from {low:.3g} to {high:.3g} for test images; end it in a softmax."
        )
    if logits:
        following = "softmax" if several else "sigmoid"
        _say(
            f"the outputs of '{name}' are no probabilities (from {low:.3g} to {high:.3g} for test images): "
            f"a {following} follows them"
        )
        free = _free_name(graph, following)
        output = keras.layers.Activation(following, dtype="float32", name=free)(output)
    if several:
        return output, None
    _say(f"the one output of '{name}' is the probability of its second class, the first has the rest")
    # Rescaling is 1 - p.
    rest = keras.layers.Rescaling(-1.0, 1.0, dtype="float32", name=_free_name(graph, "rest"))(output)
    return keras.layers.Concatenate(dtype="float32", name=_free_name(graph, TWO_CLASSES))([rest, output]), None


def _values(graph: keras.Model) -> np.ndarray:
    """float64 (images, classes) for a black, a white, a shaded and a noisy image."""
    height, width, channels = graph.inputs[0].shape[1:]
    with refused(f"the model '{graph.name}' cannot be run on images"):
        require_memory(max(height * width * channels * TEST_BYTES, TEST_IMAGES * largest_tensor(graph)))
        shaded = np.linspace(0, 255, height * width * channels).reshape(height, width, channels)
        noise = np.random.default_rng(0).uniform(0, 255, shaded.shape)
        images = np.stack([np.zeros(shaded.shape), np.full(shaded.shape, 255.0), shaded, noise]).astype(np.float32)
        outputs = graph(images, training=False)
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32")), np.float64)


def _last_activation(flat: keras.Model) -> str | None:
    """What makes the output: "softmax", "sigmoid", "linear" for a layer without activation; None for anything else."""
    operation = producing_node(flat.outputs[0]).operation
    if isinstance(operation, keras.layers.Softmax) or type(operation).__name__ == "Softmax":
        return "softmax"
    activation = getattr(operation, "activation", None)
    name = getattr(activation, "__name__", type(operation).__name__.lower())
    return name if name in ("softmax", "sigmoid", "linear") else None


def _scales_pixels(flat: keras.Model) -> bool:
    """Whether something before the first layer with a kernel scales the pixels."""
    for operation in (node.operation for node in nodes_in_order(flat)):
        if isinstance(operation, SCALING_LAYERS) or type(operation).__name__ in SCALING_OPERATIONS:
            return True
        if getattr(operation, "kernel", None) is not None:
            return False
    return False


def _free_name(model: keras.Model, name: str) -> str:
    taken = {layer.name for layer in model.layers}
    return next(one for one in (name, *(f"{name}_{count}" for count in range(2, len(taken) + 3))) if one not in taken)


def _say(sentence: str) -> None:
    print_text(messages(), sentence)
