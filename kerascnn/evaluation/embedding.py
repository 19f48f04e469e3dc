"""What a network makes of images before its classifier, and which images are alike by that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kerascnn.errors import InputError
from kerascnn.evaluation.naming import LoadedImage, image_files, readable, view_batches
from kerascnn.evaluation.predictors import KerasPredictor, Predictor, SavedModelPredictor, one_line
from kerascnn.files.atomic import atomic_write

if TYPE_CHECKING:
    import keras

SUFFIX = ".npz"


class Neighbour(NamedTuple):
    """An image and how much it is like another.

    Attributes:
        index: its row among the features.
        path: its file.
        similarity: the cosine of the angle between the features of the two, from -1 to 1.
    """

    index: int
    path: Path
    similarity: float


@dataclass(frozen=True, eq=False)
class Embedding:
    """The features of images.

    Attributes:
        paths: of the files.
        features: float32 (images, dimensions), a row a file.

    Example:
        >>> embedding = Embedding.load("features.npz")
        >>> embedding.nearest(0, 2)
        [Neighbour(index=7, path=PosixPath('pets/cat/8.jpg'), similarity=0.91), ...]
    """

    paths: tuple[Path, ...]
    features: np.ndarray

    def nearest(self, index: int, k: int = 5) -> list[Neighbour]:
        """The other images that are most like one, by the cosine of their features, the most similar first.

        Features that are all zero are like nothing: their similarity is 0. Those equally similar stay in their order.

        Args:
            index: the image's row.
            k: how many; not more than there are others.

        Raises:
            InputError: there is no such row, or k is less than 1.
        """
        if not 0 <= index < len(self.paths):
            raise InputError(f"there is no image {index}: there are {len(self.paths)}, counted from 0.")
        if k < 1:
            raise InputError(f"k must be at least 1, not {k}.")
        lengths = np.linalg.norm(self.features, axis=1)
        cosines = self.features @ self.features[index] / np.maximum(lengths * lengths[index], np.finfo(np.float32).tiny)
        order = np.argsort(-cosines, kind="stable")
        return [
            Neighbour(int(other), self.paths[other], float(np.clip(cosines[other], -1, 1)))
            for other in order[order != index][:k]
        ]

    def save(self, path: str | Path) -> None:
        """Writes NumPy arrays, `features` and `paths`, to a file that is whole or not there.

        Args:
            path: a name that ends in .npz; folders above are made.

        Raises:
            InputError: the name ends otherwise, or the file cannot be written.
        """
        path = Path(path)
        if path.suffix != SUFFIX:
            raise InputError(f"features are written to a file named *{SUFFIX}, not {path}.")
        try:
            with atomic_write(path) as file:
                np.savez(file, features=self.features, paths=np.array([str(one) for one in self.paths], np.str_))
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}.") from None

    @staticmethod
    def load(path: str | Path) -> Embedding:
        """What `save` wrote.

        Raises:
            InputError: the file is none of these.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                features, paths = stored["features"], stored["paths"]
        except Exception as error:
            raise InputError(f"{path} is not a file of features: {one_line(error)}") from None
        if features.ndim != 2 or paths.shape != features.shape[:1]:
            raise InputError(
                f"{path} is not a file of features: it has features {features.shape} for paths {paths.shape}."
            )
        return Embedding(tuple(Path(str(one)) for one in paths), features)


def embed(
    model: Predictor | keras.Model,
    places: Sequence[str | Path],
    skip: Callable[[InputError], object] | None = None,
) -> Embedding:
    """The features of image files: what the model's last dense layer classifies.

    Those are the pooled maps of ResNets and Inceptions, and what the second large dense layer gives of AlexNet, ZFNet
    and VGG. Images are cut and scaled as for evaluation. Each is read once, and few are held at a time.

    Args:
        model: a Keras model, or from `open_predictor` one of a `.keras` file or of a SavedModel.
        places: files and folders, as for `kerascnn.evaluation.naming.image_files`.
        skip: is given the reason why a file cannot be read, which is then left out; None: it is raised.

    Raises:
        InputError: the model gives no features, or there are no images.

    Example:
        >>> embed(open_predictor("runs/resnet50-pets-20261120-101500"), ["pets"]).features.shape
        (783, 2048)
    """
    predictor = model if isinstance(model, Predictor) else KerasPredictor(model)
    told = _refuse if skip is None else skip
    return embedding_of(predictor, readable(image_files([Path(place) for place in places], told), told))


def embedding_of(predictor: Predictor, images: Iterable[LoadedImage]) -> Embedding:
    """The features of images, as `embed` gives them.

    Args:
        predictor: from `open_predictor`.
        images: such as those of `kerascnn.evaluation.naming.readable`.

    Raises:
        InputError: the model gives no features, or there are no images.
    """
    features_of = feature_function(predictor)
    paths, rows = [], []
    for some, views in view_batches(predictor.metadata, images):
        paths += some
        rows.append(features_of(views))
    if not paths:
        raise InputError("there is no image that can be read, so there are no features.")
    return Embedding(tuple(paths), np.concatenate(rows))


def feature_function(predictor: Predictor) -> Callable[[np.ndarray], np.ndarray]:
    """A function from pixels, float32 (count, size, size, 3) in [0, 255], to features, float32 (count, dimensions).

    Raises:
        InputError: the model's form holds no features, or it does not end in a dense layer.
    """
    if isinstance(predictor, KerasPredictor):
        return _of_graph(predictor)
    if isinstance(predictor, SavedModelPredictor):
        return _of_signature(predictor)
    raise InputError(
        f"{predictor.path} is a {predictor.kind} file, which gives probabilities and no features; "
        "give the run folder, the .keras file or the SavedModel of the same network."
    )


def _of_graph(predictor: KerasPredictor) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    from kerascnn.applications.deep import functional
    from kerascnn.evaluation.maps import classifier_input, flat

    network = flat(predictor.network)
    features = classifier_input(network)
    if features is None:
        raise _without_features(predictor, network.name)
    before = functional(network.inputs[0], features, name=network.name)
    pixels = tf.TensorSpec((None, *network.inputs[0].shape[1:]), tf.float32)
    call = tf.function(lambda images: tf.cast(before(images, training=False), tf.float32), input_signature=[pixels])
    return lambda images: call(images).numpy()


def _of_signature(predictor: SavedModelPredictor) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    signature = predictor.signatures.get("features")
    if signature is None:
        raise _without_features(predictor, predictor.path.name)
    return lambda images: signature(tf.constant(images))["features"].numpy()


def _without_features(predictor: Predictor, name: str) -> InputError:
    return InputError(f"{predictor.path or name} does not end in a dense layer, so there are no features before one.")


def _refuse(error: InputError) -> None:
    raise error
