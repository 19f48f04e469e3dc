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
    if not _there_is_stderr():
        yield
        return
    with _stderr_into(os.open(os.devnull, os.O_WRONLY)):
        yield


@contextlib.contextmanager
def jpeg_damage_discarded() -> Iterator[None]:
    """Keeps off standard error meanwhile what libjpeg says there of damaged files; all else passes.

    TensorFlow's decoder lets it say so at every log level and without a file's name; what is wrong with a file is in
    the verdict on it. Python writes past the filter, so what is a terminal to it stays one.
    """
    if not _there_is_stderr():
        yield
        return
    with _jpeg_damage_filter() as writing, _stderr_into(writing) as kept, _python_writing_to(kept):
        yield


def _there_is_stderr() -> bool:
    try:
        os.fstat(2)
    except OSError:
        return False
    return sys.stderr is not None


@contextlib.contextmanager
def _stderr_into(descriptor: int) -> Iterator[int]:
    """Standard error is `descriptor`, which this closes, meanwhile; gives a descriptor of what it was before."""
    sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    try:
        yield kept
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def _jpeg_damage_filter() -> Iterator[int]:
    """Gives the descriptor that a filter before standard error reads from, and waits for the filter at the end."""
    import subprocess

    reading, writing = os.pipe()
    filtering = subprocess.Popen(
        [sys.executable, "-I", "-S", Path(__file__).with_name("jpeg_damage_filter.py")],
        stdin=reading,
        stdout=subprocess.DEVNULL,
        # Ctrl-C is for the program whose output it passes on.
        start_new_session=True,
    )
    os.close(reading)
    try:
        yield writing
    finally:
        # What is on its way arrives first. A child process that was started meanwhile and goes on keeps the filter.
        with contextlib.suppress(subprocess.TimeoutExpired):
            filtering.wait(timeout=1.0)


@contextlib.contextmanager
def _python_writing_to(descriptor: int) -> Iterator[None]:
    before = sys.stderr
    direct = _on_another_descriptor(before, descriptor)
    if direct is None:
        yield
        return
    sys.stderr = direct
    try:
        yield
    finally:
        direct.flush()
        if sys.stderr is direct:
            sys.stderr = before


def _on_another_descriptor(stream: TextIO, descriptor: int) -> TextIO | None:
    """What writes like Python's standard error to `descriptor`; None where that is not the process' own."""
    try:
        if stream.fileno() != 2:
            return None
    except (OSError, ValueError):
        return None
    return os.fdopen(os.dup(descriptor), "w", buffering=1, encoding=stream.encoding, errors=stream.errors)
