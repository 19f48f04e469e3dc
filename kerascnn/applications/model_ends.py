"""What every builder shares with keras.applications: how a network begins and how it ends."""

from __future__ import annotations

import keras

from kerascnn.errors import InputError

POOLINGS = (None, "avg", "max")


def image_input(
    network: str,
    input_tensor: keras.KerasTensor | None,
    input_shape: tuple[int | None, ...] | None,
    *,
    default_size: int,
    min_size: int,
    fixed_size: bool = False,
) -> keras.KerasTensor:
    """The tensor a network starts from, checked against what the network can take.

    Args:
        network: its name, for error sentences.
        input_tensor: an existing tensor to build on, or None.
        input_shape: (height, width, channels), or channels first where that is Keras' image data format;
            None for the paper's size. Ignored when `input_tensor` is given.
        default_size: the paper's height and width in pixels.
        min_size: the smallest height and width that leave something at the end.
        fixed_size: whether None sizes are refused, because a dense layer follows a flattening.

    Raises:
        InputError: the shape is not one of images, or too small.
    """
    channels_first = keras.config.image_data_format() == "channels_first"
    if input_tensor is None:
        if input_shape is None:
            input_shape = (3, default_size, default_size) if channels_first else (default_size, default_size, 3)
        if len(input_shape) != 3:
            raise InputError(f"{network} takes an input_shape of three numbers, not {input_shape}.")
        input_tensor = keras.Input(tuple(input_shape), name="pixels")
    shape = tuple(input_tensor.shape[1:])
    if len(shape) != 3:
        raise InputError(f"{network} takes images of three dimensions, not {shape}.")
    sizes = shape[1:] if channels_first else shape[:2]
    for size in sizes:
        if size is None and fixed_size:
            raise InputError(f"{network} needs a height and width that are known, not {sizes}.")
        if size is not None and size < min_size:
            raise InputError(
                f"{network} needs images of at least {min_size} x {min_size} pixels, not {sizes[0]} x {sizes[1]}."
            )
    return input_tensor


def check_arguments(network: str, weights, pooling, classes: int) -> None:
    """Refuses what no builder takes.

    Raises:
        InputError: pretrained weights that do not exist, an unknown pooling, a class count below 1.
    """
    if weights is not None:
        raise InputError(f"{network} has no weights '{weights}'; pass weights=None and load your own file into it.")
    if pooling not in POOLINGS:
        raise InputError(f"pooling must be None, 'avg' or 'max', not {pooling!r}.")
    if classes < 1:
        raise InputError(f"{network} needs at least 1 class, not classes={classes}.")


def pool_features(x: keras.KerasTensor, pooling: str | None) -> keras.KerasTensor:
    """The end of a network without its top: feature maps, or their average or maximum."""
    if pooling == "avg":
        return keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    if pooling == "max":
        return keras.layers.GlobalMaxPooling2D(name="max_pool")(x)
    return x


def classifier(
    x: keras.KerasTensor, classes: int, activation: str | None, *, logits: str, predictions: str, initializer
) -> keras.KerasTensor:
    """A dense layer named `logits` and its activation, in float32 under every precision policy."""
    x = keras.layers.Dense(classes, kernel_initializer=initializer, name=logits)(x)
    return keras.layers.Activation(activation, dtype="float32", name=predictions)(x)


def source(input_tensor: keras.KerasTensor) -> keras.KerasTensor | list[keras.KerasTensor]:
    """The inputs of the model that `input_tensor` belongs to."""
    sources = keras.utils.get_source_inputs(input_tensor)
    return sources[0] if len(sources) == 1 else sources
