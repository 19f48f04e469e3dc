"""Folders for files that can be made or downloaded again: downloads, weights, manifests."""

import hashlib
import os
from pathlib import Path


def cache_folder() -> Path:
    """`$KERASCNN_CACHE`, or `kerascnn` in the user's cache folder; it need not exist."""
    if chosen := os.environ.get("KERASCNN_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kerascnn"


def keras_models() -> Path:
    """Keras' folder of downloaded weights, `models` in `$KERAS_HOME` or `~/.keras`; it need not exist."""
    if chosen := os.environ.get("KERAS_HOME"):
        return Path(chosen) / "models"
    home = Path.home()
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras" / "models"


def short_hash(text: str) -> str:
    """The first 16 hexadecimal digits of the text's SHA-256."""
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]
