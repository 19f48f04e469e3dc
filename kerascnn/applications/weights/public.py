"""The public weights of the networks here, which public.yaml lists: where they are, how their pixels are scaled.

keras.applications publishes files whose MD5 is in its program; torchvision's file names contain the first eight digits
of the SHA-256; timm, on the Hugging Face hub, publishes neither. No more is published, so no more is checked.
Accuracies are the publishers', for one center crop of ImageNet's validation images. No publisher states that its
weights are free of ImageNet's terms; torchvision leaves that question to the users.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import yaml

from kerascnn.errors import InputError, closest
from kerascnn.files.checksums import Checksum

KERAS = "keras"
TORCHVISION = "torchvision"
# The first weights that match, from any publisher.
ANY = "imagenet"
# The beginning of the names of timm's weights, which are their repositories on the Hugging Face hub.
HUB = "timm/"

CLASSES = 1000


@dataclass(frozen=True)
class PublicWeights:
    """A file of weights that was published for a network.

    Attributes:
        name: the value of the builder's `weights`: "keras", "torchvision", "torchvision-v2", or a repository of the
            Hugging Face hub such as "timm/resnet50.a1_in1k".
        network: the builder's name.
        url: of the file.
        checksum: as far as it is published; None if it is not.
        license: of the weights, or of the publisher's library.
        preprocessing: how the network's pixels are scaled; one of `preprocessing.MODES`.
        input_size: height and width in pixels.
        crop_fraction: the side of the publisher's center crop, as a share of the image's shorter side.
        resampling: of the publisher's evaluation: "bilinear", "bicubic" or "not known".
        top1, top5: published accuracies in percent.
        source: publisher of the accuracies.
        include_top: whether the file has the classifier.
        arguments: the builder's arguments for the file's variant of the network.
        builder: the builder of that variant, which takes none of the arguments; None for the network's own.
    """

    name: str
    network: str
    url: str
    checksum: Checksum | None
    license: str
    preprocessing: str
    input_size: int
    crop_fraction: float
    resampling: str
    top1: float
    top5: float
    source: str
    include_top: bool
    arguments: Mapping[str, Any]
    builder: str | None = None

    @property
    def file(self) -> str:
        """The file's name; on the hub, all files have one name, and this is the repository's."""
        return f"{self.name.removeprefix(HUB)}.safetensors" if self.on_hub else Path(urlsplit(self.url).path).name

    @property
    def on_hub(self) -> bool:
        """Whether `name` is a repository of the Hugging Face hub."""
        return self.name.startswith(HUB)

    @property
    def protocol(self) -> str:
        """How the accuracies were measured."""
        share = f"{100 * self.crop_fraction:.4g} % of the shorter side"
        return f"1 crop, {share}, at {self.input_size} pixels, resampling {self.resampling}"

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        values = {**vars(self), "checksum": self.checksum and str(self.checksum), "arguments": dict(self.arguments)}
        return {**values, "protocol": self.protocol}

    def matches(self, given: Mapping[str, Any]) -> bool:
        """Whether the given builder arguments do not contradict `arguments`."""
        return all(given.get(name, value) == value for name, value in self.arguments.items())


def _read() -> Iterator[PublicWeights]:
    for name, publisher in yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")).items():
        url, files = publisher.pop("url"), publisher.pop("files")
        for row in files:
            row = {**publisher, **row}
            file, (top1, top5), arguments = row.pop("file"), row.pop("accuracy"), row.pop("arguments", {})
            md5 = [Checksum("md5", digits) for digits in row.pop("md5", ())]
            sha256 = None if name.startswith(HUB) else Checksum("sha256", file[-8:])
            row |= {"name": name.format(file=file), "top1": top1, "top5": top5}
            # The second file is without the classifier.
            for suffix, checksum in zip(("", "_notop"), md5 or [sha256], strict=False):
                row |= {"url": url.format(file=file, suffix=suffix), "checksum": checksum, "include_top": not suffix}
                yield PublicWeights(arguments=MappingProxyType(arguments), **row)


WEIGHTS = tuple(_read())
NAMES = (ANY, *dict.fromkeys(file.name for file in WEIGHTS))


def is_name(weights: Any) -> bool:
    """Whether a builder's `weights` are a name of public weights, known or not, rather than a file."""
    text = str(weights)
    return text in NAMES or (text.startswith(HUB) and not os.path.exists(text))


def network_of(name: str) -> str:
    """The network of a repository of the hub; InputError for an unknown one."""
    networks = {file.name: file.network for file in WEIGHTS if file.on_hub}
    if name not in networks:
        raise InputError(f"there are no public weights '{name}'; {closest(name, networks)}")
    return networks[name]


def names_of(network: str) -> list[str]:
    """The names of a network's public weights, `"imagenet"` first."""
    return [ANY, *dict.fromkeys(file.name for file in weights_of(network))]


def weights_of(network: str) -> list[PublicWeights]:
    """Returns the public weights for a builder's name, those first that `weights="imagenet"` prefers."""
    return [file for file in WEIGHTS if network in (file.network, file.builder)]


def select_weights(network: str, name: str, given: Mapping[str, Any], include_top: bool = True) -> PublicWeights:
    """Selects the file that a name of weights stands for; InputError if there is none, or none for the arguments.

    `network` is the builder's name. The first file that matches the builder's own arguments that are `given` is
    selected. If the classifier is not needed, a file without it is preferred.

    Example:
        >>> select_weights("VGG16", "imagenet", {"batch_norm": True}).file
        'vgg16_bn-6c64b313.pth'
    """
    public = weights_of(network)
    if not public:
        networks = list(dict.fromkeys(file.network for file in WEIGHTS))
        raise InputError(f"{network} has no public weights, unlike {_listed(networks)}; train it, or give a file.")
    named = [file for file in public if name in (ANY, file.name)]
    if not named:
        raise InputError(f"{network} has no public weights '{name}'; it has {', '.join(map(repr, names_of(network)))}.")
    matching = [file for file in named if file.matches(given)]
    if not matching:
        keys = [key for key, value in given.items() if any(not file.matches({key: value}) for file in named)]
        variants = dict.fromkeys(_format_arguments({key: file.arguments[key] for key in keys}) for file in named)
        conflict = _format_arguments({key: given[key] for key in keys})
        raise InputError(f"{network} has no public weights '{name}' for {conflict}, only for {' or '.join(variants)}.")
    first = matching[0]
    return next((file for file in matching if file.name == first.name and file.include_top == include_top), first)


def find_by_file_name(network: str, file: str) -> PublicWeights | None:
    """Returns the public weights of a network with this file name, or None."""
    return next((public for public in weights_of(network) if public.file == file), None)


def _format_arguments(arguments: Mapping[str, Any]) -> str:
    return _listed([f"{name}={value!r}" for name, value in arguments.items()])


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
