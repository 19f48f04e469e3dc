"""What every builder shares with keras.applications: its arguments, how a network begins and how it ends."""

from __future__ import annotations

import contextlib
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import keras

from kerascnn.applications import registry
from kerascnn.applications.deep import functional
from kerascnn.applications.weights import load as weight_files
from kerascnn.applications.weights import public as public_weights
from kerascnn.applications.weights.sources import WeightSource, source_of
from kerascnn.errors import InputError
from kerascnn.layers import channels_first

POOLINGS = (None, "avg", "max")

Outputs = keras.KerasTensor | dict[str, keras.KerasTensor]


class Builder(Protocol):
    """A public builder: the arguments of keras.applications' functions in their order, then the network's own."""

    __name__: str

    def __call__(
        self,
        include_top: bool = True,
        weights: str | Path | None = None,
        input_tensor: keras.KerasTensor | None = None,
        input_shape: tuple[int | None, ...] | None = None,
        pooling: str | None = None,
        classes: int = ...,
        classifier_activation: str | None = "softmax",
        name: str = ...,
        *,
        dtype: str | keras.DTypePolicy | None = None,
        **extras: Any,
    ) -> keras.Model:
        """Builds the network."""


COMMON_ARGUMENTS = """include_top: whether the classifier ends the network.
    weights: None, for random ones; "imagenet", "keras" or "torchvision", for public ones, which are fetched once
        (see `kerascnn.applications.list_weights`), and which imply the arguments that they need; or the URL or path of
        a file: `.weights.h5` or `.keras` of this network, keras.applications' HDF5, or `.safetensors`, `.pth` or
        `.pt` as torchvision has it.{public}
    input_tensor: a Keras tensor of images to build on; `input_shape` is then ignored.
    input_shape: (height, width, channels), ({size}, {size}, 3) by default, or the channels first where that is
        Keras' image data format; at least {min_size} pixels. None is a size too, where nothing is flattened.
    pooling: without the top, None (feature maps), "avg" or "max".
    classes: the number of classes.
    classifier_activation: the activation of each classifier; None gives logits.
    name: the model's name.
    dtype: a dtype or a precision policy such as "mixed_bfloat16"; None for Keras' global one."""


