"""What exists: every network's builder, paper and published figures.

Reading the registry imports neither Keras nor a backend; a builder's module is imported when it is called for.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kerascnn.errors import InputError, closest

if TYPE_CHECKING:
    import keras

ALEXNET_PAPER = "Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, 2012, section 3.5"
ALEXNET_V2_PAPER = "Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014, section 5"
ZFNET_PAPER = "Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, 2013, figure 3"
VGG_PAPER = "Simonyan and Zisserman, Very Deep Convolutional Networks, 2014, table 1"
IMAGENET_RESNET_PAPER = "He et al., Deep Residual Learning for Image Recognition, 2015, table 1"
RESNET_PAPER = "He et al., Deep Residual Learning for Image Recognition, 2015, section 4.2"
GOOGLENET_PAPER = "Szegedy et al., Going Deeper with Convolutions, 2014"


@dataclass(frozen=True)
class Entry:
    """A network's facts.

    Attributes:
        builder: the public name in `kerascnn.applications`.
        module: the module that defines it.
        paper: authors, title, year, section.
        year: of the paper.
        input_size: height and width in pixels that the paper trains at.
        classes: of the paper's data set, the builder's default.
        published_parameters: as the paper prints it.
        published_error: as the paper prints it, with data set and protocol.
        recipe: the training recipe that `kerascnn train` takes where none is named.
        aux_heads: whether the builder takes `aux_heads`, and training uses them.
    """

    builder: str
    module: str
    paper: str
    year: int
    input_size: int
    classes: int
    published_parameters: str
    published_error: str
    recipe: str
    aux_heads: bool = False


def _cifar(builder: str, parameters: str, error: str) -> Entry:
    return Entry(
        builder=builder,
        module="cifar_resnet",
        paper=RESNET_PAPER,
        year=2015,
        input_size=32,
        classes=10,
        published_parameters=parameters,
        published_error=error,
        recipe="resnet_small",
    )


def _imagenet(
    builder: str, module: str, paper: str, parameters: str, error: str, recipe: str, input_size: int = 224
) -> Entry:
    return Entry(
        builder=builder,
        module=module,
        paper=paper,
        year=int(re.search(r", (\d{4}),", paper)[1]),
        input_size=input_size,
        classes=1000,
        published_parameters=parameters,
        published_error=error,
        recipe=recipe,
    )


def _resnet(builder: str, error: str) -> Entry:
    return _imagenet(builder, "resnet", IMAGENET_RESNET_PAPER, "–", error, "resnet_photos")


def _vgg(builder: str, parameters: str, error: str) -> Entry:
    return _imagenet(builder, "vgg", VGG_PAPER, parameters, error, "classic_photos")


REGISTRY: dict[str, Entry] = {
    "alexnet": _imagenet(
        "AlexNet", "alexnet", ALEXNET_PAPER, "60M", "ImageNet top-5 16.4 % (5 models)", "classic_photos", 227
    ),
    "alexnetv2": _imagenet("AlexNetV2", "alexnet", ALEXNET_V2_PAPER, "–", "–", "classic_photos"),
    "zfnet": _imagenet("ZFNet", "zfnet", ZFNET_PAPER, "–", "ImageNet top-5 11.7 % (ensemble)", "classic_photos"),
    "vgg11": _vgg("VGG11", "133M", "ImageNet top-5 10.4 % (A)"),
    "vgg13": _vgg("VGG13", "133M", "ImageNet top-5 9.9 % (B)"),
    "vgg16": _vgg("VGG16", "138M", "ImageNet top-5 8.8 % (D)"),
    "vgg16c": _vgg("VGG16C", "134M", "ImageNet top-5 9.4 % (C)"),
    "vgg19": _vgg("VGG19", "144M", "ImageNet top-5 9.0 % (E)"),
    "plain18": _resnet("Plain18", "ImageNet top-1 27.94 % (10 crops)"),
    "plain34": _resnet("Plain34", "ImageNet top-1 28.54 %, top-5 10.02 % (10 crops)"),
    "resnet18": _resnet("ResNet18", "ImageNet top-1 27.88 % (A, 10 crops)"),
    "resnet34": _resnet("ResNet34", "ImageNet top-1 24.52 %, top-5 7.46 % (B, 10 crops)"),
    "resnet50": _resnet("ResNet50", "ImageNet top-1 22.85 %, top-5 6.71 % (10 crops)"),
    "resnet101": _resnet("ResNet101", "ImageNet top-1 21.75 %, top-5 6.05 % (10 crops)"),
    "resnet152": _resnet("ResNet152", "ImageNet top-1 21.43 %, top-5 5.71 % (10 crops)"),
    "resnet20": _cifar("ResNet20", "0.27M", "CIFAR-10 top-1 8.75 %"),
    "resnet32": _cifar("ResNet32", "0.46M", "CIFAR-10 top-1 7.51 %"),
    "resnet44": _cifar("ResNet44", "0.66M", "CIFAR-10 top-1 7.17 %"),
    "resnet56": _cifar("ResNet56", "0.85M", "CIFAR-10 top-1 6.97 %"),
    "resnet110": _cifar("ResNet110", "1.7M", "CIFAR-10 top-1 6.43 %"),
    "plain20": _cifar("Plain20", "–", "drawn as a curve only"),
    "plain32": _cifar("Plain32", "–", "drawn as a curve only"),
    "plain44": _cifar("Plain44", "–", "drawn as a curve only"),
    "plain56": _cifar("Plain56", "–", "drawn as a curve only"),
    "googlenet": Entry(
        builder="GoogLeNet",
        module="googlenet",
        paper=GOOGLENET_PAPER,
        year=2014,
        input_size=224,
        classes=1000,
        published_parameters="6.8M",
        published_error="ImageNet top-5 10.07 % (1 crop), 7.89 % (144 crops)",
        recipe="googlenet_small",
        aux_heads=True,
    ),
}


def list_models() -> list[str]:
    """The names that `create` and the command line take.

    Example:
        >>> "googlenet" in list_models()
        True
    """
    return list(REGISTRY)


def info(name: str) -> Entry:
    """The facts about a network: paper, year, input size, published parameters and errors.

    Args:
        name: one of `list_models()`; upper and lower case, hyphens and underscores do not matter.

    Raises:
        InputError: there is no such network.

    Example:
        >>> info("ResNet-20").input_size
        32
    """
    key = name.lower().replace("-", "").replace("_", "")
    if key not in REGISTRY:
        raise InputError(f"there is no model '{name}'; {closest(name, REGISTRY)}")
    return REGISTRY[key]


def builder(name: str) -> Callable[..., keras.Model]:
    """The function that builds the network `name`."""
    entry = info(name)
    return getattr(importlib.import_module(f"kerascnn.applications.{entry.module}"), entry.builder)


def create(name: str, **arguments) -> keras.Model:
    """Builds a network by name.

    Args:
        name: one of `list_models()`.
        arguments: those of the builder.

    Raises:
        InputError: there is no such network, or the builder refuses an argument's value.
        TypeError: the builder has no such argument.

    Example:
        >>> model = create("resnet20", classes=10)
    """
    return builder(name)(**arguments)
