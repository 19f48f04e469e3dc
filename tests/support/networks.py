"""Networks of the registry on small images."""

from __future__ import annotations

import functools
from collections import Counter

import keras
import numpy as np

import kerascnn
from kerascnn.applications import registry
from kerascnn.complexity import Report, analysis, analyze_by_name
from kerascnn.layers import ClassLabels

# Pixels per side that each network accepts; the others take 16.
SIZE = {
    "alexnet": 67,
    "alexnetv2": 63,
    "zfnet": 53,
    **dict.fromkeys(("vgg11", "vgg13", "vgg16", "vgg16c", "vgg19"), 32),
    **dict.fromkeys(("plain18", "plain34", "resnet18", "resnet34"), 32),
    # Statistics of last maps of one pixel make gradients explode through that many layers.
    **dict.fromkeys(("resnet50", "resnet101", "resnet152"), 64),
    "googlenet": 72,
    "bninception": 64,
    **dict.fromkeys(("inceptionv2", "inceptionv3"), 107),
    **dict.fromkeys(("preluneta", "prelunetb", "prelunetc"), 112),
}


def size_of(name: str) -> int:
    """Height and width of a network's small images."""
    return SIZE.get(name, 16)


def small(name: str, **arguments) -> keras.Model:
    """A network of the registry for small images of three classes."""
    size = size_of(name)
    return kerascnn.applications.create(name, **{"input_shape": (size, size, 3), "classes": 3} | arguments)


# Every other network is made of layers of these; test_registry.py shows it.
DISTINCT = (
    "alexnet",
    "alexnetv2",
    "zfnet",
    "vgg11",
    "googlenet",
    "bninception",
    "inceptionv2",
    "inceptionv3",
    "resnet18",
    "resnet50",
    "resnet20",
    "dsn",
    "maxout",
    "fitnet1",
    "highway19",
    "preluneta",
)

# Networks without batch normalization need pixels in their own scale.
PIXEL_SCALE = dict.fromkeys(("alexnet", "alexnetv2", "zfnet", "vgg11", "vgg13", "vgg16", "vgg16c", "vgg19"), 60.0)

# The names that Keras gives to layers without a name.
AUTOMATIC = {
    *("conv2d", "dense", "batch_normalization", "activation", "add", "concatenate", "max_pooling2d"),
    *("average_pooling2d", "global_average_pooling2d", "zero_padding2d", "flatten", "input_layer"),
    *("local_response_normalization", "subsampled_identity", "spatial_pyramid_pooling"),
    *("maximum", "multiply", "subtract", "p_re_lu", "global_max_pooling2d"),
}

# A slim network has no more filters and units per layer.
FILTERS = 16


def as_trained(name: str) -> dict[str, bool]:
    """The arguments of a network that is trained with its auxiliary classifiers."""
    return {"aux_heads": True} if registry.info(name).aux_heads else {}


def without_values(build, *arguments, **named):
    """What `build` returns, with weights that have no values: drawing them takes most of the time of building."""
    return analysis.without_values(functools.partial(build, *arguments, **named))


@functools.cache
def outline(name: str) -> keras.Model:
    """The small network as it is trained, without values."""
    return without_values(small, name, **as_trained(name))


def slim(model: keras.Model) -> keras.Model:
    """A network of the same layers, none with more than a few filters, and with values."""

    def clone(layer):
        config = layer.get_config()
        config.update({key: min(config[key], FILTERS) for key in ("filters", "units") if key in config})
        return layer.__class__.from_config(config)

    return keras.models.clone_model(model, clone_function=clone)


def unnamed(model: keras.Model) -> list[str]:
    """The layers whose names Keras made, or that share a name with another."""
    names = Counter(layer.name for layer in model.layers)
    return [name for name, count in names.items() if name.rstrip("0123456789_") in AUTOMATIC or count > 1]


def kinds(model: keras.Model) -> set[tuple[str, ...]]:
    """The operations of a network's layers, apart from their width."""
    settings = ("kernel_size", "pool_size", "strides", "padding", "groups", "activation", "use_bias", "size", "axis")
    configs = ((type(layer).__name__, layer.get_config()) for layer in model.layers)
    return {(kind, *(str(config.get(setting)) for setting in settings)) for kind, config in configs}


@functools.cache
def report_of(name: str, **arguments) -> Report:
    """What a network of the registry costs, found out once per process."""
    return analyze_by_name(name, **arguments)


def pixel_model(class_names, size=8):
    """Predicts the class whose index is a tenth of the first pixel's red."""
    pixels = keras.Input((size, size, 3), name="pixels")
    red = keras.layers.Flatten()(pixels)[:, :1]
    centers = np.arange(len(class_names), dtype="float32") * 10
    probabilities = keras.layers.Softmax()(-keras.ops.abs(red - centers))
    return keras.Model(pixels, ClassLabels(class_names, name="labels")(probabilities))
