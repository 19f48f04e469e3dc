"""Describes which variant of a network a publisher's weights belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import keras

from kerascnn.errors import InputError


class VariantCheck(NamedTuple):
    """A layer's attribute that identifies a variant."""

    layer: str
    attribute: str
    value: Any


class ArchitectureVariant(NamedTuple):
    """One of the networks that a builder can make.

    Attributes:
        arguments: the builder's arguments for this variant.
        checks: attributes that only this variant has.
        builder: the name of the builder that makes this variant; None for the network's own.
    """

    arguments: Mapping[str, Any] = MappingProxyType({})
    checks: tuple[VariantCheck, ...] = ()
    builder: str | None = None

    def check(self, publisher: str, network: str, layers: Sequence[keras.layers.Layer]) -> None:
        """Checks that a network is this variant.

        Args:
            publisher: whose variant it is, such as "torchvision".
            network: the builder's name.
            layers: the network's layers.

        Raises:
            InputError: it is another variant.
        """
        by_name = {layer.name: layer for layer in layers}
        if any(getattr(by_name.get(name), attribute, None) != value for name, attribute, value in self.checks):
            arguments = " and ".join(f"{name}={value!r}" for name, value in self.arguments.items())
            build = f"build it with `{self.builder}`" if self.builder else f"build it with {arguments}"
            raise InputError(f"the layers are not those of {publisher}'s {network}: {build}.")
