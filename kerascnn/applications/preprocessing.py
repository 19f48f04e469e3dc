"""What networks want to be fed, and what their answers mean.

A network of `kerascnn.applications` takes images "scaled to about zero mean", as its authors or the publishers of its
weights scaled them; `preprocess_input` does that to RGB pixels in [0, 255], and `decode_predictions` puts names to
probabilities. Every family's module has both, as in keras.applications. Weights of several publishers want several
scales: given the model that a builder has made, `preprocess_input` takes that of the weights it was made with.

Models that `kerascnn train` has trained need neither: their first layer, `kerascnn.layers.Preprocessing`, takes pixels,
with the mean of their own training data, and their last, `ClassLabels`, has their class names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import keras
import numpy as np

from kerascnn.applications import registry
from kerascnn.applications.weights import public as public_weights
from kerascnn.errors import InputError

# R, G, B, in grey levels of 255; they are subtracted.
CHANNEL_MEANS = {
    "mean": (123.675, 116.28, 103.53),  # ImageNet
    "cifar": (125.3, 123.0, 113.9),  # CIFAR-10
}

# keras.applications' names for the others.
KERAS_MODES = {
    "caffe": "caffe",  # BGR minus 103.939, 116.779, 123.68
    "symmetric": "tf",  # to [-1, 1]
    "torch": "torch",  # [0, 1] minus ImageNet's channel means, divided by its channels' standard deviations
}

MODES = (*CHANNEL_MEANS, *KERAS_MODES)


class Scaling(NamedTuple):
    """What a mode does to RGB pixels in [0, 255]: (pixels - mean) / std, each for R, G, B.

    Attributes:
        mean, std: in grey levels.
        reverse: whether the network takes the result as B, G, R.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    reverse: bool = False


