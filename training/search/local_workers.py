"""The workers of a search on this machine, each with its own GPU where there are some."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

from kerascnn.errors import InputError
from kerascnn.training.search.cluster import VARIABLES, Member
from kerascnn.training.search.plan import SearchConfig, SearchFolder
from kerascnn.training.search.processes import GRACE_SECONDS
from kerascnn.training.strategy.local_workers import free_ports


class WorkersLostError(RuntimeError):
    """Every worker ended before the search did."""


class LocalTuners:
    """Processes that run the trials of one search, for a chief in this process.

    Each writes what it says into `worker0.log` and so on in the search's folder.

    Args:
        folder: of the search.
        plan: of the search.
        count: how many they are.

    Attributes:
        chief: what this process is among them.

    Raises:
        InputError: there are fewer GPUs than workers, of which each takes one.
    """

    def __init__(self, folder: SearchFolder, plan: SearchConfig, count: int):
        [port] = free_ports(1)
        self.chief = Member("chief", f"127.0.0.1:{port}")
        self._told: set[str] = set()
        gpus = _gpus() if plan.devices == "one" else []
        if gpus and len(gpus) < count:
            raise InputError(f"{count} workers cannot share {len(gpus)} GPU(s), one each; say --devices cpu.")
        self.processes = {}
        for number in range(count):
            name = f"worker{number}"
            variables = dict(zip(VARIABLES, (name, "127.0.0.1", str(port)), strict=True))
            if gpus:
                variables["CUDA_VISIBLE_DEVICES"] = gpus[number]
            command = [sys.executable, "-m", "kerascnn", "tune", "--resume", str(folder.path)]
            with (folder.path / f"{name}.log").open("wb") as log:
                self.processes[name] = subprocess.Popen(
                    command,
                    env={**os.environ, **variables},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # The terminal's Ctrl-C comes to this process alone, which passes it on.
                    start_new_session=True,
                )

    def gone(self) -> list[str]:
        """The names of the workers that have ended since it was asked last.

        Raises:
            WorkersLostError: all have, and one of them not by itself.
        """
        ended = {name: process.returncode for name, process in self.processes.items() if process.poll() is not None}
        if len(ended) == len(self.processes) and any(ended.values()):
            raise WorkersLostError("every worker has ended; what they said is in the search's folder, in worker0.log.")
        new = [name for name in ended if name not in self._told]
        self._told.update(new)
        return new

    def stop(self) -> None:
        """Asks those that still run to stop, and makes them."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(2 * GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _gpus() -> list[str]:
    """The names by which each GPU can be made the only one of a process."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name]
    import tensorflow as tf

    return [str(number) for number in range(len(tf.config.list_physical_devices("GPU")))]
