"""The number of available CPU cores."""

from __future__ import annotations

import os


def cores() -> int:
    """The CPU cores that this process may use: in a container or under a scheduler, fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
