"""How much of the processor there is."""

from __future__ import annotations

import os


def cores() -> int:
    """The processor cores that this process may run on: in a container or under a scheduler, fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
