"""`preprocess_input` scales pixels for a network, and `decode_predictions` names the classes of its probabilities.

A network of `kerascnn.applications` takes images scaled as its authors or the publishers of its weights scaled them.
Every family's module has both functions, as in keras.applications. Weights of different publishers need different
scales: for a model that a builder returned, `preprocess_input` uses the scale of the model's weights.

Models trained by `kerascnn train` need neither function: their first layer, `kerascnn.layers.Preprocessing`, takes
pixels, and their last layer, `ClassLabels`, has the class names.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from kerascnn.applications import registry
from kerascnn.applications.weights import public as public_weights
from kerascnn.errors import InputError


class Scaling(NamedTuple):
    """The scale of a mode for RGB pixels in [0, 255]: (pixels - mean) / std, per channel."""

    # mean, std: of red, green and blue, in the units of the pixels.
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    reverse: bool = False  # whether the network takes the result as blue, green, red


SCALINGS = {
    "mean": Scaling((123.675, 116.28, 103.53), (1.0, 1.0, 1.0)),  # ImageNet's means
    "cifar": Scaling((125.3, 123.0, 113.9), (1.0, 1.0, 1.0)),  # CIFAR-10's means
    # The modes "caffe", "tf" and "torch" of keras.applications.
    "caffe": Scaling((123.68, 116.779, 103.939), (1.0, 1.0, 1.0), reverse=True),
    "symmetric": Scaling((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "torch": Scaling((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}
MODES = tuple(SCALINGS)

DATA_FORMATS = ("channels_last", "channels_first")

# In the order of the labels; Keras has the list of ImageNet's 1000 names.
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IMAGENET_CLASSES = 1000


class Prediction(NamedTuple):
    """A class of an image and its probability.

    Attributes:
        identifier: of ImageNet's classes the WordNet ID, such as "n02123045"; else the label's number.
        name: the name of the class.
        score: the probability.
    """

    identifier: str
    name: str
    score: float


def preprocess_input(
    name: str | keras.Model, x: Any, data_format: str | None = None, *, weights: str | None = None
) -> Any:
    """Scales pixels for a network.

    Args:
        name: one of `list_models()`, or a model that a builder returned, for the scale of its weights.
        x: RGB pixels in [0, 255], integers or floats, (height, width, 3) or (batch, height, width, 3), or with the
            channels first; an array, which is not changed, a tensor of the backend, or lists. There may be more
            dimensions, as for videos, and other channels where all channels have the same scale.
        data_format: "channels_last" or "channels_first"; None for Keras' image data format.
        weights: with a name, a name of public weights such as "imagenet", for their scale; None for the paper's. All
            weights of one publisher need the same scale.

    Returns:
        An array or a tensor, like `x`; of its floating-point type, or of Keras' where `x` has integers.

    Raises:
        InputError: there is no such network, data format or public weights, the model was not returned by a builder,
            or the channels of `x` are not red, green and blue.

    Example:
        >>> images = preprocess_input("vgg16", pixels)
        >>> images = preprocess_input(VGG16(weights="torchvision"), pixels)
    """
    return scaled(x, _mode(name, weights), data_format, getattr(name, "name", name))


def scaled(x: Any, mode: str, data_format: str | None, name: str) -> Any:
    """Pixels in the scale of one of `MODES`, see `preprocess_input`; `name` is what takes them, for the errors."""
    data_format = data_format or keras.config.image_data_format()
    if data_format not in DATA_FORMATS:
        raise InputError(f"data_format must be 'channels_last' or 'channels_first', not {data_format!r}.")
    x = x if hasattr(x, "shape") else np.asarray(x)
    last, rank = data_format == "channels_last", len(x.shape)
    axis = -1 if last else 0 if rank == 3 else 1
    if mode != "symmetric" and (rank < 3 or x.shape[axis] != 3):
        raise InputError(f"{name} takes RGB images with the {data_format.replace('_', ' ')}, not {tuple(x.shape)}.")
    dtype, scaling = keras.backend.standardize_dtype(x.dtype), SCALINGS[mode]
    dtype = dtype if "float" in dtype else keras.config.floatx()
    x = np.array(x, dtype) if isinstance(x, np.ndarray) else keras.ops.cast(x, dtype)
    if mode == "symmetric":
        # Bit-exact as keras.applications.
        return x / scaling.std[0] - 1.0
    mean, std = (np.reshape(values, (3,) + (1,) * (0 if last else rank - 1 - axis)) for values in scaling[:2])
    if isinstance(x, np.ndarray):
        x = (x - mean.astype(x.dtype)) / std.astype(x.dtype)
        return np.flip(x, axis) if scaling.reverse else x
    x = (x - keras.ops.convert_to_tensor(mean, x.dtype)) / keras.ops.convert_to_tensor(std, x.dtype)
    return keras.ops.flip(x, axis) if scaling.reverse else x


def _mode(name: str | keras.Model, weights: str | None) -> str:
    if not isinstance(name, str):
        mode = getattr(name, "preprocessing_mode", None)
        if mode is None:
            raise InputError(f"{name!r} does not know how its pixels are scaled; give the name of its network.")
        if weights is not None:
            raise InputError(f"{name!r} knows its weights; give weights={weights!r} only with the name of a network.")
        return mode
    entry = registry.info(name)
    if weights is None:
        return entry.preprocessing
    if not public_weights.is_name(weights):
        names = ", ".join(map(repr, public_weights.names_of(entry.builder)))
        raise InputError(f"weights must be one of {names}, whose scale is known, not {weights!r}.")
    return public_weights.select_weights(entry.builder, weights, {}).preprocessing


def decode_predictions(
    name: str, preds: Any, top: int = 5, class_names: Sequence[str] | None = None
) -> list[list[Prediction]]:
    """The most probable classes of each image, the most probable first.

    Args:
        name: one of `list_models()`.
        preds: (batch, classes) probabilities, an array, a tensor or lists.
        top: how many classes; all where there are fewer.
        class_names: the names of the network's classes; None for those of the paper's data set, ImageNet or CIFAR-10.
            Keras downloads ImageNet's names when they are first needed, and caches them.

    Raises:
        InputError: there is no such network, the predictions' shape does not fit the classes, `top` is less than 1, or
            ImageNet's names cannot be downloaded.

    Example:
        >>> decode_predictions("resnet20", model.predict(images), top=1)
        [[Prediction(identifier='3', name='cat', score=0.97)]]
    """
    entry = registry.info(name)
    imagenet = class_names is None and entry.data == "ImageNet"
    names = CIFAR10_CLASSES if class_names is None else class_names
    classes = IMAGENET_CLASSES if imagenet else len(names)
    if top < 1:
        raise InputError(f"top must be at least 1, not {top}.")
    preds = preds if hasattr(preds, "shape") else np.asarray(preds)
    if len(preds.shape) != 2 or preds.shape[1] != classes:
        raise InputError(
            f"{entry.builder}'s predictions of {classes} classes are of shape (images, {classes}), "
            f"not {tuple(preds.shape)}."
        )
    preds = keras.ops.convert_to_numpy(preds)
    if imagenet:
        return _imagenet_names(preds, top)
    best = np.argsort(-preds, axis=1, kind="stable")[:, :top]
    return [
        [Prediction(str(label), names[label], float(scores[label])) for label in labels]
        for labels, scores in zip(best, preds, strict=True)
    ]


def _imagenet_names(predictions: np.ndarray, top: int) -> list[list[Prediction]]:
    decode = keras.applications.imagenet_utils.decode_predictions
    try:
        return [[Prediction(*one) for one in image] for image in decode(predictions, top=top)]
    # Keras raises a bare Exception where a download fails.
    except Exception:
        raise InputError(
            "ImageNet's class names could not be downloaded: put imagenet_class_index.json, which Keras has at "
            "storage.googleapis.com/download.tensorflow.org/data, into the folder models of ~/.keras or $KERAS_HOME."
        ) from None


def imagenet_class_names() -> tuple[str, ...]:
    """The names of ImageNet's 1000 classes, such as "tabby", in the order of the labels; errors as for decoding."""
    return tuple(image[0].name for image in _imagenet_names(np.eye(IMAGENET_CLASSES, dtype="float32"), 1))


def of_family(name: str) -> tuple[Callable[..., Any], Callable[..., list[list[Prediction]]]]:
    """`preprocess_input` and `decode_predictions` of the module of the network `name`."""
    preprocess, decode = functools.partial(preprocess_input, name), functools.partial(decode_predictions, name)
    for function in (preprocess, decode):
        function.__doc__ = f"`kerascnn.applications.{function.func.__name__}` with the name {name!r}."
        function.__name__ = function.func.__name__
    return preprocess, decode
