"""Describes which variant of a network a publisher's weights belong to."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import keras

from kerascnn.errors import InputError


class ArchitectureVariant(NamedTuple):
    """One of the networks that a builder can make."""

    arguments: Mapping[str, Any] = MappingProxyType({})  # the builder's arguments for this variant
    # Values that only this variant has, by layer and attribute, such as "conv4.kernel_size".
    checks: Mapping[str, Any] = MappingProxyType({})
    builder: str | None = None  # the name of the builder that makes this variant; None for the network's own

    def check(self, publisher: str, network: str, layers: Sequence[keras.layers.Layer]) -> None:
        """Raises InputError where these layers of the builder `network` are not this variant, `publisher`'s."""
        by_name = {layer.name: layer for layer in layers}
        places = {path: path.split(".") for path in self.checks}
        found = {path: getattr(by_name.get(layer), attribute, None) for path, (layer, attribute) in places.items()}
        if found != self.checks:
            arguments = " and ".join(f"{name}={value!r}" for name, value in self.arguments.items())
            build = f"build it with `{self.builder}`" if self.builder else f"build it with {arguments}"
            raise InputError(f"the layers are not those of {publisher}'s {network}: {build}.")
