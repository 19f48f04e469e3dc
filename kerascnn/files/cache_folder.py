"""Where things are kept that can be had again: downloads, weights, manifests of folders that are not ours to write."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def cache_folder() -> Path:
    """`$KERASCNN_CACHE`, or `kerascnn` in the user's cache folder; it need not exist."""
    chosen = os.environ.get("KERASCNN_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kerascnn"


def short_hash(text: str) -> str:
    """A short name for what has a long one, different for different ones."""
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]


def keras_models() -> Path:
    """Where Keras keeps weights that it has fetched: `models` below `$KERAS_HOME` or `~/.keras`; it need not exist."""
    chosen = os.environ.get("KERAS_HOME")
    if chosen:
        return Path(chosen) / "models"
    home = Path.home()
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras" / "models"
