"""Keeping native libraries' start-up chatter off the terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def discarded_stderr() -> Iterator[None]:
    """Discards what C++ code writes to standard error meanwhile; Python's exceptions are not affected.

    TensorFlow announces its processor features and LiteRT its delegates there before any of their settings
    for quiet can be reached.
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:
        # There is no standard error to keep clean.
        yield
        return
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)
