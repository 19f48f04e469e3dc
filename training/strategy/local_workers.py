"""Several workers of one training on this machine, started and stopped together."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO

from kerascnn.parent_process import as_parent

# After a worker fails, the others notice within seconds and report the run; then they get SIGTERM, and then SIGKILL.
GRACE_SECONDS = 15.0

POLL_SECONDS = 0.1


class LocalWorkers:
    """Processes that train together, each with a TF_CONFIG that lists them all.

    The chief's standard output is passed on unchanged. All other output goes to standard error, with the worker's
    number before each line. `first_failed` is the number of the first worker that failed; `stop_requested` says whether
    Ctrl-C or SIGTERM was passed on to the workers.
    """

    def __init__(self, command: Sequence[str], count: int):
        addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
        self.first_failed: int | None = None
        self.stop_requested = False
        self._readers: list[threading.Thread] = []
        self.processes = [self._start(command, addresses, number) for number in range(count)]

    def _start(self, command: Sequence[str], addresses: list[str], number: int) -> subprocess.Popen:
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
        process = subprocess.Popen(
            command,
            env={**os.environ, "TF_CONFIG": json.dumps(config), **as_parent()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # The terminal sends Ctrl-C to this process alone, which passes it on.
            start_new_session=True,
        )
        prefix = f"[worker {number}] "
        results = (process.stdout, sys.stdout, "") if number == 0 else (process.stdout, sys.stderr, prefix)
        for copied in (results, (process.stderr, sys.stderr, prefix)):
            reader = threading.Thread(target=_copy_lines, args=copied, daemon=True)
            reader.start()
            self._readers.append(reader)
        return process

    def wait(self) -> list[int]:
        """Waits for all workers and returns their exit statuses; if one fails, the others end within half a minute.

        A negative status is the number of the signal that killed the worker. Ctrl-C and SIGTERM are passed on.
        """
        with ExitStack() as handlers:
            for number in (signal.SIGINT, signal.SIGTERM):
                handlers.callback(signal.signal, number, signal.signal(number, self._request_stop))
            self._wait_for_failure()
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

    def _wait_for_failure(self) -> None:
        """Returns at the first failure, or when all workers have succeeded."""
        while self.first_failed is None:
            running = self._running()
            failed = [number for number, process in enumerate(self.processes) if process.returncode]
            self.first_failed = min(failed, default=None)
            if not running:
                return
            time.sleep(POLL_SECONDS)

    def _request_stop(self, *_) -> None:
        self.stop_requested = True
        self._send(signal.SIGTERM)

    def _send(self, number: int) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(number)


def free_ports(count: int) -> list[int]:
    """Different ports of 127.0.0.1 that no process listens on at the moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for opened in sockets:
            opened.bind(("127.0.0.1", 0))
        return [opened.getsockname()[1] for opened in sockets]


def _copy_lines(source: IO[str], target: IO[str], prefix: str) -> None:
    for line in source:
        target.write(f"{prefix}{line}")
        target.flush()
