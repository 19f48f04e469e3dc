"""What the `weights` of a builder stand for: public weights by a name, a URL, or the path of a file."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kerascnn.applications import registry
from kerascnn.applications.weights import public as public_weights
from kerascnn.applications.weights.public import PublicWeights
from kerascnn.applications.weights.tensor_files import is_tensor_file
from kerascnn.errors import InputError
from kerascnn.files.cache_folder import keras_models, key_of
from kerascnn.files.cached_download import cached_download
from kerascnn.files.download import is_url
from kerascnn.files.file_names import fitted
from kerascnn.files.progress import shown_bytes


@dataclass(frozen=True)
class WeightSource:
    """Weights for a network, which may still have to be fetched.

    Attributes:
        network: the builder's name.
        location: the path of a file, or a URL.
        public: what is published of them; None where they are somebody's own.
    """

    network: str
    location: str
    public: PublicWeights | None = None

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The builder's arguments that make the network which the weights are of, as far as that is known.

        Somebody's own in torchvision's layout are of the network that all of torchvision's are of.
        """
        if self.public:
            return self.public.arguments
        stated = [file.arguments.items() for file in self._alike()]
        return dict(functools.reduce(lambda agreed, items: agreed & items, stated)) if stated else {}

    @property
    def preprocessing(self) -> str:
        """How the pixels are scaled that they want; one of `preprocessing.MODES`.

        Somebody's own are taken to be scaled as public ones in the same kind of file, or as in the paper.
        """
        for public in (self.public, *self._alike()):
            if public:
                return public.preprocessing
        return registry.info(self.network).preprocessing

    def _alike(self) -> list[PublicWeights]:
        """The public weights of the network in the same kind of file, where that is torchvision's."""
        if not is_tensor_file(self.location):
            return []
        return [file for file in public_weights.list_weights(self.network) if file.name == public_weights.TORCHVISION]

    def file(self) -> Path:
        """The weights' file on this machine, fetched into Keras' folder of such files where it is not there.

        Raises:
            InputError: it cannot be fetched, or there is no such file.
        """
        if is_url(self.location):
            checksum = self.public.checksum if self.public else None
            return cached_download(self.location, self._kept(), checksum, track=shown_bytes.get())
        path = Path(self.location)
        if not path.is_file():
            raise InputError(
                f"{self.network} has no weights '{self.location}', and there is no such file; give one of "
                f"{', '.join(map(repr, public_weights.NAMES))}, a URL, or the path of a file."
            )
        return path

    def _kept(self) -> Path:
        if self.public:
            return keras_models() / self.public.file
        name = fitted(Path(urlsplit(self.location).path).name or "weights")
        # Files of one name are many.
        return keras_models() / f"kerascnn-{key_of(self.location)}" / name


def source_of(
    network: str,
    weights: str | Path,
    *,
    given: Mapping[str, Any] = {},
    include_top: bool = True,
    classes: int = public_weights.CLASSES,
) -> WeightSource:
    """What a builder's `weights` stand for; nothing is fetched yet.

    A URL or a path that ends in the name of a file that is published for the network is taken for that file.

    Args:
        network: the builder's name.
        weights: "imagenet", "keras", "torchvision", an http(s) URL, or a path.
        given: the builder's own arguments, those that the caller states.
        include_top, classes: the builder's.

    Raises:
        InputError: there are no public weights of that name, or not for these arguments or classes.

    Example:
        >>> source_of("ResNet50", "torchvision").arguments["stride_in"]
        '3x3'
    """
    if weights in public_weights.NAMES:
        public = public_weights.select_weights(network, weights, given, include_top)
        if include_top and classes != public_weights.CLASSES:
            raise InputError(
                f"{network}'s public weights know {public_weights.CLASSES} classes, not classes={classes}: leave "
                "classes out, or give include_top=False and put a classifier of your own on the features."
            )
        return WeightSource(network, public.url, public)
    place = str(weights)
    name = Path(urlsplit(place).path if is_url(place) else place).name
    return WeightSource(network, place, public_weights.find_by_file_name(network, name))
