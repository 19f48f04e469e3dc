"""The networks: every network's builder, paper and published numbers.

Reading the registry imports neither Keras nor a backend; a builder's module is imported when it is first used.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from kerascnn.applications.weights import public
from kerascnn.applications.weights.public import PublicWeights
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
# Not by the network's authors, but with the same protocol for many networks.
TORCHVISION = "torchvision's public weights"

# The paper's values of the options that weights may set: the builders' default is None, "as the weights need, or else
# the paper's".
PAPER_OPTIONS = {"batch_norm": False, "stride_in": "1x1", "variant": "released"}


class PublishedError(NamedTuple):
    """An error rate as it was published.

    Attributes:
        top1, top5: in percent; None where it is not given.
        protocol: how it was measured: "1 crop", "10 crops", "144 crops", and the paper's remarks.
        source: "paper" for the network's paper, or whoever else published it.
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
    """The paper, defaults and published numbers of a network.

    Attributes:
        builder: the public name in `kerascnn.applications`.
        module: the module that defines it.
        paper: authors, title, year, section.
        input_size: height and width in pixels that the paper trains at.
        recipe: the default training recipe of `kerascnn train`.
        preprocessing: what `preprocess_input` does; one of `preprocessing.MODES`.
        published_parameters: in millions, as the paper prints it; None where it does not.
        published_macs: multiply-adds of one image in units of 1e9, as published; None where they are not.
        errors: as published; tables show the first.
        data: the data set of the errors.
        classes: the classes of that data set, the builder's default.
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
        """The year of the paper."""
        return int(re.search(r", (\d{4}),", self.paper)[1])

    @property
    def published_error(self) -> str:
        """The first of the errors as text."""
        return f"{self.data} {self.errors[0]}" if self.errors else "–"

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        return {
            **asdict(self),
            "year": self.year,
            "errors": [error._asdict() for error in self.errors],
        }


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
_PAPERS: dict[str, NetworkInfo] = {
    "alexnet": _alexnet("AlexNet", paper=ALEXNET_PAPER, input_size=227, published_parameters=60, errors=(
        PublishedError(None, 16.4, "5 models"),
    )),
    "alexnetv2": _alexnet("AlexNetV2", paper=ALEXNET_V2_PAPER, input_size=224, preprocessing="torch"),
    "zfnet": _alexnet("ZFNet", module="zfnet", paper=ZFNET_PAPER, input_size=224, errors=(
        PublishedError(None, 11.7, "ensemble"),
    )),
    "vgg11": _vgg("VGG11", published_parameters=133),
    "vgg13": _vgg("VGG13", published_parameters=133),
    "vgg16": _vgg("VGG16", published_parameters=138, published_macs=15.3, errors=(
        PublishedError(28.07, 9.33, "10 crops", "He et al., 2015"),
    )),
    "vgg16c": _vgg("VGG16C", published_parameters=134),
    "vgg19": _vgg("VGG19", published_parameters=144, published_macs=19.6),
    "googlenet": NetworkInfo("GoogLeNet", "googlenet", GOOGLENET_PAPER, 224, "googlenet_small", "mean", 6.8, 1.5, (
        PublishedError(None, 10.07, "1 crop"),
        PublishedError(None, 9.15, "10 crops"),
        PublishedError(None, 7.89, "144 crops"),
        PublishedError(29.0, 9.2, "1 crop", "Szegedy et al., 2015"),
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
    )),
    "plain18": _resnet("Plain18", published_macs=1.8, errors=(PublishedError(27.94, None, "10 crops"),)),
    "plain34": _resnet("Plain34", published_macs=3.6, errors=(PublishedError(28.54, 10.02, "10 crops"),)),
    "resnet18": _resnet("ResNet18", published_macs=1.8, errors=(
        PublishedError(27.88, None, "10 crops, shortcuts A"),
    )),
    "resnet34": _resnet("ResNet34", published_macs=3.6, errors=(
        PublishedError(24.52, 7.46, "10 crops"),
        PublishedError(25.03, 7.76, "10 crops, shortcuts A"),
        PublishedError(24.19, 7.40, "10 crops, shortcuts C"),
    )),
    "resnet50": _resnet("ResNet50", published_macs=3.8, errors=(
        PublishedError(22.85, 6.71, "10 crops"),
    )),
    "resnet101": _resnet("ResNet101", published_macs=7.6, errors=(
        PublishedError(21.75, 6.05, "10 crops"),
    )),
    "resnet152": _resnet("ResNet152", published_macs=11.3, errors=(
        PublishedError(21.43, 5.71, "10 crops"),
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


def _with_torchvision(entry: NetworkInfo) -> NetworkInfo:
    """The network with the errors of torchvision's first public weights after the others."""
    files = [file for file in public.weights_of(entry.builder) if file.name == public.TORCHVISION]
    errors = [
        PublishedError(round(100 - file.top1, 3), round(100 - file.top5, 3), "1 crop", TORCHVISION)
        for file in files[:1]
    ]
    return replace(entry, errors=(*entry.errors, *errors))


