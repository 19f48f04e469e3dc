"""Resolves the `weights` of a builder: public weights by name, a URL, or the path of a file."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerascnn.applications import registry
from kerascnn.applications.weights import public as public_weights
from kerascnn.applications.weights.public import PublicWeights
from kerascnn.applications.weights.tensor_files import is_tensor_file
from kerascnn.errors import InputError
from kerascnn.files.cache_folder import keras_models, short_hash
from kerascnn.files.cached_download import cached_download
from kerascnn.files.download import is_url, url_file_name
from kerascnn.files.file_names import safe_file_name
from kerascnn.files.progress import tracked_bytes
from kerascnn.files.run_names import named_file
from kerascnn.files.secret_urls import concealed, revealed
from kerascnn.shown_text import printable


@dataclass(frozen=True)
class WeightSource:
    """Weights for a network, which may still have to be downloaded."""

    network: str  # the builder's name
    location: str  # the path of a file, or a URL, as `concealed` names it
    public: PublicWeights | None  # the public weights; None for a file of the user's own
    # The builder's arguments of the weights' variant, as far as they are known. A user's own tensors in PyTorch's
    # layout have those that all of torchvision's weights for the network share.
    arguments: Mapping[str, Any]
    # How the weights' pixels are scaled; one of `preprocessing.MODES`. A user's own tensors in PyTorch's layout are
    # taken to be scaled as torchvision's, other files as in the paper.
    preprocessing: str
    builder: str  # the name of the builder of the weights' variant, as far as it is known

    def file(self) -> Path:
        """The local file, downloaded into Keras' folder of weights if need be; InputError if there is none."""
        if not is_url(self.location):
            path = Path(self.location)
            # Not `path.is_file()`, which fails where a path is too long.
            if not os.path.isfile(path):
                names = ", ".join(map(repr, public_weights.names_of(self.network)))
                raise InputError(
                    f"{self.network} has no weights '{printable(self.location)}', and there is no such file; "
                    f"give one of {names}, a URL, or the path of a file."
                )
            return path
        if self.public:
            path = keras_models() / self.public.file
            if self.public.on_hub and not path.is_file() and (found := _from_hub(self.public, path)):
                return found
        else:
            # Files from several URLs can have the same name.
            name = safe_file_name(url_file_name(self.location) or "weights")[-100:]
            path = keras_models() / f"kerascnn-{short_hash(self.location)}" / name
        checksum = self.public.checksum if self.public else None
        return cached_download(revealed(self.location), path, checksum, track=tracked_bytes)


def _from_hub(public: PublicWeights, path: Path) -> Path | None:
    """The file in the hub's own cache, downloaded once; None without the package huggingface_hub.

    `path` is where to put the file by hand.
    """
    try:
        from huggingface_hub import errors, hf_hub_download
    except ImportError:
        return None
    try:
        return Path(hf_hub_download(public.name, "model.safetensors"))
    except (OSError, ValueError, errors.HfHubHTTPError) as error:
        reason = str(error).strip().partition("\n")[0].removesuffix(".")
        raise InputError(
            f"{public.url} cannot be downloaded: {reason}; get the file elsewhere and put it as {path.name} into "
            f"{path.parent}."
        ) from None


def source_of(
    network: str,
    weights: str | Path,
    *,
    given: Mapping[str, Any] = {},
    include_top: bool = True,
    classes: int = public_weights.CLASSES,
) -> WeightSource:
    """Resolves the `weights` of a builder, named `network`; nothing is downloaded yet.

    A URL or path that ends in the file name of public weights for the network is taken for them; the folder of a run,
    or its name such as "runs/last", stands for its model. `given` are the builder's own arguments that the caller
    passes. Without the classifier (`include_top`), a file without it is preferred, except if only the whole file has
    been downloaded before. InputError if there are no public weights of that name, or not for these arguments or
    classes, or no such run.

    Example:
        >>> source_of("ResNet50", "torchvision").arguments["stride_in"]
        '3x3'
    """
    if public_weights.is_name(weights):
        public, whole = (public_weights.select_weights(network, weights, given, top) for top in (include_top, True))
        if (keras_models() / whole.file).is_file() and not (keras_models() / public.file).is_file():
            public = whole
        if include_top and classes != public_weights.CLASSES:
            raise InputError(
                f"{network}'s public weights have {public_weights.CLASSES} classes, not classes={classes}: leave "
                "classes out, or give include_top=False and add a classifier to the features."
            )
        location = public.url
    else:
        location = concealed(str(weights))
        location = location if is_url(location) else str(named_file(location))
        name = url_file_name(location) if is_url(location) else Path(location).name
        public = public_weights.find_by_file_name(network, name)
    similar = [public] if public else []
    if not public and is_tensor_file(location):
        published = public_weights.weights_of(network)
        similar = [file for file in published if file.name == public_weights.TORCHVISION]
    arguments = similar[0].arguments.items() if similar else ()
    shared = {key: value for key, value in arguments if all(one.arguments.get(key) == value for one in similar)}
    # akamaster's CIFAR ResNets have torchvision's scale.
    own = "torch" if is_tensor_file(location) else registry.info(network).preprocessing
    preprocessing = similar[0].preprocessing if similar else own
    builder = next((file.builder for file in similar if file.builder), None)
    return WeightSource(network, location, public, {} if builder else shared, preprocessing, builder or network)
