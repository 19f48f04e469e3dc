"""Builds the network that is exported: the main classifier in float32, with batch normalization folded."""

from __future__ import annotations

import keras

from kerascnn.applications.deep import functional
from kerascnn.evaluation.predictors import main_output, model_metadata_of
from kerascnn.export.folding import foldable, folded_weights

# Layers that do nothing in inference.
TRAINING_ONLY = (
    keras.layers.Dropout,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
)


def deployable(model: keras.Model) -> keras.Model:
    """Returns the network that is exported: the model's function in inference, in few layers and in float32.

    Auxiliary classifiers and dropout are removed. Batch normalization is folded into the convolution or dense layer
    before it wherever that is exact (see `kerascnn.export.folding`).

    Args:
        model: a classifier of square RGB images, with one output or a dict with the key `main`; it is not changed.

    Raises:
        InputError: the model is no such classifier.

    Example:
        >>> deployable(googlenet_with_heads).output_names
        ['labels']
    """
    main = _main_classifier(model)
    return _rebuild(main, foldable(main))


def in_float32(model: keras.Model) -> keras.Model:
    """Returns a model's main classifier, all layers in float32: the reference for its exported files.

    A mixed-precision model is rebuilt layer by layer, because TensorFlow's TFLite converter takes no float16 graph;
    its weights are float32 already and are copied. Arguments and errors are those of `deployable`.
    """
    return _rebuild(_main_classifier(model), {})


def _main_classifier(model: keras.Model) -> keras.Model:
    # Raises if the model is no classifier of square images.
    model_metadata_of(model)
    return functional(model.inputs[0], main_output(model), name=model.name)


def _rebuild(model: keras.Model, folds: dict[str, str]) -> keras.Model:
    """Copies a model in float32 without training-only layers and without the batch normalizations in `folds`."""
    originals = {layer.name: layer for layer in model.layers}
    normalizations = {before: originals[name] for name, before in folds.items()}
    removed = set(folds) | {layer.name for layer in model.layers if isinstance(layer, TRAINING_ONLY)}

    def clone(layer: keras.Operation) -> keras.Operation:
        config = layer.get_config()
        if isinstance(layer, keras.Layer):
            config["dtype"] = "float32"
        if layer.name in normalizations:
            config["use_bias"] = True
        return layer.__class__.from_config(config)

    def call(layer: keras.Operation, *args, **kwargs):
        return args[0] if layer.name in removed else layer(*args, **kwargs)

    copy = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in copy.layers:
        if layer.name in normalizations:
            layer.set_weights(folded_weights(originals[layer.name], normalizations[layer.name]))
        elif layer.weights:
            layer.set_weights(originals[layer.name].get_weights())
    return copy
