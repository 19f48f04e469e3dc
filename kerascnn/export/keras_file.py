"""Writes `.keras` files of Keras' own layers only, which Keras opens without kerascnn."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from kerascnn.errors import InputError
from kerascnn.evaluation.predictors import model_metadata_of
from kerascnn.layers import (
    BatchNormalization,
    ClassLabels,
    LocalResponseNormalization,
    Preprocessing,
    SpatialPyramidPooling,
    SubsampledIdentity,
)


def write_keras(model: keras.Model, path: Path) -> None:
    """Writes a result of `deployable` as a `.keras` file of Keras' own layers, for `keras.models.load_model`.

    Class names, image size and crop are in labels.txt and kerascnn.json inside the file, which is a zip archive.

    Raises:
        InputError: the model has other layers that Keras lacks, or is too deep for Keras to build without kerascnn.
    """
    stock_model(model).save(path)
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in model_metadata_of(model).to_files().items():
            archive.writestr(name, text)


def stock_model(model: keras.Model) -> keras.Model:
    """The same function in Keras' own layers and operations, with equal weights; errors as for `write_keras`."""

    def clone(layer: keras.Operation) -> keras.Operation:
        return STOCK[type(layer)](layer) if type(layer) in STOCK else type(layer).from_config(layer.get_config())

    def call(layer: keras.Operation, *arguments, **named):
        operations = OPERATIONS.get(type(layer))
        return operations(layer, *arguments) if operations else layer(*arguments, **named)

    if type(model) is not keras.Model and type(model).__module__.startswith("kerascnn"):
        raise InputError(f"{model.name} has too many layers for Keras to build it without kerascnn.")
    copy = keras.models.clone_model(model, clone_function=clone, call_function=call)
    others = {type(layer).__name__ for layer in copy.layers if not type(layer).__module__.startswith("keras.")}
    if others:
        raise InputError(f"{model.name} has layers that Keras lacks: {', '.join(sorted(others))}.")
    for layer in model.layers:
        if type(layer) is not Preprocessing and layer.weights:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
        elif getattr(layer, "whitening", False):
            matrix, bias = layer.get_weights()[1:]
            copy.get_layer(f"{layer.name}_whitening").set_weights([matrix, bias])
    return copy


def _normalization(layer: Preprocessing) -> keras.layers.Normalization:
    mean = keras.ops.convert_to_numpy(layer.mean)
    variance = np.broadcast_to(np.square(np.asarray(layer.std, "float64")), mean.shape)
    axis = {0: None, 1: -1, 3: (1, 2, 3)}[mean.ndim]
    return keras.layers.Normalization(axis, mean.tolist(), variance.tolist(), name=layer.name, dtype="float32")


def _preprocessed(layer: Preprocessing, x):
    """Scaled pixels, whose contrast is normalized, and which are whitened, if the layer does that."""
    x = _normalization(layer)(x)
    shape = x.shape[1:]
    count = math.prod(shape) if layer.contrast or layer.whitening else 0
    named = {"dtype": "float32", "trainable": False}
    if layer.contrast:
        # Divides by the root of the mean square: the norm is the root of the count.
        options = {"axis": (1, 2, 3), "center": False, "scale": False, "epsilon": 1e-12, **named}
        x = keras.layers.LayerNormalization(name=f"{layer.name}_contrast", **options)(x)
        x = keras.layers.Rescaling(layer.contrast / math.sqrt(count), name=f"{layer.name}_norm", dtype="float32")(x)
    if layer.whitening:
        x = keras.layers.Flatten(name=f"{layer.name}_values", dtype="float32")(x)
        x = keras.layers.Dense(count, name=f"{layer.name}_whitening", **named)(x)
        x = keras.layers.Reshape(shape, name=f"{layer.name}_pixels", dtype="float32")(x)
    return x


def _subsampled(layer: SubsampledIdentity, x):
    """Every n-th pixel, and zeros for the new channels."""
    x = keras.layers.AveragePooling2D(1, layer.strides, data_format=layer.data_format, name=f"{layer.name}_pixels")(x)
    channels_last = layer.data_format == "channels_last"
    new = layer.filters - x.shape[3 if channels_last else 1]
    # Taken for the other format, the channels are one of the two axes that the layer pads.
    padding, other = (((0, 0), (0, new)), "channels_first") if channels_last else (((0, new), (0, 0)), "channels_last")
    return keras.layers.ZeroPadding2D(padding, data_format=other, name=layer.name)(x) if new else x


# Layers that take the place of ours, and operations in the graph that take the place of a layer; a preprocessing layer
# stays until then, because it has weights.
STOCK: dict[type, Callable[[keras.layers.Layer], keras.layers.Layer]] = {
    BatchNormalization: lambda layer: keras.layers.BatchNormalization.from_config(layer.get_config()),
    ClassLabels: lambda layer: keras.layers.Identity(name=layer.name, dtype="float32"),
    Preprocessing: lambda layer: layer,
}
OPERATIONS: dict[type, Callable] = {
    LocalResponseNormalization: lambda layer, x: layer.call(x),
    SpatialPyramidPooling: lambda layer, x: layer.call(x),
    Preprocessing: _preprocessed,
    SubsampledIdentity: _subsampled,
}
