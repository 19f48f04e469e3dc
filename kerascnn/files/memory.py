"""Free memory: what the machine, a container and the limits of the shell leave to this process."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

with contextlib.suppress(ImportError):  # Windows has none.
    import resource

CGROUP = Path("/sys/fs/cgroup")


def free_memory() -> int:
    """The bytes that this process may still take."""
    room = [free_addresses()]
    if hasattr(os, "sysconf"):  # Windows has none.
        room.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(OSError, ValueError, KeyError):
        facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        room.append(int(facts["MemAvailable"].split()[0]) << 10)
    with contextlib.suppress(OSError, ValueError, KeyError):
        limit, used = (int((CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        facts = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        # Files that were read count as used until their memory is needed.
        room.append(limit - used + int(facts["active_file"]) + int(facts["inactive_file"]))
    return max(0, min(room))


def free_addresses() -> int:
    """The bytes of addresses that `ulimit -v` leaves to this process."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0] if "resource" in globals() else -1
    return sys.maxsize if limit in (-1, resource.RLIM_INFINITY) else limit - address_space()


def address_space() -> int:
    """The bytes of addresses that this process has taken, to which `ulimit -v` applies; 0 outside Linux."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def require_memory(size: int) -> None:
    """Raises MemoryError, with a phrase, if so many bytes are not free.

    Example:
        >>> require_memory(10**15)
        Traceback (most recent call last):
        MemoryError: it needs 1,000,000.0 GB of memory, and 9.3 GB are free
    """
    if size > (free := free_memory()):
        raise MemoryError(f"it needs {size / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB are free")
