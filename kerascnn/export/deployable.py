"""The form of a model that is exported."""

from __future__ import annotations

import keras

from kerascnn.applications.deep import functional
from kerascnn.evaluation.predictors import facts_of, main_output


def deployable(model: keras.Model) -> keras.Model:
    """The model with its main classifier only, computing in float32, with the same weights.

    Auxiliary classifiers serve training. A mixed-precision model is rebuilt layer by layer, because TensorFlow's
    TFLite converter takes no float16 graph; its weights are float32 already and are copied as they are.

    Args:
        model: a classifier of square RGB pictures, with one output or a dict that has `main`.

    Returns:
        A new `keras.Model`; the old one is left as it is.

    Raises:
        InputError: the model is no such classifier.

    Example:
        >>> deployable(googlenet_with_heads).output_names
        ['labels']
    """
    facts_of(model)
    main = functional(model.inputs[0], main_output(model), name=model.name)
    copy = keras.models.clone_model(main, clone_function=_in_float32)
    copy.set_weights(main.get_weights())
    return copy


def _in_float32(layer: keras.Layer) -> keras.Layer:
    return layer.__class__.from_config({**layer.get_config(), "dtype": "float32"})
