"""Processes that end with the process that started them, even if that is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

# The environment variable by which a process names itself to those that it starts.
VARIABLE = "KERASCNN_PARENT"
PR_SET_PDEATHSIG = 1  # Linux' request for a signal when the parent process is gone
POLL_SECONDS = 1.0  # On other systems


def as_parent() -> dict[str, str]:
    """The environment of a process that is to end with this one, see `follow_parent`."""
    return {VARIABLE: str(os.getpid())}


def follow_parent() -> None:
    """Ends this process with its parent, if that asked for it by `as_parent`."""
    # Not handed on: what this process starts has another parent.
    if parent := os.environ.pop(VARIABLE, None):
        exit_with_parent(int(parent))


def exit_with_parent(parent: int | None) -> None:
    """Ends this process when `parent` (None if unknown) is gone, so that no work is done twice."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    elif parent is not None:
        threading.Thread(target=_watch, args=[parent], daemon=True).start()
    # It may have been gone before.
    if parent is not None and os.getppid() != parent:
        sys.exit("the process that started this one is gone")


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
