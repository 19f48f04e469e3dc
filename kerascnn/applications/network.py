"""The arguments that every network shares with keras.applications, and the input, top and weights made from them."""

from __future__ import annotations

import contextlib
import numbers
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import keras

from kerascnn.applications import registry
from kerascnn.applications.deep import functional
from kerascnn.applications.weights import load as weight_files
from kerascnn.applications.weights.sources import source_of
from kerascnn.errors import InputError
from kerascnn.image_shape import COLORS
from kerascnn.layers import channels_first

Pooling = Literal["avg", "max"]
Outputs = keras.KerasTensor | dict[str, keras.KerasTensor]


class CommonArguments(NamedTuple):
    """The arguments that every network takes: those of keras.applications in their order, then `dtype`.

    Attributes:
        include_top: whether the network ends in its classifier.
        weights: None for random weights; "imagenet", "keras", "torchvision", "torchvision-v2" or a name of timm's such
            as "timm/resnet50.a1_in1k" for public weights, which are downloaded once (`list_weights` lists them) and set
            the options that they need; or the URL or path of a file: `.weights.h5` or `.keras` of this network, an HDF5
            file of keras.applications, or `.safetensors`, `.pth`, `.pt` or `.th` with PyTorch's tensors; or a finished
            run's folder or name, such as "runs/last". "imagenet" is the first public file that fits the other
            arguments.
        input_tensor: a Keras tensor of images to build on; `input_shape` is then ignored.
        input_shape: (height, width, channels), or the channels first where that is Keras' image data format. None for
            three channels, of the paper's size with the top and of any size without it. A size may be None where
            nothing is flattened.
        pooling: without the top, None (feature maps), "avg" or "max".
        classes: the number of classes.
        classifier_activation: the activation of each classifier, a name or a function; None gives logits. Pretrained
            classifiers have None or "softmax".
        name: the model's name; None for one of Keras'.
        dtype: a dtype or a precision policy such as "mixed_bfloat16"; None for Keras' global policy.

    Raises:
        InputError: by all networks, for images too small, an unknown option or dtype, weights that do not fit.
    """

    include_top: bool
    weights: str | Path | None
    input_tensor: keras.KerasTensor | None
    input_shape: tuple[int | None, ...] | None
    pooling: Pooling | None
    classes: int
    classifier_activation: str | None
    name: str
    dtype: str | keras.DTypePolicy | None

    @classmethod
    def of(cls, arguments: dict[str, Any]) -> CommonArguments:
        """Those among a network's arguments, which are the first `locals()` of its function."""
        return cls(*map(arguments.get, cls._fields))


