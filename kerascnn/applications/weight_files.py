"""Weight files: this package's own, and those that keras.applications publishes."""

from __future__ import annotations

from pathlib import Path

import keras

from kerascnn.errors import InputError


def check(network: str, path: str | Path) -> None:
    """Looks whether there is such a file, before a network is built.

    Raises:
        InputError: there is none.
    """
    if not Path(path).is_file():
        raise InputError(f"{network} has no weights '{path}', and there is no such file.")


def load(model: keras.Model, path: str | Path) -> None:
    """Loads the weights of a file into a model that was built for them."""
    model.load_weights(path)
