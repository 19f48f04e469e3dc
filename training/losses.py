"""Losses that Keras lacks: of integer labels with smoothing, of margins, and one that vanishes."""

from __future__ import annotations

import keras

# Probabilities below it count as it: the scores of two classes then differ by at most 69.
LEAST = 1e-30


class IntegerLabels:
    """A mixin for losses of one-hot labels, which makes them of integers (batch,) or (batch, 1)."""

    def call(self, y_true, y_pred):
        classes = y_pred.shape[-1]
        return super().call(keras.ops.one_hot(keras.ops.reshape(y_true, (-1,)), classes), y_pred)


@keras.saving.register_keras_serializable(package="kerascnn")
class IntegerCrossentropy(IntegerLabels, keras.losses.CategoricalCrossentropy):
    """Categorical cross-entropy, with label smoothing, of integer labels (batch,) or (batch, 1).

    `keras.losses.SparseCategoricalCrossentropy` has no label smoothing.

    Example:
        >>> IntegerCrossentropy(label_smoothing=0.1)(np.array([1]), np.array([[0.5, 0.5]]))
        0.6931472
    """


@keras.saving.register_keras_serializable(package="kerascnn")
class SquaredHinge(keras.losses.Loss):
    """The squared margins below 1 between the score of an image's class and each of the others (Lee et al., 2014).

    The scores are the logarithms of softmax's probabilities, whose differences are those of its inputs. Labels are
    one-hot.

    Example:
        >>> SquaredHinge()(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
        1.0
    """

    def call(self, y_true, y_pred):
        scores = keras.ops.log(keras.ops.maximum(y_pred, LEAST))
        own = keras.ops.sum(y_true * scores, axis=-1, keepdims=True)
        missing = keras.ops.relu(1.0 - own + scores) * (1.0 - y_true)
        return keras.ops.sum(keras.ops.square(missing), axis=-1)


@keras.saving.register_keras_serializable(package="kerascnn")
class IntegerSquaredHinge(IntegerLabels, SquaredHinge):
    """`SquaredHinge` of integer labels."""


class SoftTargets(keras.losses.Loss):
    """The cross-entropy between a teacher's and a student's probabilities at a temperature, both given as logits.

    softmax(logits / temperature) is "softened" (Hinton et al., 2015, section 2). The gradient with respect to the
    student's logits is the difference of both, over the temperature.

    Example:
        >>> SoftTargets(temperature=2.0)(np.array([[2.0, 0.0]]), np.array([[0.0, 0.0]]))
        0.6931472
    """

    def __init__(self, temperature: float, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature

    def call(self, y_true, y_pred):
        targets = keras.ops.softmax(y_true / self.temperature)
        return keras.ops.categorical_crossentropy(targets, y_pred / self.temperature, from_logits=True)


class SoftLabels(SoftTargets):
    """`SoftTargets` of multi-label classifiers: a sigmoid per class, summed over the classes as `LabelCrossentropy`."""

    def call(self, y_true, y_pred):
        targets = keras.ops.sigmoid(y_true / self.temperature)
        losses = keras.ops.binary_crossentropy(targets, y_pred / self.temperature, from_logits=True)
        return losses * y_pred.shape[-1]


@keras.saving.register_keras_serializable(package="kerascnn")
class VanishingLoss(keras.losses.Loss):
    """A loss that counts above a threshold, with a weight that falls linearly from 1 to 0.

    Args:
        loss: of each image.
        threshold: a batch's mean loss up to which it is 0 and has no gradient.
        decay_steps: when the weight is 0; 0 for a constant weight.
        done: the optimizer's count of steps. Without it, as in a loaded model, the weight is 1.
    """

    def __init__(self, loss, threshold: float = 0.0, decay_steps: int = 0, done=None, name="vanishing_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.loss, self.threshold, self.decay_steps, self.done = loss, threshold, decay_steps, done

    def call(self, y_true, y_pred):
        losses = self.loss.call(y_true, y_pred)
        if self.threshold:
            counts = keras.ops.mean(losses) > self.threshold
            losses = (losses - self.threshold) * keras.ops.cast(counts, losses.dtype)
        if self.decay_steps and self.done is not None:
            share = keras.ops.cast(self.done, "float32") / self.decay_steps
            losses = losses * keras.ops.cast(keras.ops.maximum(1.0 - share, 0.0), losses.dtype)
        return losses

    def get_config(self):
        loss = keras.saving.serialize_keras_object(self.loss)
        return {**super().get_config(), "loss": loss, "threshold": self.threshold, "decay_steps": self.decay_steps}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "loss": keras.saving.deserialize_keras_object(config["loss"])})
