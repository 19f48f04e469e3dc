"""The loss of `compile_for` for labels that are integers instead of one-hot vectors."""

from __future__ import annotations

import keras


@keras.saving.register_keras_serializable(package="kerascnn")
class IntegerCrossentropy(keras.losses.CategoricalCrossentropy):
    """Categorical cross-entropy, with label smoothing, of integer labels (batch,) or (batch, 1).

    `keras.losses.SparseCategoricalCrossentropy` has no label smoothing.

    Example:
        >>> IntegerCrossentropy(label_smoothing=0.1)(np.array([1]), np.array([[0.5, 0.5]]))
        0.6931472
    """

    def call(self, y_true, y_pred):
        classes = y_pred.shape[-1]
        return super().call(keras.ops.one_hot(keras.ops.reshape(y_true, (-1,)), classes), y_pred)
