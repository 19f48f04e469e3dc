"""Feature vectors of images, and similar images by these vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kerascnn.data.pipeline.view_arrays import views_of
from kerascnn.errors import InputError, refused, writing
from kerascnn.evaluation.image_inputs import images_of, raise_error
from kerascnn.evaluation.plots import gallery_figure
from kerascnn.evaluation.prediction import LoadedImage, view_batches
from kerascnn.evaluation.predictors import KerasPredictor, Predictor, SavedModelPredictor, predictor_of
from kerascnn.files.atomic import atomic_write
from kerascnn.files.user_file import checked_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerascnn.evaluation.image_inputs import ImageInput
    from kerascnn.evaluation.predictors import AnyModel

# Pixels per side of a drawn image. Networks may use smaller images, which people see less well.
DRAWN_SIZE = 200

# Letters that fit below a drawn image.
CAPTION_LENGTH = 26


class Neighbor(NamedTuple):
    """An image similar to another."""

    index: int  # its row among the features
    path: Path  # its file
    similarity: float  # cosine similarity of the two feature vectors, from -1 to 1


@dataclass(frozen=True, eq=False)
class Embedding:
    """Feature vectors of images.

    Attributes:
        paths: the images' files; names of those without a file.
        features: float32 (images, dimensions), one row per file.

    Example:
        >>> embedding = Embedding.load("features.npz")
        >>> embedding.nearest(0, 2)
        [Neighbor(index=7, path=PosixPath('pets/cat/8.jpg'), similarity=0.91), ...]
    """

    paths: tuple[Path | str, ...]
    features: np.ndarray

    def nearest(self, index: int, k: int = 5) -> list[Neighbor]:
        """The other images most similar to one, by cosine similarity, in descending order.

        A zero vector has similarity 0 to all others. Images of equal similarity stay in their order.

        Args:
            index: the image's row.
            k: the maximal number of images.

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
            Neighbor(int(other), self.paths[other], float(np.clip(cosines[other], -1, 1)))
            for other in order[order != index][:k]
        ]

    def save(self, path: str | Path) -> None:
        """Writes the NumPy arrays `features` and `paths` to an .npz file, atomically. Missing folders are created.

        Raises:
            InputError: the name does not end in .npz, or the file cannot be written.
        """
        path = Path(path)
        if path.suffix != ".npz":
            raise InputError(f"features are written to a file named *.npz, not {path}.")
        with writing(path), atomic_write(path) as file:
            np.savez(file, features=self.features, paths=np.array([str(one) for one in self.paths], np.str_))

    @staticmethod
    def load(path: str | Path) -> Embedding:
        """Reads a file written by `save`.

        Raises:
            InputError: the file is not such a file.
        """
        with refused(f"{path} is not a file of features"), np.load(checked_file(path)) as stored:
            features, paths = stored["features"], stored["paths"]
        if features.ndim != 2 or paths.shape != features.shape[:1]:
            shapes = f"features {features.shape} for paths {paths.shape}"
            raise InputError(f"{path} is not a file of features: it has {shapes}.")
        return Embedding(tuple(Path(str(one)) for one in paths), features)


def embed(
    model: AnyModel,
    x: ImageInput,
    skip: Callable[[InputError], object] = raise_error,
) -> Embedding:
    """Computes the feature vectors of images: the input of the model's last dense layer.

    For ResNets and Inceptions these are the pooled feature maps; for AlexNet, ZFNet and VGG the output of the second
    large dense layer. Images are cropped and scaled as for evaluation, each is read once, and few are in memory.

    Args:
        model: a Keras model, what `open_predictor` or `kerascnn.load` opened, or what `open_predictor` takes.
        x: images in any form, such as paths and folders, see `kerascnn.evaluation.image_inputs.images_of`.
        skip: called with the reason when a file cannot be read and is skipped; by default that error is raised.

    Raises:
        InputError: the model gives no features, or there are no images.

    Example:
        >>> embed(open_predictor("runs/resnet50-pets-20261120-101500"), ["pets"]).features.shape
        (783, 2048)
    """
    return embed_images(predictor_of(model), images_of(x, skip))


def embed_images(predictor: Predictor, images: Iterable[LoadedImage]) -> Embedding:
    """As `embed`, for images from `kerascnn.evaluation.prediction.read_images`."""
    features_of = _feature_function(predictor)
    paths, rows = [], []
    for batch_paths, views in view_batches(predictor.metadata, images):
        paths += batch_paths
        rows.append(features_of(views))
    if not paths:
        raise InputError("there is no image that can be read, so there are no features.")
    return Embedding(tuple(paths), np.concatenate(rows))


def _feature_function(predictor: Predictor) -> Callable[[np.ndarray], np.ndarray]:
    """Maps float32 (count, height, width, channels) in [0, 255] to float32 (count, dimensions)."""
    if not isinstance(predictor, KerasPredictor | SavedModelPredictor):
        raise InputError(
            f"{predictor.path} is a {predictor.kind} file, which gives probabilities and no features; "
            "give the run folder, the .keras file or the SavedModel of the same network."
        )
    import tensorflow as tf

    from kerascnn.applications.deep import functional
    from kerascnn.evaluation.feature_maps import classifier_input, flatten_model

    if isinstance(predictor, KerasPredictor):
        network = flatten_model(predictor.network)
        name, features = network.name, classifier_input(network)
        if features is not None:
            backbone = functional(network.inputs[0], features, name=name)
            pixels = [tf.TensorSpec((None, *network.inputs[0].shape[1:]), tf.float32)]

            @tf.function(input_signature=pixels, autograph=False)
            def call(images):
                return tf.cast(backbone(images, training=False), tf.float32)

            return lambda images: call(images).numpy()
    else:
        name, signature = predictor.path.name, predictor.signatures.get("features")
        if signature is not None:
            return lambda images: signature(tf.constant(images))["features"].numpy()
    raise InputError(f"{predictor.path or name} does not end in a dense layer, so there are no features before one.")


def neighbors_figure(
    embedding: Embedding, indices: Sequence[int], title: str, k: int = 5, crop_fraction: float = 1.0
) -> Figure:
    """Draws one row per image: the image, then its `k` most similar images with their similarities.

    `indices` are the rows of an embedding of at least two images, whose files are read again and cropped as by
    `ModelMetadata.crop_fraction`. InputError if an image no longer exists.

    Example:
        >>> neighbors_figure(Embedding.load("features.npz"), range(6), "pets").savefig("neighbors.png")
    """
    k = min(k, len(embedding.paths) - 1)
    views, captions = [], []
    for index in indices:
        shown = [(embedding.paths[index], "")]
        shown += [(one.path, f"{one.similarity:.3f}  ") for one in embedding.nearest(index, k)]
        images = images_of(path for path, _ in shown)
        views += [views_of([image.pixels], DRAWN_SIZE, crop_fraction)[0] for image in images]
        for path, similarity in shown:
            # The file, and its folder, which may be its class.
            name, letters = "/".join(Path(path).parts[-2:]), CAPTION_LENGTH - len(similarity)
            captions.append(similarity + (name if len(name) <= letters else f"…{name[1 - letters :]}"))
    return gallery_figure(np.stack(views), captions, title, columns=1 + k)
