"""Keeping native libraries' chatter off the terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


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


@contextlib.contextmanager
def jpeg_damage_discarded() -> Iterator[None]:
    """Keeps off standard error meanwhile what libjpeg says there of damaged files; all else passes.

    TensorFlow's decoder lets it say so at every log level and without a file's name; what is wrong with a file is in
    the verdict on it. Python writes past the filter, so what is a terminal to it stays one.
    """
    import subprocess

    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:
        # There is no standard error to keep clean.
        yield
        return
    reading, writing = os.pipe()
    filtering = subprocess.Popen(
        [sys.executable, "-I", "-S", Path(__file__).with_name("jpeg_damage_filter.py")],
        stdin=reading,
        stdout=subprocess.DEVNULL,
        # Ctrl-C is for the program whose output it passes on.
        start_new_session=True,
    )
    before = sys.stderr
    direct = _on_another_descriptor(before, kept)
    os.dup2(writing, 2)
    os.close(reading)
    os.close(writing)
    if direct:
        sys.stderr = direct
    try:
        yield
    finally:
        if direct:
            direct.flush()
            if sys.stderr is direct:
                sys.stderr = before
        os.dup2(kept, 2)
        os.close(kept)
        # What is on its way arrives first. A child process that was started meanwhile and goes on keeps the filter.
        with contextlib.suppress(subprocess.TimeoutExpired):
            filtering.wait(timeout=1.0)


def _on_another_descriptor(stream: TextIO, descriptor: int) -> TextIO | None:
    """What writes like Python's standard error to `descriptor`; None where that is not the process' own."""
    try:
        if stream.fileno() != 2:
            return None
    except (OSError, ValueError):
        return None
    return os.fdopen(os.dup(descriptor), "w", buffering=1, encoding=stream.encoding, errors=stream.errors)
