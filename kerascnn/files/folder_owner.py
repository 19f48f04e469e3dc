"""One owner per folder: a lock that ends with its process, and names the process that holds it."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kerascnn.errors import InputError, writing
from kerascnn.files.atomic import atomic_text
from kerascnn.files.user_file import MAX_TEXT, read_bytes

LOCK, HOLDER = ".owner.lock", ".owner.json"

# Seconds between two signs of life of an owner, and after which one on another machine counts as gone.
BEAT = 10.0
SILENCE = 60.0

POLL_SECONDS = 0.5


class FolderInUseError(InputError):
    """Another process works in a folder."""


@contextlib.contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Makes this process the owner of a folder until the block ends.

    The system releases the lock of a process that is killed, and of a machine that is switched off. Where machines that
    share the folder do not see each other's locks, the owner's signs of life count: a time stamp every ten seconds.

    Raises:
        FolderInUseError: another process is; its number and machine are named.
        InputError: the folder cannot be written.

    Example:
        >>> with owned(Path("runs/mine")):
        ...     train()
    """
    lock = FileLock(folder / LOCK, timeout=0)
    with contextlib.ExitStack() as stack:
        with writing(folder):
            try:
                stack.enter_context(lock)
            except Timeout:
                raise _in_use(folder, _holder(folder)) from None
            except NotImplementedError:
                # Some file systems have no locks; there, the owners' signs of life have to do.
                (folder / LOCK).touch()
        _check_other_machines(folder)
        us = {"pid": os.getpid(), "machine": platform.node(), "boot": _boot(), "since": time.strftime("%F %T")}
        with writing(folder):
            atomic_text(folder / HOLDER, json.dumps(us))
        stack.callback(lambda: (folder / HOLDER).unlink(missing_ok=True))
        stack.enter_context(_signs_of_life(folder / HOLDER))
        yield


@contextlib.contextmanager
def owned_when_free(folder: Path, say: Callable[[str], Any]) -> Iterator[None]:
    """As `owned`, but waits until the other process has left; `say` is called once with a sentence about it."""
    with contextlib.ExitStack() as stack:
        waiting = False
        while True:
            try:
                stack.enter_context(owned(folder))
                break
            except FolderInUseError as error:
                if not waiting:
                    say(f"waiting: {error}")
                waiting = True
                time.sleep(POLL_SECONDS)
        yield


def _check_other_machines(folder: Path) -> None:
    """Raises FolderInUseError if an owner on another machine, whose lock is not seen here, shows signs of life."""
    holder = _holder(folder)
    # On this machine the lock says everything; containers on it have other names.
    if holder.get("machine") in (None, platform.node()) or holder.get("boot") == _boot():
        return
    with contextlib.suppress(OSError):
        # By the clock of the disk, which may not be this machine's.
        os.utime(folder / LOCK)
        if os.stat(folder / LOCK).st_mtime - os.stat(folder / HOLDER).st_mtime < SILENCE:
            raise _in_use(folder, holder)


def _holder(folder: Path) -> dict[str, Any]:
    """What an owner wrote about itself; nothing if there is none, or the file is damaged."""
    try:
        found = json.loads(read_bytes(folder / HOLDER, MAX_TEXT))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _in_use(folder: Path, holder: dict[str, Any]) -> FolderInUseError:
    who = "another process"
    if holder:
        who = f"process {holder.get('pid')} on {holder.get('machine')}, since {holder.get('since')}"
    return FolderInUseError(f"{folder} is in use by {who}; wait until it has ended, or stop it.")


def _boot() -> str:
    """An identifier of this start of the machine; empty where the system has none."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


@contextlib.contextmanager
def _signs_of_life(file: Path) -> Iterator[None]:
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            with contextlib.suppress(OSError):
                os.utime(file)

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