@dataclass
class Network:
    """A network in the making: the arguments that every builder takes, and how they begin and end it.

    Attributes:
        public: the builder's name, for error sentences.
        size, min_size: the paper's height and width in pixels, and the smallest that leaves something at the end.
        start: the tensor that the network starts from.
        weights: where they are; None for random ones.
        others: as in keras.applications.
    """

    public: str
    size: int
    min_size: int
    include_top: bool
    weights: WeightSource | None
    input_tensor: keras.KerasTensor | None
    input_shape: tuple[int | None, ...] | None
    pooling: str | None
    classes: int
    classifier_activation: str | None
    name: str
    start: keras.KerasTensor = field(init=False)

    def images(self, *, min_size: int | None = None, fixed_size: bool = False) -> keras.KerasTensor:
        """The tensor that the network starts from.

        Args:
            min_size: where the network's arguments ask for more pixels than `self.min_size`.
            fixed_size: whether None sizes are refused, because a dense layer follows a flattening.

        Raises:
            InputError: the shape is not one of images, or too small.
        """
        tensor = self.input_tensor
        if tensor is None:
            tensor = keras.Input(self._shape(), name="pixels")
        shape = tuple(tensor.shape[1:])
        if len(shape) != 3:
            raise InputError(f"{self.public} takes images of three dimensions, not {shape}.")
        least = min_size or self.min_size
        sizes = shape[1:] if channels_first() else shape[:2]
        for size in sizes:
            if size is None and fixed_size:
                raise InputError(f"{self.public} needs a height and width that are known, not {sizes}.")
            if size is not None and size < least:
                raise InputError(
                    f"{self.public} needs images of at least {least} x {least} pixels, not {sizes[0]} x {sizes[1]}."
                )
        self.start = tensor
        return tensor

    def features(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """What a network without its top ends in: feature maps, or their average or maximum."""
        if self.pooling == "avg":
            return keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
        if self.pooling == "max":
            return keras.layers.GlobalMaxPooling2D(name="max_pool")(x)
        return x

    def classifier(
        self, x: keras.KerasTensor, initializer, *, logits: str = "fc", predictions: str = "predictions"
    ) -> keras.KerasTensor:
        """A dense layer named `logits` and its activation, in float32 under every precision policy."""
        x = keras.layers.Dense(self.classes, kernel_initializer=initializer, name=logits)(x)
        return keras.layers.Activation(self.classifier_activation, dtype="float32", name=predictions)(x)

    def check(self) -> None:
        """Looks at the arguments that are not about images, before anything is built.

        Raises:
            InputError: a weight file that does not exist or cannot be read, an unknown pooling, a class count below 1.
        """
        if self.weights is not None:
            weight_files.check(self.public, self.weights)
        if self.pooling not in POOLINGS:
            raise InputError(f"pooling must be None, 'avg' or 'max', not {self.pooling!r}.")
        if self.classes < 1:
            raise InputError(f"{self.public} needs at least 1 class, not classes={self.classes}.")

    def model(self, outputs: Outputs) -> keras.Model:
        """The model from what the images belong to, to `outputs`, with the weights that were asked for."""
        sources = keras.utils.get_source_inputs(self.start)
        sources = sources[0] if len(sources) == 1 else sources
        model = functional(sources, outputs, name=self.name)
        if self.weights is not None:
            before = functional(sources, self.start, name="before").layers
            own = [layer for layer in model.layers if layer not in before]
            weight_files.load(self.public, own, self.weights)
        model.preprocessing_mode = self._preprocessing()
        return model

    def _preprocessing(self) -> str:
        """How pixels are to be scaled for these weights, or else as in the paper."""
        return self.weights.preprocessing if self.weights else registry.info(self.public).preprocessing

    def _shape(self) -> tuple[int | None, ...]:
        if self.input_shape is None:
            size = (self.size, self.size)
            return (3, *size) if channels_first() else (*size, 3)
        if len(self.input_shape) != 3:
            raise InputError(f"{self.public} takes an input_shape of three numbers, not {self.input_shape}.")
        return tuple(self.input_shape)


def builder(
    *, size: int, min_size: int, classes: int = 1000, public: str | None = None
) -> Callable[[Callable[..., Outputs]], Builder]:
    """Makes a public builder of a function from a `Network` and the network's own keyword-only arguments to outputs.

    The public function takes keras.applications' arguments, then `dtype`, then the network's own. In the docstring,
    `{common}` stands for the description of the former, `{name}` for the builder's.

    Args:
        size, min_size: see `Network`.
        classes: the default number of classes.
        public: the builder's name, where it is not the function's.
    """

    def published(layers: Callable[..., Outputs]) -> Builder:
        name = public or layers.__name__
        signature = _signature(layers, classes, name.lower())

        @functools.wraps(layers)
        def build(*args: Any, **kwargs: Any) -> keras.Model:
            bound = signature.bind(*args, **kwargs)
            stated = set(bound.arguments)
            bound.apply_defaults()
            arguments = dict(bound.arguments)
            extras = {extra: arguments.pop(extra) for extra in _extras(layers)}
            if arguments["weights"] is not None:
                given = {extra: value for extra, value in extras.items() if extra in stated}
                shared = {argument: arguments[argument] for argument in ("include_top", "classes")}
                arguments["weights"] = source_of(name, arguments["weights"], given=given, **shared)
                extras |= arguments["weights"].arguments | given
            with under_policy(arguments.pop("dtype")):
                network = Network(name, size, min_size, **arguments)
                network.check()
                return network.model(layers(network, **extras))

        del build.__wrapped__
        build.__name__ = build.__qualname__ = name
        build.__signature__ = signature
        common = COMMON_ARGUMENTS.format(size=size, min_size=min_size, public=_public(name))
        build.__doc__ = inspect.cleandoc(layers.__doc__).format(common=common, name=name)
        return build

    return published


def _public(name: str) -> str:
    """Which public weights there are, as the lines of a docstring."""
    lines = textwrap.wrap(public_weights.format_public_weights(name), 96, break_on_hyphens=False)
    return "\n        ".join(["", *lines])


def _signature(layers: Callable[..., Outputs], classes: int, name: str) -> inspect.Signature:
    """That of `Builder`, with the network's own arguments in the place of `extras`."""
    own = {"classes": classes, "name": name}
    common = [
        parameter.replace(default=own.get(parameter.name, parameter.default))
        for parameter in inspect.signature(Builder.__call__).parameters.values()
        if parameter.name not in ("self", "extras")
    ]
    return inspect.Signature([*common, *_extras(layers).values()], return_annotation="keras.Model")


def _extras(layers: Callable[..., Outputs]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(layers).parameters
    return {name: one for name, one in parameters.items() if one.kind is inspect.Parameter.KEYWORD_ONLY}


@contextlib.contextmanager
def under_policy(dtype: str | keras.DTypePolicy | None) -> Iterator[None]:
    """Layers that are made inside have this policy; None for the one that is set.

    Raises:
        InputError: it is none.
    """
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(before if dtype is None else dtype)
    except ValueError:
        raise InputError(
            f"dtype must be a dtype or a precision policy such as 'mixed_bfloat16', not {dtype!r}."
        ) from None
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
