"""What exists: every network's builder, paper and published figures.

Reading the registry imports neither Keras nor a backend; a builder's module is imported when it is called for.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from kerascnn.errors import InputError, closest

if TYPE_CHECKING:
    import keras

ALEXNET_PAPER = "Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, 2012, section 3.5"
ALEXNET_V2_PAPER = "Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014, section 5"
ZFNET_PAPER = "Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, 2013, figure 3"
VGG_PAPER = "Simonyan and Zisserman, Very Deep Convolutional Networks, 2014, table 1"
GOOGLENET_PAPER = "Szegedy et al., Going Deeper with Convolutions, 2014, table 1"
BN_PAPER = "Ioffe and Szegedy, Batch Normalization, 2015, figure 5"
INCEPTION_PAPER = "Szegedy et al., Rethinking the Inception Architecture, 2015, table 1"
IMAGENET_RESNET_PAPER = "He et al., Deep Residual Learning for Image Recognition, 2015, table 1"
CIFAR_RESNET_PAPER = "He et al., Deep Residual Learning for Image Recognition, 2015, section 4.2"

PAPER = "paper"
# Not by the network's authors, but the same protocol for many networks.
TORCHVISION = "torchvision's public weights"


class PublishedError(NamedTuple):
    """An error rate as it was published.

    Attributes:
        top1, top5: in percent; None where it is not given.
        protocol: how it was measured: "1 crop", "10 crops", "144 crops", with what the paper adds.
        source: "paper", the one that is cited, or who else published it.
    """

    top1: float | None
    top5: float | None
    protocol: str
    source: str = PAPER

    def __str__(self) -> str:
        rates = {"top-1": self.top1, "top-5": self.top5}
        return ", ".join(f"{name} {rate:g} %" for name, rate in rates.items() if rate is not None) + (
            f" ({self.protocol})" if self.protocol else ""
        )


@dataclass(frozen=True)
class NetworkInfo:
    """A network's facts.

    Attributes:
        builder: the public name in `kerascnn.applications`.
        module: the module that defines it.
        paper: authors, title, year, section.
        input_size: height and width in pixels that the paper trains at.
        recipe: the training recipe that `kerascnn train` takes where none is named.
        preprocessing: what `preprocess_input` does; one of `preprocessing.MODES`.
        published_parameters: in millions, as the paper prints it; None where it does not.
        published_macs: multiply-adds of one image in units of 1e9, as published; None where they are not.
        errors: as published, the first being the one to show.
        data: the data set of the errors.
        classes: of that data set, the builder's default.
        aux_heads: whether the builder takes `aux_heads`, and training uses them.
    """

    builder: str
    module: str
    paper: str
    input_size: int
    recipe: str
    preprocessing: str
    published_parameters: float | None = None
    published_macs: float | None = None
    errors: tuple[PublishedError, ...] = ()
    data: str = "ImageNet"
    classes: int = 1000
    aux_heads: bool = False

    @property
    def year(self) -> int:
        """The paper's."""
        return int(re.search(r", (\d{4}),", self.paper)[1])

    @property
    def published_error(self) -> str:
        """The first of the errors, in words."""
        return f"{self.data} {self.errors[0]}" if self.errors else "–"

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            **asdict(self),
            "year": self.year,
            "errors": [error._asdict() for error in self.errors],
        }


def _torchvision(top1_accuracy: float, top5_accuracy: float) -> PublishedError:
    return PublishedError(round(100 - top1_accuracy, 3), round(100 - top5_accuracy, 3), "1 crop", TORCHVISION)


_alexnet = partial(NetworkInfo, module="alexnet", recipe="classic_photos", preprocessing="mean")
_vgg = partial(
    NetworkInfo, module="vgg", paper=VGG_PAPER, input_size=224, recipe="classic_photos", preprocessing="caffe"
)
_inception = partial(
    NetworkInfo,
    paper=INCEPTION_PAPER,
    input_size=299,
    recipe="googlenet_small",
    preprocessing="symmetric",
    aux_heads=True,
)
_resnet = partial(
    NetworkInfo,
    module="resnet",
    paper=IMAGENET_RESNET_PAPER,
    input_size=224,
    recipe="resnet_photos",
    preprocessing="caffe",
)
_cifar = partial(
    NetworkInfo,
    module="cifar_resnet",
    paper=CIFAR_RESNET_PAPER,
    input_size=32,
    recipe="resnet_small",
    preprocessing="cifar",
    data="CIFAR-10",
    classes=10,
)

