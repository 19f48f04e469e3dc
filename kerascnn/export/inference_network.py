"""Builds the network that is exported: the main classifier in float32, with batch normalization folded."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras

from kerascnn.errors import InputError
from kerascnn.evaluation.feature_maps import copied, flatten_model
from kerascnn.evaluation.keras_models import graph_of
from kerascnn.export.folding import foldable, folded_weights
from kerascnn.keras_internals import all_layers, nodes_in_order

HALF_PRECISION = ("float16", "bfloat16")

# Layers that do nothing in inference.
TRAINING_ONLY = (
    keras.layers.Dropout,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    *(getattr(keras.layers, name) for name in ("AugMix", "CutMix", "MixUp", "RandAugment")),
    # Random augmentation. RandomCrop alone changes the size of images, also in inference.
    *(getattr(keras.layers, name) for name in dir(keras.layers) if name.startswith("Random") and name != "RandomCrop"),
)


def deployable(model: keras.Model) -> keras.Model:
    """Returns the network that is exported: the model's function in inference, in few layers and in float32.

    Auxiliary classifiers, dropout and random augmentation are removed, nested models are replaced by their layers.
    Batch normalization is folded into the convolution or dense layer before it wherever that is exact (see
    `kerascnn.export.folding`). TensorFlow's own converter takes the result, also where it fails on the model itself,
    such as one of mixed precision or with augmentation.

    Args:
        model: a classifier of RGB or gray images of one size, with one output or a dict with the key `main`; it is not
            changed.

    Raises:
        InputError: the model is no such classifier, or a layer computes in 16 bits and cannot be rebuilt.

    Example:
        >>> tf.lite.TFLiteConverter.from_keras_model(deployable(model)).convert()
    """
    main = flatten_model(graph_of(model))
    return _rebuild(main, foldable(main))


def in_float32(model: keras.Model) -> keras.Model:
    """Returns a model's main classifier, all layers in float32: the reference for its exported files.

    A mixed-precision model is rebuilt layer by layer, because TensorFlow's TFLite converter takes no float16 graph;
    its weights are float32 already and are copied. Arguments and errors are those of `deployable`.
    """
    return _rebuild(flatten_model(graph_of(model)), {})


def is_in_float32(model: keras.Model) -> bool:
    """Whether a model, nested ones included, computes in float32 only; then `in_float32` gives the same function."""
    tensors = (tensor for node in nodes_in_order(flatten_model(model)) for tensor in node.output_tensors)
    # Of an operation, only its result has a type.
    rounded = any(tensor.dtype in HALF_PRECISION for tensor in tensors)
    return not rounded and {layer.compute_dtype for layer in all_layers(model)} == {"float32"}


def _rebuild(model: keras.Model, folds: dict[str, str]) -> keras.Model:
    """Copies a model in float32 without training-only layers and without the batch normalizations in `folds`."""
    originals = {layer.name: layer for layer in model.layers}

    def change(config: dict[str, Any], is_layer: bool) -> dict[str, Any]:
        # An operation has a type only if it casts.
        single = {"dtype": "float32"} if is_layer or config.get("dtype") in HALF_PRECISION else {}
        return {**config, **single, **({"use_bias": True} if config.get("name") in folds.values() else {})}

    copies = {
        id(layer): copied(layer, partial(change, is_layer=isinstance(layer, keras.Layer))) for layer in model.operations
    }
    # A layer that takes part itself, because it cannot be copied, keeps its weights.
    folds = {name: before for name, before in folds.items() if copies[id(originals[before])] is not originals[before]}
    normalizations = {before: originals[name] for name, before in folds.items()}
    removed = set(folds) | {layer.name for layer in model.layers if isinstance(layer, TRAINING_ONLY)}

    def call(layer: keras.Operation, *args, **kwargs):
        return args[0] if layer.name in removed else layer(*args, **kwargs)

    copy = keras.models.clone_model(model, clone_function=lambda layer: copies[id(layer)], call_function=call)
    for layer in copy.layers:
        if layer.name in normalizations:
            layer.set_weights(folded_weights(originals[layer.name], normalizations[layer.name]))
        elif layer.weights:
            layer.set_weights(originals[layer.name].get_weights())
    if half := next((layer for layer in all_layers(copy) if layer.compute_dtype in HALF_PRECISION), None):
        kind = type(half).__name__
        raise InputError(f"the layer '{half.name}' ({kind}) computes in {half.compute_dtype} and has no float32 form.")
    return copy
