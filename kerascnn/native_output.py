"""Keeps the messages of native libraries off standard error."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def discarded_stderr() -> Iterator[None]:
    """Discards what native code writes to standard error inside the block; Python's exceptions are not affected.

    TensorFlow reports its CPU features and LiteRT its delegates there, before their log levels can be set.
    """
    if _has_stderr():
        with _stderr_to(os.open(os.devnull, os.O_WRONLY)):
            yield
    else:
        yield


@contextlib.contextmanager
def logged_from(name: str, level: int) -> Iterator[None]:
    """Discards what the logger of a library says inside the block that is less than a level, such as logging.WARNING.

    In notebooks TensorFlow's names every folder that it writes; absl's has tracebacks of what is in an exception too.
    """
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(max(before, level))
    try:
        yield
    finally:
        logger.setLevel(before)


@contextlib.contextmanager
def jpeg_damage_discarded() -> Iterator[None]:
    """Discards libjpeg's messages about damaged files inside the block; all other messages pass.

    TensorFlow's decoder prints them at every log level and without the file's name; a file's status says what is wrong
    with it. Python writes past the filter, so a terminal stays a terminal for Python.
    """
    if not _has_stderr():
        yield
        return
    reading, writing = os.pipe()
    # A process outlives a crash of this one, and passes its last messages on.
    jpeg_filter = subprocess.Popen(
        [sys.executable, "-I", "-S", Path(__file__).with_name("jpeg_damage_filter.py")],
        stdin=reading,
        stdout=subprocess.DEVNULL,
        # Ctrl-C is for this program only.
        start_new_session=True,
    )
    os.close(reading)
    try:
        with _stderr_to(writing) as original, _python_stderr_to(original):
            yield
    finally:
        # Pending messages are passed on first. A child process that still holds standard error keeps the filter alive.
        with contextlib.suppress(subprocess.TimeoutExpired):
            jpeg_filter.wait(timeout=1.0)


def _has_stderr() -> bool:
    try:
        os.fstat(2)
    except OSError:
        return False
    return sys.stderr is not None


@contextlib.contextmanager
def _stderr_to(descriptor: int) -> Iterator[int]:
    """Redirects standard error to `descriptor`, which it closes; yields a descriptor of the original."""
    sys.stderr.flush()
    original = os.dup(2)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    try:
        yield original
    finally:
        os.dup2(original, 2)
        os.close(original)


@contextlib.contextmanager
def _python_stderr_to(descriptor: int) -> Iterator[None]:
    """Redirects `sys.stderr` to `descriptor`, unless it was replaced by another stream."""
    before = sys.stderr
    try:
        direct = before.fileno() == 2 and os.fdopen(
            os.dup(descriptor), "w", buffering=1, encoding=before.encoding, errors=before.errors
        )
    except (OSError, ValueError):
        direct = None
    if not direct:
        yield
        return
    sys.stderr = direct
    try:
        yield
    finally:
        direct.flush()
        if sys.stderr is direct:
            sys.stderr = before