REGISTRY = {name: _with_torchvision(entry) for name, entry in _PAPERS.items()}

# Networks of public weights that are not a paper's: `create` and `info` know them, `list_models` omits them.
PUBLISHED_VARIANTS = {
    "googlenettorchvision": _with_torchvision(
        replace(
            _PAPERS["googlenet"],
            builder="GoogLeNetTorchvision",
            module="googlenet_torchvision",
            preprocessing="symmetric",
            published_parameters=None,
            published_macs=None,
            errors=(),
        )
    ),
}


def list_models() -> list[str]:
    """The names of the networks, for `create` and the command line.

    Example:
        >>> "googlenet" in list_models()
        True
    """
    return list(REGISTRY)


def info(name: str) -> NetworkInfo:
    """The paper, year, input size, preprocessing and published numbers of a network.

    Args:
        name: one of `list_models()`; upper and lower case, hyphens and underscores do not matter.

    Raises:
        InputError: there is no such network.

    Example:
        >>> info("ResNet-20").input_size
        32
    """
    name = canonical(name)
    return REGISTRY[name] if name in REGISTRY else PUBLISHED_VARIANTS[name]


def is_known(name: str) -> bool:
    """Whether there is a network of that name, in any spelling that `info` takes."""
    try:
        return bool(info(name))
    except InputError:
        return False


def canonical(name: str) -> str:
    """The name of a network as in `list_models`.

    Raises:
        InputError: there is no such network.

    Example:
        >>> canonical("ResNet-20")
        'resnet20'
    """
    key = name.lower().replace("-", "").replace("_", "")
    if key not in REGISTRY and key not in PUBLISHED_VARIANTS:
        raise InputError(f"there is no model '{name}'; {closest(name, REGISTRY)}")
    return key


def list_weights(name: str) -> list[PublicWeights]:
    """The public files of weights of a network, in the order in which `weights="imagenet"` prefers them.

    Args:
        name: one of `list_models()`.

    Raises:
        InputError: there is no such network.

    Example:
        >>> [(file.name, file.top1) for file in list_weights("resnet50") if file.include_top]
        [('keras', 74.9), ('torchvision', 76.13)]
    """
    return public.weights_of(info(name).builder)


def builder(name: str) -> Callable[..., keras.Model]:
    """The function that builds the network `name`."""
    entry = info(name)
    return getattr(importlib.import_module(f"kerascnn.applications.{entry.module}"), entry.builder)


def create(name: str, /, **arguments: Any) -> keras.Model:
    """Builds a network by name.

    Args:
        name: one of `list_models()`.
        arguments: the arguments of the builder, `name` among them.

    Raises:
        InputError: there is no such network, or an argument's value is wrong.
        TypeError: the builder has no such argument.

    Example:
        >>> model = create("resnet20", classes=10)
    """
    return builder(name)(**arguments)
