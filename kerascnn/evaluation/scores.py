"""Scores of predictions over a whole split, every image counted once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kerascnn.data.dataset import DataSet, Examples
from kerascnn.data.pipeline.pipeline import evaluation_batches
from kerascnn.errors import InputError
from kerascnn.evaluation.predictors import KerasPredictor, ModelMetadata, Predictor
from kerascnn.evaluation.protocols import CENTRE, Protocol
from kerascnn.evaluation.streams import BATCH, crop_batches, whole_images
from kerascnn.files.progress import Track, untracked


@dataclass(frozen=True)
class Scores:
    """What a model does on images whose classes are known.

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

    def right(self, k: int = 1) -> int:
        """How many images have their class among the k most probable ones."""
        from sklearn.metrics import top_k_accuracy_score

        if len(self.class_names) <= k:
            return len(self.labels)
        if k == 1:
            return int(np.count_nonzero(self.predictions == self.labels))
        classes = np.arange(len(self.class_names))
        return int(top_k_accuracy_score(self.labels, self.probabilities, k=k, normalize=False, labels=classes))

    def accuracy(self, k: int = 1) -> float:
        """The share of images whose class is among the k most probable ones."""
        return self.right(k) / len(self.labels)

    def confusion(self) -> np.ndarray:
        """int (classes, classes): images of each true class (row) by predicted class (column)."""
        from sklearn.metrics import confusion_matrix

        return confusion_matrix(self.labels, self.predictions, labels=np.arange(len(self.class_names)))


def evaluate(predictor: Predictor, data: DataSet, *, protocol: Protocol = CENTRE, track: Track = untracked) -> Scores:
    """Scores a model on a data set's validation images, each read once whatever the protocol.

    Args:
        predictor: from `open_predictor`.
        data: its classes are matched to the model's by name.
        protocol: over which views of an image the probabilities are averaged.
        track: shows progress over an iterable of known length.

    Raises:
        InputError: the data have classes that the model does not know, or the model cannot be asked like that.

    Example:
        >>> evaluate(open_predictor("model.keras"), data.load("pets.zip"), protocol=Protocol("10 crops")).accuracy()
        0.92
    """
    labels = _labels_of_model(predictor.metadata, data)
    averaged = _dense if protocol.name == "dense" else _over_crops
    probabilities, sizes = averaged(predictor, data.validation, protocol, track)
    return Scores(predictor.metadata.class_names, labels, probabilities, sizes)


def _over_crops(
    predictor: Predictor, examples: Examples, protocol: Protocol, track: Track
) -> tuple[np.ndarray, np.ndarray]:
    metadata = predictor.metadata
    views = protocol.views(metadata)
    batches = crop_batches(examples, protocol.name, protocol.sides(metadata), metadata.image_size)
    sums = np.zeros((len(examples), len(metadata.class_names)))
    sizes = np.zeros((len(examples), 2), np.int32)
    count = -(-len(examples) * views // BATCH)
    for crops, images, shapes in track(batches.as_numpy_iterator(), count, f"Evaluating {predictor.kind}"):
        np.add.at(sums, images, predictor.probabilities(crops))
        sizes[images] = shapes
    return (sums / views).astype(np.float32), sizes


def _dense(predictor: Predictor, examples: Examples, protocol: Protocol, track: Track) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow as tf

    # It imports Keras, and an exported file is scored without.
    from kerascnn.evaluation.fully_convolutional import fully_convolutional

    if not isinstance(predictor, KerasPredictor):
        raise InputError(
            f"dense evaluation rebuilds the network and needs a Keras model; {predictor.path} is a {predictor.kind}."
        )
    sides = protocol.sides(predictor.metadata)
    network = fully_convolutional(predictor.network)
    pixels = tf.TensorSpec((None, None, None, 3), tf.float32)
    # Compiled once for all sizes of stream.
    of_places = tf.function(lambda images: network(images, training=False), input_signature=[pixels])
    sums = np.zeros((len(examples), len(predictor.metadata.class_names)))
    sizes = np.zeros((len(examples), 2), np.int32)
    stream = whole_images(examples, sides).as_numpy_iterator()
    for images, number, shape in track(stream, len(examples) * len(sides), "Evaluating densely"):
        sums[number] += of_places(images).numpy().mean(axis=(0, 1, 2), dtype=np.float64)
        sizes[number] = shape
    return (sums / len(sides)).astype(np.float32), sizes


def views(examples: Examples, metadata: ModelMetadata) -> Iterator[np.ndarray]:
    """The evaluation views of examples, in order: float32 (batch, size, size, 3) in [0, 255]."""
    batches = evaluation_batches(
        examples,
        classes=1,
        size=metadata.image_size,
        crop_fraction=metadata.crop_fraction,
        batch_size=BATCH,
    )
    return (images.numpy() for images, _ in batches)


def _labels_of_model(metadata: ModelMetadata, data: DataSet) -> np.ndarray:
    unknown = [name for name in data.class_names if name not in metadata.class_names]
    if unknown:
        raise InputError(
            f"the model has {len(metadata.class_names)} classes, and '{unknown[0]}' of {data.source} is not among them."
        )
    columns = np.array([metadata.class_names.index(name) for name in data.class_names])
    return columns[data.validation.labels]
