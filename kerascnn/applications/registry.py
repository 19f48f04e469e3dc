"""The networks: every network's builder, paper and published numbers, which networks.yaml lists.

Reading the registry imports neither Keras nor a backend; a builder's module is imported when it is first used.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from kerascnn.applications.weights import public
from kerascnn.applications.weights.public import PublicWeights
from kerascnn.errors import InputError, closest

if TYPE_CHECKING:
    import keras

PAPER = "paper"
# Not by the network's authors, but with the same protocol for many networks.
TORCHVISION = "torchvision's public weights"

# The paper's values of the options that weights may set: the builders' default is None, "as the weights need, or else
# the paper's".
PAPER_OPTIONS = {"batch_norm": False, "stride_in": "1x1", "variant": "released"}


class PublishedAccuracy(NamedTuple):
    """An accuracy as it was published, or 100 - the error where errors were.

    Attributes:
        top1, top5: in percent; None where it is not given.
        protocol: how it was measured: "1 crop", "10 crops", "144 crops", and the paper's remarks.
        source: "paper" for the network's paper, or whoever else published it.
    """

    top1: float | None
    top5: float | None
    protocol: str
    source: str = PAPER


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
        accuracies: as published; tables show the first.
        data: the data set of the accuracies.
        classes: the classes of that data set, the builder's default.
        aux_heads: whether the builder takes `aux_heads`, and training uses them.
        convolutional_classifier: the convolution with a map for every class that stands for a dense layer, or "".
    """

    builder: str
    module: str
    paper: str
    input_size: int
    recipe: str
    preprocessing: str
    published_parameters: float | None = None
    published_macs: float | None = None
    accuracies: tuple[PublishedAccuracy, ...] = ()
    data: str = "ImageNet"
    classes: int = 1000
    aux_heads: bool = False
    convolutional_classifier: str = ""

    @property
    def year(self) -> int:
        """The year of the paper."""
        return int(re.search(r", (\d{4}),", self.paper)[1])

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        return {**asdict(self), "year": self.year, "accuracies": [one._asdict() for one in self.accuracies]}


def _read() -> dict[str, NetworkInfo]:
    """The networks, with the accuracies of torchvision's first public weights after the others."""
    entries = yaml.safe_load(Path(__file__).with_name("networks.yaml").read_text(encoding="utf-8"))
    for entry in entries.values():
        files = [file for file in public.weights_of(entry["builder"]) if file.name == public.TORCHVISION]
        papers = [
            PublishedAccuracy(*(error and round(100 - error, 3) for error in (top1, top5)), *how)
            for top1, top5, *how in entry.pop("errors", ())
        ]
        own = [PublishedAccuracy(file.top1, file.top5, "1 crop", TORCHVISION) for file in files[:1]]
        entry["accuracies"] = (*papers, *own)
    return {name: NetworkInfo(**entry) for name, entry in entries.items()}


REGISTRY = _read()

# Networks that are not a paper's, of public weights or of experiments: `create` and `info` know them, `list_models`
# omits them.
UNLISTED = {name: REGISTRY.pop(name) for name in ("googlenettorchvision", "thinnet")}


def list_models() -> list[str]:
    """The names of the networks, for `create` and the command line.

    Example:
        >>> "googlenet" in list_models()
        True
    """
    return list(REGISTRY)


def info(name: str) -> NetworkInfo:
    """The paper, year, input size, preprocessing and published numbers of a network; InputError if there is none.

    Args:
        name: one of `list_models()`; upper and lower case, hyphens and underscores do not matter.

    Example:
        >>> info("ResNet-20").input_size
        32
    """
    name = canonical(name)
    return REGISTRY[name] if name in REGISTRY else UNLISTED[name]


def is_known(name: str) -> bool:
    """Whether there is a network of that name, in any spelling that `info` takes."""
    try:
        return bool(info(name))
    except InputError:
        return False


def canonical(name: str) -> str:
    """The name of a network as in `list_models`; InputError if there is no such network."""
    key = str(name).lower().replace("-", "").replace("_", "")
    if key not in REGISTRY and key not in UNLISTED:
        raise InputError(f"there is no model '{name}'; {closest(str(name), REGISTRY)}")
    return key


def list_weights(name: str) -> list[PublicWeights]:
    """The public weights of one of `list_models()`, in the order in which `weights="imagenet"` prefers them.

    InputError if there is no such network.

    Example:
        >>> [(file.name, file.top1) for file in list_weights("resnet50") if file.include_top][:3]
        [('keras', 74.9), ('torchvision', 76.13), ('torchvision-v2', 80.858)]
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
