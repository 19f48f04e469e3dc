"""What training on multi-label data needs beyond Keras: a loss with weights per label, and exact average precision."""

from __future__ import annotations

import keras
import numpy as np

from kerascnn.average_precision import mean_average_precision

MULTI_LABEL, SINGLE_LABEL = "multi-label", "single-label"  # Values of the recipe's field `task`
THRESHOLD = 0.5  # The probability from which an image counts as having a class, unless the user chooses another

# The names of what a step of an evaluation returns beside the metrics.
LABELS, PROBABILITIES = "labels", "probabilities"


@keras.saving.register_keras_serializable(package="kerascnn")
class LabelCrossentropy(keras.losses.Loss):
    """Binary cross-entropy, summed over the classes and averaged over the images.

    `keras.losses.BinaryCrossentropy` averages over the classes: with 40 of them, the gradient of each is a fortieth of
    what it is for softmax, for which recipes have their learning rates. Here sample weights may be (batch, classes).
    Smoothing moves each label to 0.5 by its fraction of the way.

    Example:
        >>> LabelCrossentropy()(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
        1.3862944
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "label_crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        smoothed = y_true * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        # Keras averages over images and classes.
        return keras.ops.binary_crossentropy(smoothed, y_pred) * y_pred.shape[-1]

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def start_with_shares(model: keras.Model, shares: np.ndarray) -> None:
    """Sets the classifiers' biases so that a network begins with the share of the images that have each class.

    Otherwise the first steps are spent on saying that most classes are absent, with the large gradients of all of them.
    `shares` are (classes,), of the training images.
    """
    # Its module imports Keras, which may be in the middle of importing this one.
    from kerascnn.applications.cutting import classifier_of

    limited = np.clip(shares, 0.001, 0.999)
    for layer in {classifier_of(model), *(layer for layer in model.layers if isinstance(layer, keras.layers.Dense))}:
        if layer.use_bias and layer.bias.shape == shares.shape:
            layer.bias.assign(np.log(limited / (1 - limited)))


def f1_metrics() -> list[keras.metrics.Metric]:
    """F1 at the threshold 0.5: "microf1" over all labels, and "macrof1", the mean over the classes."""
    return [
        keras.metrics.F1Score(average=average, threshold=THRESHOLD, name=f"{average}f1")
        for average in ("micro", "macro")
    ]


def measure_map(model: keras.Model, main: str | None) -> None:
    """Adds the mAP over all images of an evaluation to what a compiled model's `evaluate` returns.

    It is exact: labels and probabilities are collected in the memory of the host, where Keras' own metrics sum up
    batches. With auxiliary heads its name is "main_map", else "map". Training steps do not collect anything.

    Args:
        model: compiled, and prepared for its devices.
        main: the name of the main output; None if there is only one.
    """
    import tensorflow as tf

    name = f"{main}_map" if main else "map"
    newest, rows = [], []
    compute_metrics, test_step, make_function = model.compute_metrics, model.test_step, model.make_test_function
    get_result, reset = model.get_metrics_result, model.reset_metrics

    def compute(x, y, y_pred, sample_weight=None):
        newest[:] = [values[main] if isinstance(values, dict) else values for values in (y, y_pred)]
        return compute_metrics(x, y, y_pred, sample_weight)

    def step(data):
        logs = test_step(data)
        return {**logs, LABELS: newest[0], PROBABILITIES: newest[1]}

    def make_test_function(force=False):
        if model.test_function is None or force:
            make_function(force=True)
            model.test_function = collecting(model.test_function)

    def collecting(function):
        def collect(iterator):
            logs = dict(function(iterator))
            rows.append([np.asarray(logs.pop(key)) for key in (LABELS, PROBABILITIES)])
            return {**logs, name: np.nan}

        return collect

    def result():
        logs = get_result()
        if rows and tf.executing_eagerly():
            labels, probabilities = (np.concatenate(parts) for parts in zip(*rows, strict=True))
            logs[name] = mean_average_precision(labels > 0.5, probabilities)
        return logs

    def reset_metrics():
        rows.clear()
        reset()

    model.compute_metrics, model.test_step, model.make_test_function = compute, step, make_test_function
    model.get_metrics_result, model.reset_metrics = result, reset_metrics