# fmt: off
REGISTRY: dict[str, NetworkInfo] = {
    "alexnet": _alexnet("AlexNet", paper=ALEXNET_PAPER, input_size=227, published_parameters=60, errors=(
        PublishedError(None, 16.4, "5 models"),
    )),
    "alexnetv2": _alexnet("AlexNetV2", paper=ALEXNET_V2_PAPER, input_size=224, preprocessing="torch", errors=(
        _torchvision(56.522, 79.066),
    )),
    "zfnet": _alexnet("ZFNet", module="zfnet", paper=ZFNET_PAPER, input_size=224, errors=(
        PublishedError(None, 11.7, "ensemble"),
    )),
    "vgg11": _vgg("VGG11", published_parameters=133, errors=(_torchvision(69.02, 88.628),)),
    "vgg13": _vgg("VGG13", published_parameters=133, errors=(_torchvision(69.928, 89.246),)),
    "vgg16": _vgg("VGG16", published_parameters=138, published_macs=15.3, errors=(
        PublishedError(28.07, 9.33, "10 crops", "He et al., 2015"),
        _torchvision(71.592, 90.382),
    )),
    "vgg16c": _vgg("VGG16C", published_parameters=134),
    "vgg19": _vgg("VGG19", published_parameters=144, published_macs=19.6, errors=(_torchvision(72.376, 90.876),)),
    "googlenet": NetworkInfo("GoogLeNet", "googlenet", GOOGLENET_PAPER, 224, "googlenet_small", "mean", 6.8, 1.5, (
        PublishedError(None, 10.07, "1 crop"),
        PublishedError(None, 9.15, "10 crops"),
        PublishedError(None, 7.89, "144 crops"),
        PublishedError(29.0, 9.2, "1 crop", "Szegedy et al., 2015"),
        _torchvision(69.778, 89.53),
    ), aux_heads=True),
    "bninception": NetworkInfo(
        "BNInception", "bn_inception", BN_PAPER, 224, "googlenet_small", "mean", published_macs=2.0, errors=(
            PublishedError(25.2, 7.8, "1 crop", "Szegedy et al., 2015"),
            PublishedError(22.0, 5.82, "144 crops", "Szegedy et al., 2015"),
        ),
    ),
    "inceptionv2": _inception("InceptionV2", module="inception_v2", published_macs=3.8, errors=(
        PublishedError(23.4, None, "1 crop"),
    )),
    "inceptionv3": _inception("InceptionV3", module="inception_v3", published_macs=4.8, errors=(
        PublishedError(21.2, 5.6, "1 crop"),
        PublishedError(19.47, 4.48, "12 crops"),
        PublishedError(18.77, 4.2, "144 crops"),
        _torchvision(77.294, 93.45),
    )),
    "plain18": _resnet("Plain18", published_macs=1.8, errors=(PublishedError(27.94, None, "10 crops"),)),
    "plain34": _resnet("Plain34", published_macs=3.6, errors=(PublishedError(28.54, 10.02, "10 crops"),)),
    "resnet18": _resnet("ResNet18", published_macs=1.8, errors=(
        PublishedError(27.88, None, "10 crops, shortcuts A"),
        _torchvision(69.758, 89.078),
    )),
    "resnet34": _resnet("ResNet34", published_macs=3.6, errors=(
        PublishedError(24.52, 7.46, "10 crops"),
        PublishedError(25.03, 7.76, "10 crops, shortcuts A"),
        PublishedError(24.19, 7.40, "10 crops, shortcuts C"),
        _torchvision(73.314, 91.42),
    )),
    "resnet50": _resnet("ResNet50", published_macs=3.8, errors=(
        PublishedError(22.85, 6.71, "10 crops"),
        _torchvision(76.13, 92.862),
    )),
    "resnet101": _resnet("ResNet101", published_macs=7.6, errors=(
        PublishedError(21.75, 6.05, "10 crops"),
        _torchvision(77.374, 93.546),
    )),
    "resnet152": _resnet("ResNet152", published_macs=11.3, errors=(
        PublishedError(21.43, 5.71, "10 crops"),
        _torchvision(78.312, 94.046),
    )),
    "resnet20": _cifar("ResNet20", published_parameters=0.27, errors=(PublishedError(8.75, None, ""),)),
    "resnet32": _cifar("ResNet32", published_parameters=0.46, errors=(PublishedError(7.51, None, ""),)),
    "resnet44": _cifar("ResNet44", published_parameters=0.66, errors=(PublishedError(7.17, None, ""),)),
    "resnet56": _cifar("ResNet56", published_parameters=0.85, errors=(PublishedError(6.97, None, ""),)),
    "resnet110": _cifar("ResNet110", published_parameters=1.7, errors=(
        PublishedError(6.43, None, "best of 5"),
        PublishedError(6.61, None, "mean of 5"),
    )),
    "resnet1202": _cifar("ResNet1202", published_parameters=19.4, errors=(PublishedError(7.93, None, ""),)),
    "plain20": _cifar("Plain20"),
    "plain32": _cifar("Plain32"),
    "plain44": _cifar("Plain44"),
    "plain56": _cifar("Plain56"),
}
# fmt: on


def list_models() -> list[str]:
    """The names that `create` and the command line take.

    Example:
        >>> "googlenet" in list_models()
        True
    """
    return list(REGISTRY)


def info(name: str) -> NetworkInfo:
    """The facts about a network: paper, year, input size, preprocessing, published parameters, operations and errors.

    Args:
        name: one of `list_models()`; upper and lower case, hyphens and underscores do not matter.

    Raises:
        InputError: there is no such network.

    Example:
        >>> info("ResNet-20").input_size
        32
    """
    return REGISTRY[canonical(name)]


def canonical(name: str) -> str:
    """The name of a network as `list_models` has it.

    Raises:
        InputError: there is no such network.

    Example:
        >>> canonical("ResNet-20")
        'resnet20'
    """
    key = name.lower().replace("-", "").replace("_", "")
    if key not in REGISTRY:
        raise InputError(f"there is no model '{name}'; {closest(name, REGISTRY)}")
    return key


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
