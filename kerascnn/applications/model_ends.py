"""What every builder shares with keras.applications: how a network begins and how it ends."""

from __future__ import annotations

from typing import NamedTuple

import keras

from kerascnn.errors import InputError

POOLINGS = (None, "avg", "max")


class Arguments(NamedTuple):
    """The arguments that every builder takes, in keras.applications' order and meaning.

    Attributes:
        include_top: whether the classifier ends the network.
        weights: None; a network without public weights refuses anything else.
        input_tensor: an existing Keras tensor to build on, or None.
        input_shape: (height, width, channels), or channels first where that is Keras' image data format; None for the
            paper's size. Ignored when `input_tensor` is given.
        pooling: without the top, None (feature maps), "avg" or "max".
        classes: the number of classes.
        classifier_activation: the activation of the last dense layer; None gives logits.
        name: the model's name.
    """

    include_top: bool
    weights: str | None
    input_tensor: keras.KerasTensor | None
    input_shape: tuple[int | None, ...] | None
    pooling: str | None
    classes: int
    classifier_activation: str | None
    name: str

    def begin(self, network: str, *, default_size: int, min_size: int, fixed_size: bool = False) -> keras.KerasTensor:
        """The tensor the network starts from, after a look at all arguments.

        Args:
            network: the builder's name, for error sentences.
            default_size: the paper's height and width in pixels.
            min_size: the smallest height and width that leave something at the end.
            fixed_size: whether None sizes are refused, because a dense layer follows a flattening.

        Raises:
            InputError: the shape is not one of images or too small, weights that do not exist, an unknown pooling, a
                class count below 1.
        """
        self._check(network)
        tensor = self.input_tensor
        if tensor is None:
            tensor = keras.Input(self._shape(network, default_size), name="pixels")
        shape = tuple(tensor.shape[1:])
        if len(shape) != 3:
            raise InputError(f"{network} takes images of three dimensions, not {shape}.")
        sizes = shape[1:] if _channels_first() else shape[:2]
        for size in sizes:
            if size is None and fixed_size:
                raise InputError(f"{network} needs a height and width that are known, not {sizes}.")
            if size is not None and size < min_size:
                raise InputError(
                    f"{network} needs images of at least {min_size} x {min_size} pixels, not {sizes[0]} x {sizes[1]}."
                )
        return tensor

    def end(self, start: keras.KerasTensor, outputs) -> keras.Model:
        """The model from what `start` belongs to, to `outputs`."""
        sources = keras.utils.get_source_inputs(start)
        return keras.Model(sources[0] if len(sources) == 1 else sources, outputs, name=self.name)

    def end_in_features(self, start: keras.KerasTensor, x: keras.KerasTensor) -> keras.Model:
        """The model without its top: feature maps, or their average or maximum."""
        if self.pooling == "avg":
            x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
        elif self.pooling == "max":
            x = keras.layers.GlobalMaxPooling2D(name="max_pool")(x)
        return self.end(start, x)

    def classifier(
        self, x: keras.KerasTensor, initializer, *, logits: str = "fc", predictions: str = "predictions"
    ) -> keras.KerasTensor:
        """A dense layer named `logits` and its activation, in float32 under every precision policy."""
        x = keras.layers.Dense(self.classes, kernel_initializer=initializer, name=logits)(x)
        return keras.layers.Activation(self.classifier_activation, dtype="float32", name=predictions)(x)

    def _check(self, network: str) -> None:
        if self.weights is not None:
            raise InputError(
                f"{network} has no weights '{self.weights}'; pass weights=None and load your own file into it."
            )
        if self.pooling not in POOLINGS:
            raise InputError(f"pooling must be None, 'avg' or 'max', not {self.pooling!r}.")
        if self.classes < 1:
            raise InputError(f"{network} needs at least 1 class, not classes={self.classes}.")

    def _shape(self, network: str, default_size: int) -> tuple[int | None, ...]:
        if self.input_shape is None:
            size = (default_size, default_size)
            return (3, *size) if _channels_first() else (*size, 3)
        if len(self.input_shape) != 3:
            raise InputError(f"{network} takes an input_shape of three numbers, not {self.input_shape}.")
        return tuple(self.input_shape)


def channel_axis() -> int:
    """The axis of the channels under Keras' image data format."""
    return 1 if _channels_first() else 3


def _channels_first() -> bool:
    return keras.config.image_data_format() == "channels_first"
