"""The classic image networks, each as its paper has it, as plain `keras.Model`s.

Builders are imported when first used, so that reading the registry does not start a backend.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from kerascnn.applications.registry import REGISTRY, Entry, create, info, list_models

if TYPE_CHECKING:
    from kerascnn.applications.cifar_resnet import (
        Plain20,
        Plain32,
        Plain44,
        Plain56,
        ResNet20,
        ResNet32,
        ResNet44,
        ResNet56,
        ResNet110,
    )
    from kerascnn.applications.googlenet import GoogLeNet

__all__ = [
    "Entry",
    "GoogLeNet",
    "Plain20",
    "Plain32",
    "Plain44",
    "Plain56",
    "ResNet20",
    "ResNet32",
    "ResNet44",
    "ResNet56",
    "ResNet110",
    "create",
    "info",
    "list_models",
]

_MODULE_OF = {entry.builder: entry.module for entry in REGISTRY.values()}


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
