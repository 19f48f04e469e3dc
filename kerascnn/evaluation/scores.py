"""Scores of a model on a whole split, every image counted once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from kerascnn.average_precision import mean_average_precision
from kerascnn.data.dataset import DataSet, Examples
from kerascnn.data.labeled_images import LabeledImages
from kerascnn.data.pipeline.pipeline import evaluation_batches
from kerascnn.errors import InputError, first_of
from kerascnn.evaluation.class_matching import match_classes
from kerascnn.evaluation.crops import BATCH, crop_batches, whole_images
from kerascnn.evaluation.model_options import numbered_classes
from kerascnn.evaluation.predictors import KerasPredictor, ModelMetadata, Predictor, predictor_of
from kerascnn.evaluation.protocols import CENTER_CROP, Protocol
from kerascnn.files.progress import Track, untracked

if TYPE_CHECKING:
    from kerascnn.evaluation.predictors import AnyModel


# What becomes of images of classes that a model does not know.
Unknown = Literal["wrong", "skip"]


class _OfKnownClasses:
    """The classes that a model knows, for scores that may have others at the end."""

    class_names: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def known_names(self) -> tuple[str, ...]:
        """The classes that the model knows."""
        return self.class_names[: len(self.class_names) - len(self.unknown)]


@dataclass(frozen=True)
class Scores(_OfKnownClasses):
    """A model's probabilities on labeled images.

    Attributes:
        class_names: in the order of the columns; at the end those of the data that the model does not know.
        labels: int (count,), the true classes.
        probabilities: float32 (count, classes); 0 for classes that the model does not know.
        sizes: int32 (count, 2), the images' heights and widths in pixels, or None.
        unknown: the classes that the model does not know; all their images count as wrong.
    """

    class_names: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    sizes: np.ndarray | None = None
    unknown: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Scores: {self.correct()} of {len(self.labels)} images are correct, {self.accuracy():.2%}>"

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

        classes = np.arange(len(self.known_names))
        known = self.labels < len(classes)
        if len(classes) <= k or not known.any():
            return int(np.count_nonzero(known))
        if k == 1:
            return int(np.count_nonzero(self.predictions == self.labels))
        labels, probabilities = self.labels[known], self.probabilities[known, : len(classes)]
        return int(top_k_accuracy_score(labels, probabilities, k=k, normalize=False, labels=classes))

    def accuracy(self, k: int = 1) -> float:
        """Share of images whose class is among the k most probable ones."""
        return self.correct(k) / len(self.labels)

    def confusion(self) -> np.ndarray:
        """int (classes, classes): images of each true class (row) by predicted class (column)."""
        from sklearn.metrics import confusion_matrix

        return confusion_matrix(self.labels, self.predictions, labels=np.arange(len(self.class_names)))


@dataclass(frozen=True)
class MultiLabelScores(_OfKnownClasses):
    """A multi-label model's probabilities on labeled images.

    Attributes:
        class_names, probabilities, sizes, unknown: as of `Scores`.
        labels: uint8 (count, classes), 1 for each class of the image.
        threshold: the probability from which an image counts as having a class.
    """

    class_names: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    threshold: float
    sizes: np.ndarray | None = None
    unknown: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<MultiLabelScores: mAP {self.mean_average_precision():.2%} of {len(self.labels)} images>"

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
    model: AnyModel,
    data: DataSet | LabeledImages,
    *,
    unknown: Unknown = "wrong",
    protocol: Protocol = CENTER_CROP,
    track: Track = untracked,
) -> Scores | MultiLabelScores:
    """Scores a model on labeled images. Each image is read once, for any protocol.

    Args:
        model: from `open_predictor` or `kerascnn.load`, a Keras model, or what `open_predictor` takes.
        data: a data set, of which the validation images are used; or any images: `kerascnn.data.load_labeled(source)`
            for all of a source, `LabeledImages.of(data, "test")` for a split. Classes are matched by name.
        unknown: what becomes of images of classes that the model does not know: "wrong" counts them as wrong; "skip"
            leaves them out.
        protocol: the views of an image to average probabilities over.
        track: shows progress over an iterable of known length.

    Raises:
        InputError: the model knows none of the classes, two classes are one of the model's, the data have one class per
            image where the model predicts any number, or the reverse, or the protocol does not fit the model.

    Example:
        >>> evaluate(open_predictor("model.keras"), data.load("pets.zip"), protocol=Protocol("10 crops")).accuracy()
        0.92
        >>> evaluate(open_predictor("model.keras"), data.load_labeled("holdout"), unknown="skip").unknown
        ()
    """
    images, predictor = labeled_images(data), predictor_of(model)
    metadata = predictor.metadata
    if metadata.multi_label != images.multi_label:
        kinds = ["any number of classes per image" if multi else "one class per image" for multi in (True, False)]
        theirs, ours = kinds if metadata.multi_label else reversed(kinds)
        several = "; --labels-per-image several, in Python DataOptions(labels='several'), reads a table as multi-label"
        hint = several if metadata.multi_label else ""
        raise InputError(f"the model predicts {theirs}, but {images.source} has {ours}{hint}.")
    images = known_images(images, metadata, unknown)
    classes = match_classes(images.class_names, metadata.class_names, images.source)
    examples = images.examples
    if protocol.name == "dense":
        outputs, views = _dense_outputs(predictor, examples, protocol), len(protocol.sides(metadata))
        count = len(examples) * views
    else:
        outputs, views = _crop_outputs(predictor, examples, protocol), protocol.views(metadata)
        count = -(-len(examples) * views // BATCH)
    sums = np.zeros((len(examples), len(classes.class_names)))
    sizes = np.zeros((len(examples), 2), np.int32)
    for numbers, probabilities, shapes in track(outputs, count, f"Evaluating {predictor.kind}"):
        np.add.at(sums[:, : len(metadata.class_names)], numbers, probabilities)
        sizes[numbers] = shapes
    means = (sums / views).astype(np.float32)
    if metadata.threshold is None:
        return Scores(classes.class_names, classes.numbers[examples.labels], means, sizes, classes.unknown)
    labels = np.zeros(means.shape, np.uint8)
    labels[:, classes.numbers] = examples.labels
    return MultiLabelScores(classes.class_names, labels, means, metadata.threshold, sizes, classes.unknown)


def labeled_images(data: DataSet | LabeledImages) -> LabeledImages:
    """The images that `evaluate` scores: of a data set, those for validation; InputError if they are not loaded."""
    if not isinstance(data, DataSet | LabeledImages):
        raise InputError(f"the data must be from kerascnn.data.load or load_labeled, not {data!r}.")
    return LabeledImages.of(data, "validation") if isinstance(data, DataSet) else data


def known_images(images: LabeledImages, metadata: ModelMetadata, unknown: Unknown) -> LabeledImages:
    """The images that count in an evaluation: all, or with "skip" those of classes that the model knows.

    InputError if the model knows none of the classes, or `unknown` is another word.
    """
    if unknown not in get_args(Unknown):
        raise InputError(f"images of unknown classes count as 'wrong' or are left out by 'skip', not '{unknown}'.")
    found = match_classes(images.class_names, metadata.class_names, images.source).unknown
    if len(found) == len(images.class_names):
        ours, theirs = (first_of([f"'{name}'" for name in some.class_names]) for some in (images, metadata))
        count = len(metadata.class_names)
        if metadata.class_names == numbered_classes(count):
            raise InputError(
                f"the model has no class names, so the classes of {images.source} ({ours}) cannot be matched to its "
                f"{count} outputs; give --labels FILE, in Python class_names=, in the order of the outputs."
            )
        raise InputError(
            f"none of the classes of {images.source}, {ours}, is one of the model's {count} classes: {theirs}."
        )
    if unknown == "wrong":
        return images
    return images.of_classes([name for name in images.class_names if name not in found])


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
    predict = tf.function(lambda images: network(images, training=False), pixels, autograph=False)
    whole = whole_images(examples, protocol.sides(metadata), metadata.image_size, metadata.channels)
    for images, number, shape in whole.as_numpy_iterator():
        yield number, predict(images).numpy().mean(axis=(0, 1, 2), dtype=np.float64), shape


def views(examples: Examples, metadata: ModelMetadata) -> Iterator[np.ndarray]:
    """The evaluation views of examples, in order: float32 (batch, height, width, channels) in [0, 255]."""
    batches = evaluation_batches(examples, classes=1, batch_size=BATCH, **metadata.views)
    return (images.numpy() for images, _ in batches)
