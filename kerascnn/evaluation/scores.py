"""Scores of a model on a whole split, every image counted once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kerascnn.average_precision import mean_average_precision
from kerascnn.data.dataset import DataSet, Examples
from kerascnn.data.pipeline.pipeline import evaluation_batches
from kerascnn.errors import InputError
from kerascnn.evaluation.crops import BATCH, crop_batches, whole_images
from kerascnn.evaluation.predictors import KerasPredictor, ModelMetadata, Predictor
from kerascnn.evaluation.protocols import CENTER_CROP, Protocol
from kerascnn.files.progress import Track, untracked


@dataclass(frozen=True)
class Scores:
    """A model's probabilities on labeled images.

    Attributes:
        class_names: in the order of the columns.
        labels: int (count,), the true classes.
        probabilities: float32 (count, classes).
        sizes: int32 (count, 2), the images' heights and widths in pixels, or None.
    """

    class_names: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    sizes: np.ndarray | None = None

    @property
    def predictions(self) -> np.ndarray:
        """int (count,), the most probable classes."""
        return self.probabilities.argmax(axis=1)

    @property
    def true_names(self) -> np.ndarray:
        """str (count,), the names of the true classes."""
        return np.array(self.class_names)[self.labels]

    def correct(self, k: int = 1) -> int:
        """Number of images whose class is among the k most probable ones."""
        from sklearn.metrics import top_k_accuracy_score

        if len(self.class_names) <= k:
            return len(self.labels)
        if k == 1:
            return int(np.count_nonzero(self.predictions == self.labels))
        classes = np.arange(len(self.class_names))
        return int(top_k_accuracy_score(self.labels, self.probabilities, k=k, normalize=False, labels=classes))

    def accuracy(self, k: int = 1) -> float:
        """Share of images whose class is among the k most probable ones."""
        return self.correct(k) / len(self.labels)

    def confusion(self) -> np.ndarray:
        """int (classes, classes): images of each true class (row) by predicted class (column)."""
        from sklearn.metrics import confusion_matrix

        return confusion_matrix(self.labels, self.predictions, labels=np.arange(len(self.class_names)))


@dataclass(frozen=True)
class MultiLabelScores:
    """A multi-label model's probabilities on labeled images.

    Attributes:
        class_names: in the order of the columns.
        labels: uint8 (count, classes), 1 for each class of the image.
        probabilities: float32 (count, classes).
        threshold: the probability from which an image counts as having a class.
        sizes: int32 (count, 2), the images' heights and widths in pixels, or None.
    """

    class_names: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    threshold: float
    sizes: np.ndarray | None = None

    @property
    def predictions(self) -> np.ndarray:
        """bool (count, classes), whether the probability is at least the threshold."""
        return self.probabilities >= self.threshold

    def mean_average_precision(self) -> float:
        """mAP: the mean of the classes' average precisions, from 0 to 1; it does not depend on the threshold."""
        return mean_average_precision(self.labels, self.probabilities)

    def names_of(self, decisions: np.ndarray) -> list[str]:
        """The classes of one image, from a row of `labels` or `predictions`.

        Example:
            >>> scores.names_of(scores.labels[0])
            ['beach', 'sea']
        """
        return [self.class_names[column] for column in np.flatnonzero(decisions)]


def evaluate(
    predictor: Predictor, data: DataSet, *, protocol: Protocol = CENTER_CROP, track: Track = untracked
) -> Scores | MultiLabelScores:
    """Scores a model on a data set's validation images. Each image is read once, for any protocol.

    Args:
        predictor: from `open_predictor`.
        data: its classes are matched to the model's by name.
        protocol: the views of an image to average probabilities over.
        track: shows progress over an iterable of known length.

    Raises:
        InputError: the data have classes that the model does not know, or one class per image where the model predicts
            any number, or the reverse; or the protocol does not fit the model.

    Example:
        >>> evaluate(open_predictor("model.keras"), data.load("pets.zip"), protocol=Protocol("10 crops")).accuracy()
        0.92
    """
    metadata, examples = predictor.metadata, data.validation
    if metadata.multi_label != data.multi_label:
        kinds = ["any number of classes per image" if multi else "one class per image" for multi in (True, False)]
        theirs, ours = kinds if metadata.multi_label else reversed(kinds)
        raise InputError(f"the model predicts {theirs}, but {data.source} has {ours}.")
    unknown = [name for name in data.class_names if name not in metadata.class_names]
    if unknown:
        raise InputError(
            f"the model has {len(metadata.class_names)} classes, and '{unknown[0]}' of {data.source} is not among them."
        )
    columns = np.array([metadata.class_names.index(name) for name in data.class_names])
    if protocol.name == "dense":
        outputs, views = _dense_outputs(predictor, examples, protocol), len(protocol.sides(metadata))
        count = len(examples) * views
    else:
        outputs, views = _crop_outputs(predictor, examples, protocol), protocol.views(metadata)
        count = -(-len(examples) * views // BATCH)
    sums = np.zeros((len(examples), len(metadata.class_names)))
    sizes = np.zeros((len(examples), 2), np.int32)
    for numbers, probabilities, shapes in track(outputs, count, f"Evaluating {predictor.kind}"):
        np.add.at(sums, numbers, probabilities)
        sizes[numbers] = shapes
    means = (sums / views).astype(np.float32)
    if metadata.threshold is None:
        return Scores(metadata.class_names, columns[examples.labels], means, sizes)
    labels = np.zeros(means.shape, np.uint8)
    labels[:, columns] = examples.labels
    return MultiLabelScores(metadata.class_names, labels, means, metadata.threshold, sizes)


def _crop_outputs(predictor: Predictor, examples: Examples, protocol: Protocol) -> Iterator[tuple]:
    """Image numbers, probabilities and image sizes of each batch of crops."""
    metadata = predictor.metadata
    sides = protocol.sides(metadata)
    batches = crop_batches(examples, protocol.name, sides, metadata.image_size, metadata.channels)
    for crops, numbers, shapes in batches.as_numpy_iterator():
        yield numbers, predictor.probabilities(crops), shapes


def _dense_outputs(predictor: Predictor, examples: Examples, protocol: Protocol) -> Iterator[tuple]:
    """The number, average probabilities and size of each image at each scale."""
    import tensorflow as tf

    # Imports Keras, which exported files do not need.
    from kerascnn.evaluation.fully_convolutional import fully_convolutional

    if not isinstance(predictor, KerasPredictor):
        found = f"{predictor.path} is a {predictor.kind}"
        raise InputError(f"dense evaluation rebuilds the network and needs a Keras model; {found}.")
    network, metadata = fully_convolutional(predictor.network), predictor.metadata
    # Compiled once for all image sizes.
    pixels = [tf.TensorSpec((None, None, None, metadata.channels), tf.float32)]
    predict = tf.function(lambda images: network(images, training=False), pixels)
    whole = whole_images(examples, protocol.sides(metadata), metadata.image_size, metadata.channels)
    for images, number, shape in whole.as_numpy_iterator():
        yield number, predict(images).numpy().mean(axis=(0, 1, 2), dtype=np.float64), shape


def views(examples: Examples, metadata: ModelMetadata) -> Iterator[np.ndarray]:
    """The evaluation views of examples, in order: float32 (batch, height, width, channels) in [0, 255]."""
    batches = evaluation_batches(examples, classes=1, batch_size=BATCH, **metadata.views)
    return (images.numpy() for images, _ in batches)
