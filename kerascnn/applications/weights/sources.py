"""Resolves the `weights` of a builder: public weights by name, a URL, or the path of a file."""

from __future__ import annotations

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
from kerascnn.files.cache_folder import keras_models, short_hash
from kerascnn.files.cached_download import cached_download
from kerascnn.files.download import is_url
from kerascnn.files.file_names import safe_file_name
from kerascnn.files.progress import shown_bytes


@dataclass(frozen=True)
class WeightSource:
    """Weights for a network, which may still have to be downloaded."""

    network: str  # the builder's name
    location: str  # the path of a file, or a URL
    public: PublicWeights | None  # the public weights; None for a file of the user's own
    # The builder's arguments of the weights' variant, as far as they are known. A user's own tensors in torchvision's
    # layout have those that all of torchvision's weights for the network share.
    arguments: Mapping[str, Any]
    # How the weights' pixels are scaled; one of `preprocessing.MODES`. A user's own tensors in torchvision's layout are
    # taken to be scaled as torchvision's, other files as in the paper.
    preprocessing: str
    builder: str  # the name of the builder of the weights' variant, as far as it is known

    def file(self) -> Path:
        """The local file, downloaded into Keras' folder of weights if need be; InputError if there is none."""
        if not is_url(self.location):
            path = Path(self.location)
            if not path.is_file():
                raise InputError(
                    f"{self.network} has no weights '{self.location}', and there is no such file; give one of "
                    f"{', '.join(map(repr, public_weights.NAMES))}, a URL, or the path of a file."
                )
            return path
        if self.public:
            path = keras_models() / self.public.file
        else:
            # Files from several URLs can have the same name.
            name = safe_file_name(Path(urlsplit(self.location).path).name or "weights")
            path = keras_models() / f"kerascnn-{short_hash(self.location)}" / name
        checksum = self.public.checksum if self.public else None
        return cached_download(self.location, path, checksum, track=shown_bytes.get())


def source_of(
    network: str,
    weights: str | Path,
    *,
    given: Mapping[str, Any] = {},
    include_top: bool = True,
    classes: int = public_weights.CLASSES,
) -> WeightSource:
    """Resolves the `weights` of a builder, named `network`; nothing is downloaded yet.

    A URL or path that ends in the file name of public weights for the network is taken for them. `given` are the
    builder's own arguments that the caller passes; InputError if there are no public weights of that name, or not for
    these arguments or classes.

    Example:
        >>> source_of("ResNet50", "torchvision").arguments["stride_in"]
        '3x3'
    """
    if weights in public_weights.NAMES:
        public = public_weights.select_weights(network, weights, given, include_top)
        if include_top and classes != public_weights.CLASSES:
            raise InputError(
                f"{network}'s public weights have {public_weights.CLASSES} classes, not classes={classes}: leave "
                "classes out, or give include_top=False and add a classifier to the features."
            )
        location = public.url
    else:
        location = str(weights)
        name = Path(urlsplit(location).path if is_url(location) else location).name
        public = public_weights.find_by_file_name(network, name)
    similar = [public] if public else []
    if not public and is_tensor_file(location):
        published = public_weights.weights_of(network)
        similar = [file for file in published if file.name == public_weights.TORCHVISION]
    arguments = similar[0].arguments.items() if similar else ()
    shared = {key: value for key, value in arguments if all(one.arguments.get(key) == value for one in similar)}
    preprocessing = similar[0].preprocessing if similar else registry.info(network).preprocessing
    builder = next((file.builder for file in similar if file.builder), None)
    return WeightSource(network, location, public, {} if builder else shared, preprocessing, builder or network)