SCALINGS = {
    **{mode: Scaling(mean, (1.0, 1.0, 1.0)) for mode, mean in CHANNEL_MEANS.items()},
    "caffe": Scaling((123.68, 116.779, 103.939), (1.0, 1.0, 1.0), reverse=True),
    "symmetric": Scaling((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "torch": Scaling((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}

DATA_FORMATS = ("channels_last", "channels_first")

# In the order of the labels; of ImageNet's thousand, Keras has a list.
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IMAGENET_CLASSES = 1000


class Prediction(NamedTuple):
    """A class that a network holds an image for.

    Attributes:
        identifier: WordNet's for ImageNet, such as "n02123045"; else the label's number.
        name: of the class.
        score: the network's probability.
    """

    identifier: str
    name: str
    score: float


class InputFunction(Protocol):
    """`preprocess_input` of a family."""

    def __call__(self, x: Any, data_format: str | None = None, *, weights: str | None = None) -> Any:
        """Scales RGB pixels in [0, 255] as the network takes them."""


class Decoder(Protocol):
    """`decode_predictions` of a family."""

    def __call__(
        self, predictions: Any, top: int = 5, class_names: Sequence[str] | None = None
    ) -> list[list[Prediction]]:
        """The likeliest classes of each image."""


def preprocess_input(
    name: str | keras.Model, x: Any, data_format: str | None = None, *, weights: str | None = None
) -> Any:
    """Scales pixels as a network takes them.

    Args:
        name: one of `list_models()`, or a model as its builder returned it, which knows what its weights want.
        x: RGB pixels in [0, 255], of integers or floats, (height, width, 3) or (batch, height, width, 3), or with the
            channels first; an array, which stays as it is, or a tensor of the backend.
        data_format: "channels_last" or "channels_first"; None for Keras' image data format.
        weights: of a network that is named, "imagenet", "keras" or "torchvision" for the scale of those weights; None
            for the paper's. Where a publisher has several, they want the same.

    Returns:
        An array or a tensor as `x` is, of its floating-point type, and of Keras' where `x` is of integers.

    Raises:
        InputError: there is no such network, data format or public weights, the model is not one that a builder has
            just made, or `x` is not of images with three channels.

    Example:
        >>> images = preprocess_input("vgg16", pixels)
        >>> images = preprocess_input(VGG16(weights="torchvision"), pixels)
    """
    mode = _mode(name, weights)
    name = getattr(name, "name", name)
    data_format = data_format or keras.config.image_data_format()
    if data_format not in DATA_FORMATS:
        raise InputError(f"data_format must be 'channels_last' or 'channels_first', not {data_format!r}.")
    axis = -1 if data_format == "channels_last" else -3
    if len(x.shape) not in (3, 4) or x.shape[axis] != 3:
        raise InputError(f"{name} takes RGB images with the {data_format.replace('_', ' ')}, not {tuple(x.shape)}.")
    x = _floating(x)
    if mode in KERAS_MODES:
        return keras.applications.imagenet_utils.preprocess_input(x, data_format, KERAS_MODES[mode])
    mean = np.reshape(CHANNEL_MEANS[mode], (3,) + (1,) * (-1 - axis))
    if isinstance(x, np.ndarray):
        return x - mean.astype(x.dtype)
    return x - keras.ops.convert_to_tensor(mean, x.dtype)


def _mode(name: str | keras.Model, weights: str | None) -> str:
    """One of `MODES`."""
    if not isinstance(name, str):
        mode = getattr(name, "preprocessing_mode", None)
        if mode is None:
            raise InputError(f"{name!r} does not tell how its pixels are scaled; give the name of its network.")
        if weights is not None:
            raise InputError(f"{name!r} knows its weights; give weights={weights!r} only with the name of a network.")
        return mode
    entry = registry.info(name)
    if weights is None:
        return entry.preprocessing
    if weights not in public_weights.NAMES:
        names = ", ".join(map(repr, public_weights.NAMES))
        raise InputError(f"weights must be one of {names}, whose scale is known, not {weights!r}.")
    return public_weights.select_weights(entry.builder, weights, {}).preprocessing


def _floating(x: Any) -> Any:
    """A copy of an array, or a tensor, of floats."""
    dtype = keras.backend.standardize_dtype(x.dtype)
    dtype = dtype if "float" in dtype else keras.config.floatx()
    return np.array(x, dtype) if isinstance(x, np.ndarray) else keras.ops.cast(x, dtype)


def decode_predictions(
    name: str, predictions: Any, top: int = 5, class_names: Sequence[str] | None = None
) -> list[list[Prediction]]:
    """The likeliest classes of each image, the likeliest first.

    Args:
        name: one of `list_models()`.
        predictions: (batch, classes) probabilities, an array or a tensor.
        top: how many classes; all where there are fewer.
        class_names: of a network with classes of its own; None for those of the data that the paper's network was
            trained on, ImageNet or CIFAR-10. ImageNet's names are fetched by Keras when first needed, and kept.

    Raises:
        InputError: there is no such network, the predictions' shape does not fit the classes, `top` is less than 1, or
            ImageNet's names cannot be fetched.

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
    if len(predictions.shape) != 2 or predictions.shape[1] != classes:
        raise InputError(
            f"{entry.builder}'s predictions of {classes} classes are of shape (images, {classes}), "
            f"not {tuple(predictions.shape)}."
        )
    predictions = keras.ops.convert_to_numpy(predictions)
    if imagenet:
        return _imagenet_names(predictions, top)
    best = np.argsort(-predictions, axis=1, kind="stable")[:, :top]
    return [
        [Prediction(str(label), names[label], float(scores[label])) for label in labels]
        for labels, scores in zip(best, predictions, strict=True)
    ]


def _imagenet_names(predictions: np.ndarray, top: int) -> list[list[Prediction]]:
    decode = keras.applications.imagenet_utils.decode_predictions
    try:
        return [[Prediction(*guess) for guess in guesses] for guesses in decode(predictions, top=top)]
    # What Keras raises where it cannot fetch a file is a bare Exception.
    except Exception:
        raise InputError(
            "ImageNet's class names could not be fetched: put imagenet_class_index.json, which Keras has at "
            "storage.googleapis.com/download.tensorflow.org/data, into the folder models of ~/.keras or $KERAS_HOME."
        ) from None


def of_family(name: str) -> tuple[InputFunction, Decoder]:
    """`preprocess_input` and `decode_predictions` as the module of the network `name` has them."""

    def preprocess(x: Any, data_format: str | None = None, *, weights: str | None = None) -> Any:
        return preprocess_input(name, x, data_format, weights=weights)

    def decode(predictions: Any, top: int = 5, class_names: Sequence[str] | None = None) -> list[list[Prediction]]:
        return decode_predictions(name, predictions, top, class_names)

    for function, general in ((preprocess, preprocess_input), (decode, decode_predictions)):
        function.__name__ = function.__qualname__ = general.__name__
        function.__doc__ = f"`kerascnn.applications.{general.__name__}` with the name {name!r}."
    return preprocess, decode
