"""What a .keras file says of its layers, read without building the model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerascnn.errors import refused
from kerascnn.files.user_file import open_zip


def layers_of(path: Path) -> list[dict[str, Any]]:
    """The descriptions of a model's layers, nested ones after the model that holds them.

    InputError if the file cannot be read.
    """
    with refused(f"{path} is damaged, or not a .keras file"):
        with open_zip(path) as archive:
            config = json.loads(archive.read("config.json"))
        layers = list(_layers(config))
        return [layer for layer in layers if isinstance(layer["config"], dict) and layer["class_name"]]


def first_of_class(layers: list[dict[str, Any]], class_name: str) -> dict[str, Any] | None:
    """The config of the first layer of a class; None if there is none."""
    return next((layer["config"] for layer in layers if layer["class_name"] == class_name), None)


def _layers(config: Any) -> Iterator[dict[str, Any]]:
    for layer in config.get("config", {}).get("layers", ()):
        yield layer
        yield from _layers(layer)
