"""Which form of a network somebody publishes weights for, and whether a network is that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import keras

from kerascnn.errors import InputError


class VariantCheck(NamedTuple):
    """By what a form is known.

    Attributes:
        layer: the name of one of its layers.
        attribute, value: what that has.
    """

    layer: str
    attribute: str
    value: Any


class ArchitectureVariant(NamedTuple):
    """One of the networks that a builder makes.

    Attributes:
        arguments: with which it makes this one.
        marks: what only this one has.
        builder: the name of the builder that makes this one; None for the network's own.
    """

    arguments: Mapping[str, Any] = MappingProxyType({})
    marks: tuple[VariantCheck, ...] = ()
    builder: str | None = None

    def check(self, whose: str, network: str, layers: Sequence[keras.layers.Layer]) -> None:
        """Looks whether a network is of this form.

        Args:
            whose: form it is, such as "torchvision's".
            network: the builder's name.
            layers: the network's.

        Raises:
            InputError: it is of another.
        """
        by_name = {layer.name: layer for layer in layers}
        for mark in self.marks:
            if getattr(by_name.get(mark.layer), mark.attribute, None) != mark.value:
                arguments = " and ".join(f"{name}={value!r}" for name, value in self.arguments.items())
                form = f"`{self.builder}`" if self.builder else f"the one that is built with {arguments}"
                raise InputError(f"{whose} {network} is {form}.")