class Network:
    """A network that is being built; InputError for weights that do not fit, an unknown pooling, or no classes.

    `builder` is the name of its public function, such as "ResNet50"; `options` are the arguments that weights may set,
    None where the caller states none. The attribute `weights` is a `WeightSource`, None for random weights.
    """

    def __init__(self, builder: str, common: CommonArguments, **options: Any) -> None:
        self.builder = builder
        self.include_top = common.include_top
        self._stated = {name: value for name, value in options.items() if value is not None}
        self.weights = None
        if common.weights is not None:
            top, classes = common.include_top, common.classes
            self.weights = source_of(builder, common.weights, given=self._stated, include_top=top, classes=classes)
            weight_files.check(builder, self.weights)
        check_option(builder, "pooling", common.pooling, (None, *get_args(Pooling)))
        if not isinstance(common.classes, numbers.Integral) or common.classes < 1:
            raise InputError(f"{builder} needs a whole number of classes, at least 1, not classes={common.classes!r}.")
        # Keras takes no integers of NumPy.
        self.common = common._replace(classes=int(common.classes))
        if common.include_top:
            self._check_activation()
        if self.weights:
            self.weights = weight_files.with_batch_norm(self.weights, self._stated)

    def _check_activation(self) -> None:
        """As keras.applications: a pretrained classifier was trained with a softmax."""
        activation = self.common.classifier_activation
        try:
            known = keras.activations.get(activation)
        except ValueError:
            raise InputError(f"{self.builder}: Keras has no classifier_activation={activation!r}.") from None
        if self.weights and known not in (keras.activations.linear, keras.activations.softmax):
            raise InputError(
                f"{self.builder} takes classifier_activation=None or 'softmax' with pretrained weights, not "
                f"{activation!r}: build it with weights=None, or with include_top=False."
            )

    def option(self, name: str, allowed: Collection[Any]) -> Any:
        """An option's value: stated, or what the weights need, or the paper's; InputError if it is not `allowed`."""
        implied = self.weights.arguments if self.weights else {}
        value = {**registry.PAPER_OPTIONS, **implied, **self._stated}[name]
        check_option(self.builder, name, value, allowed)
        return value

    def images(self, *, min_size: int, fixed_size: bool = False) -> keras.KerasTensor:
        """The input tensor of the network; InputError if its shape is not one of images, or too small.

        `min_size` is the smallest height and width in pixels. With `fixed_size`, because a dense layer follows a
        flattening, a size of None is an error.
        """
        tensor = self.common.input_tensor
        if tensor is None:
            tensor = keras.Input(self._input_shape(), name="pixels")
        elif not isinstance(tensor, keras.KerasTensor):
            raise InputError(
                f"{self.builder} takes a Keras tensor as input_tensor, such as keras.Input((224, 224, 3)), not "
                f"a {type(tensor).__name__}."
            )
        shape = tuple(tensor.shape[1:])
        if len(shape) != 3:
            raise InputError(f"{self.builder} takes images of three dimensions, not {shape}.")
        sizes = shape[1:] if channels_first() else shape[:2]
        if fixed_size and None in sizes:
            raise InputError(f"{self.builder} needs a height and width that are known, not {sizes}.")
        if any(size is not None and size < min_size for size in sizes):
            # PyTorch's users give the channels first.
            order = "" if channels_first() or sizes[0] not in COLORS else "; shapes are (height, width, channels)"
            least = f"{min_size} x {min_size} pixels"
            raise InputError(f"{self.builder} needs images of at least {least}, not {sizes[0]} x {sizes[1]}{order}.")
        self._input = tensor
        return tensor

    def _input_shape(self) -> tuple[int | None, ...]:
        shape = self.common.input_shape
        if shape is None:
            size = registry.info(self.builder).input_size if self.include_top else None
            return (3, size, size) if channels_first() else (size, size, 3)
        if not isinstance(shape, Sequence) or len(shape) != 3 or not all(one is None or _is_size(one) for one in shape):
            raise InputError(f"{self.builder} takes an input_shape of three numbers, not {shape!r}.")
        return tuple(shape)

    def features(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """The output of a network without its top: feature maps, or their average or maximum."""
        if self.common.pooling == "avg":
            return keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
        if self.common.pooling == "max":
            return keras.layers.GlobalMaxPooling2D(name="max_pool")(x)
        return x

    def head(self, x: keras.KerasTensor, initializer: Any, *, dropout: float = 0.0) -> keras.KerasTensor:
        """Global average pool, dropout and classifier; the features where the network has no top."""
        if not self.include_top:
            return self.features(x)
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
        if dropout:
            x = keras.layers.Dropout(dropout, name="dropout")(x)
        return self.classifier(x, initializer)

    def classifier(self, x: keras.KerasTensor, initializer: Any, name: str = "predictions") -> keras.KerasTensor:
        """A dense layer with the classifiers' activation, in float32 under every precision policy."""
        activation = self.common.classifier_activation
        options = {"kernel_initializer": initializer, "dtype": "float32", "name": name}
        return keras.layers.Dense(self.common.classes, activation, **options)(x)

    def model(self, outputs: Outputs) -> keras.Model:
        """The model from its inputs to `outputs`, with its weights; `preprocessing_mode` is how they scale pixels."""
        inputs = keras.utils.get_source_inputs(self._input)
        inputs = inputs[0] if len(inputs) == 1 else inputs
        model = functional(inputs, outputs, name=self.common.name)
        if self.weights is not None:
            before = functional(inputs, self._input, name="before").layers
            weight_files.load(self.builder, [layer for layer in model.layers if layer not in before], self.weights)
        model.preprocessing_mode = (self.weights or registry.info(self.builder)).preprocessing
        return model


def _is_size(size: Any) -> bool:
    return isinstance(size, numbers.Integral) and size > 0


@contextlib.contextmanager
def building(builder: str, common: CommonArguments, **options: Any) -> Iterator[Network]:
    """A new `Network`, whose layers are made inside this context, under its dtype policy; its errors are theirs."""
    with dtype_policy_scope(common.dtype):
        yield Network(builder, common, **options)


def check_option(builder: str, name: str, value: Any, allowed: Collection[Any]) -> None:
    """Raises InputError such as "ResNet18 takes shortcut='A', 'B' or 'C', not 'D'." """
    if value not in tuple(allowed):
        *others, last = map(repr, allowed)
        raise InputError(f"{builder} takes {name}={', '.join(others)} or {last}, not {value!r}.")


@contextlib.contextmanager
def dtype_policy_scope(dtype: str | keras.DTypePolicy | None) -> Iterator[None]:
    """Layers made inside have this dtype policy, or the global one; InputError if there is no such policy."""
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(before if dtype is None else dtype)
    except (ValueError, TypeError):
        raise InputError(
            f"dtype must be a dtype or a precision policy such as 'mixed_bfloat16', not {dtype!r}."
        ) from None
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
