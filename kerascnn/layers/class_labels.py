"""The class names, and whether an image has one class or several, stored inside the model."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from kerascnn.errors import InputError
from kerascnn.shown_text import literal


@keras.saving.register_keras_serializable(package="kerascnn")
class ClassLabels(keras.layers.Layer):
    """An identity layer that stores the class names in the model's config.

    A layer survives saving, cloning, cutting and exporting; a file next to the model or an attribute of the Python
    object does not.

    Args:
        class_names: one name per class, in the order of the probabilities; control characters are written out.
        threshold: of a multi-label classifier, the probability from which an image counts as having a class; None if
            an image has one class, the most probable one.

    Shapes:
        (batch, classes), unchanged.

    Raises:
        InputError: the number of names is not the number of classes, or the threshold is not from 0 to 1.

    Example:
        >>> outputs = ClassLabels(["cat", "dog"], name="labels")(probabilities)
    """

    def __init__(self, class_names: Sequence[str], threshold: float | None = None, **kwargs):
        super().__init__(**kwargs)
        if threshold is not None and not 0 <= threshold <= 1:
            raise InputError(f"the threshold of a multi-label classifier must be from 0 to 1, not {threshold}.")
        self.class_names, self.threshold = tuple(literal(str(name)) for name in class_names), threshold

    def build(self, input_shape):
        if input_shape[-1] != len(self.class_names):
            raise InputError(f"{len(self.class_names)} class names do not fit a network of {input_shape[-1]} classes.")

    def call(self, inputs):
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = {"class_names": list(self.class_names)}
        return {**super().get_config(), **own, **({} if self.threshold is None else {"threshold": self.threshold})}
