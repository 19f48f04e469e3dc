"""Several workers of one training on this machine: started together, and stopped together."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

# After a worker died the others notice by themselves within seconds, say so and name the run; then they are asked to
# stop, and then made to.
GRACE_SECONDS = 15.0

POLL_SECONDS = 0.1


class LocalWorkers:
    """Processes that train together, each with the TF_CONFIG that names them all.

    The chief's output is passed on as it is; what the chief says on standard error, and all that the others say, goes
    to standard error with the worker's number before each line.

    Args:
        command: what every one of them runs.
        count: how many they are.

    Attributes:
        first_failed: the number of the first worker that failed.
        asked_to_stop: whether Ctrl-C or SIGTERM was passed on to them.

    Example:
        >>> workers = LocalWorkers([sys.executable, "-m", "kerascnn", "train"], 2)
        >>> workers.wait()
        [0, 0]
    """

    def __init__(self, command: Sequence[str], count: int):
        addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
        self.first_failed: int | None = None
        self.asked_to_stop = False
        self._readers: list[threading.Thread] = []
        self.processes = [self._start(command, addresses, number) for number in range(count)]

    def _start(self, command: Sequence[str], addresses: list[str], number: int) -> subprocess.Popen:
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
        process = subprocess.Popen(
            command,
            env={**os.environ, "TF_CONFIG": json.dumps(config)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # The terminal's Ctrl-C comes to this process alone, which passes it on.
            start_new_session=True,
        )
        mark = f"[worker {number}] "
        own = (process.stdout, sys.stdout, "") if number == 0 else (process.stdout, sys.stderr, mark)
        for source, target, prefix in (own, (process.stderr, sys.stderr, mark)):
            reader = threading.Thread(target=_pass_on, args=(source, target, prefix), daemon=True)
            reader.start()
            self._readers.append(reader)
        return process

    def wait(self) -> list[int]:
        """The statuses with which all ended; when one fails, the others are stopped within half a minute.

        A status below 0 is the number of the signal that killed the worker. Ctrl-C and SIGTERM are passed on.
        """
        with self._passing_on_signals():
            self._wait_for_a_failure()
            for number in (signal.SIGTERM, signal.SIGKILL):
                deadline = time.monotonic() + GRACE_SECONDS
                while self._running() and time.monotonic() < deadline:
                    time.sleep(POLL_SECONDS)
                self._send(number)
        for reader in self._readers:
            reader.join(POLL_SECONDS * 10)
        return [process.wait() for process in self.processes]

    def _running(self) -> bool:
        return None in [process.poll() for process in self.processes]

    def _wait_for_a_failure(self) -> None:
        """Returns at the first failure, or when all have ended well."""
        while self.first_failed is None:
            running = self._running()
            failed = [number for number, process in enumerate(self.processes) if process.returncode]
            self.first_failed = min(failed, default=None)
            if not running:
                return
            time.sleep(POLL_SECONDS)

    def _ask_to_stop(self, *_) -> None:
        self.asked_to_stop = True
        self._send(signal.SIGTERM)

    def _send(self, number: int) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(number)

    @contextmanager
    def _passing_on_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _pass_on(source: IO[str], target: IO[str], prefix: str) -> None:
    for line in source:
        target.write(f"{prefix}{line}")
        target.flush()
