"""The form of a model that is exported."""

from __future__ import annotations

import keras

from kerascnn.applications.deep import functional
from kerascnn.evaluation.predictors import main_output, model_metadata_of
from kerascnn.export.folding import foldable, folded_weights

# What does nothing in inference.
TRAINING_ONLY = (
    keras.layers.Dropout,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
)


def deployable(model: keras.Model) -> keras.Model:
    """The function that a model computes in inference, in as few layers as that takes, in float32.

    Auxiliary classifiers and dropout serve training and are gone. Batch normalization is part of the convolution or
    dense layer before it, wherever the graph allows that exactly (see `kerascnn.export.folding`).

    Args:
        model: a classifier of square RGB images, with one output or a dict that has `main`.

    Returns:
        A new plain `keras.Model`; the old one is left as it is.

    Raises:
        InputError: the model is no such classifier.

    Example:
        >>> deployable(googlenet_with_heads).output_names
        ['labels']
    """
    model_metadata_of(model)
    main = _main_classifier(model)
    return _rebuilt(main, foldable(main))


def in_float32(model: keras.Model) -> keras.Model:
    """A model's main classifier with every layer of it, in float32: what its deployable form must agree with.

    A mixed-precision model is rebuilt layer by layer, because TensorFlow's TFLite converter takes no float16 graph;
    its weights are float32 already and are copied as they are.

    Args and raises are those of `deployable`.
    """
    model_metadata_of(model)
    return _rebuilt(_main_classifier(model), {})


def _main_classifier(model: keras.Model) -> keras.Model:
    return functional(model.inputs[0], main_output(model), name=model.name)


def _rebuilt(model: keras.Model, folds: dict[str, str]) -> keras.Model:
    """The model in float32 without what only training needs, and without the batch normalizations in `folds`."""
    originals = {layer.name: layer for layer in model.layers}
    normalizations = {before: originals[name] for name, before in folds.items()}
    left_out = set(folds) | {layer.name for layer in model.layers if isinstance(layer, TRAINING_ONLY)}

    def clone(layer: keras.Operation) -> keras.Operation:
        config = layer.get_config()
        if isinstance(layer, keras.Layer):
            config["dtype"] = "float32"
        if layer.name in normalizations:
            config["use_bias"] = True
        return layer.__class__.from_config(config)

    def call(layer: keras.Operation, *args, **kwargs):
        return args[0] if layer.name in left_out else layer(*args, **kwargs)

    copy = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in copy.layers:
        if layer.name in normalizations:
            layer.set_weights(folded_weights(originals[layer.name], normalizations[layer.name]))
        elif layer.weights:
            layer.set_weights(originals[layer.name].get_weights())
    return copy
