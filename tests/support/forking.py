"""Processes that have imported TensorFlow already, which takes seconds: forked from a program that computes nothing.

The program is this file. It takes a line of JSON and answers with one; what it starts, it waits for.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

PATIENCE = 280.0


class Fork:
    """A process that calls a function.

    Attributes:
        pid: its number.
        output: the file that its output goes to.
        status: as of `subprocess.Popen`: None while it runs, below 0 when a signal ended it.
    """

    def __init__(self, ask: Callable[[dict], int | None], pid: int, output: Path):
        self._ask = ask
        self.pid = pid
        self.output = output
        self.status: int | None = None

    def poll(self) -> int | None:
        if self.status is None:
            self.status = self._ask({"pid": self.pid})
        return self.status

    def wait(self, seconds: float = PATIENCE) -> int:
        """The status in the end."""
        deadline = time.monotonic() + seconds
        while self.poll() is None:
            assert time.monotonic() < deadline, f"it runs after {seconds} seconds:\n{self.said()}"
            time.sleep(0.01)
        return self.status

    def said(self) -> str:
        """Its output so far, of both streams."""
        return self.output.read_text(errors="replace")

    def wait_for(self, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Waits until something holds, which must be before the process ends."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.002)

    def kill(self) -> int:
        """Ends it where it is; the status."""
        if self.poll() is None:
            # Its number is not given to another process before it is waited for.
            os.kill(self.pid, signal.SIGKILL)
        return self.wait()


class Forking:
    """Starts processes.

    Args:
        program: this file, running.
    """

    def __init__(self, program: subprocess.Popen):
        self._program = program
        self._forks: list[Fork] = []

    def _ask(self, request: dict) -> int | None:
        self._program.stdin.write(json.dumps(request) + "\n")
        self._program.stdin.flush()
        return json.loads(self._program.stdout.readline())

    def start(
        self, function: str, *arguments: object, output: Path, environment: Mapping[str, str] | None = None
    ) -> Fork:
        """Calls a function in a process of its own, whose status is what the function returns.

        Args:
            function: such as "support.tiny_training:main".
            arguments: numbers and texts.
            output: the file for its output.
            environment: more variables of it.
        """
        given = [argument if isinstance(argument, int | float) else str(argument) for argument in arguments]
        request = {
            "call": function, "arguments": given, "output": str(output), "environment": dict(environment or {})
        }  # fmt: skip
        fork = Fork(self._ask, self._ask(request), output)
        self._forks.append(fork)
        return fork

    def start_workers(self, function: str, *arguments: object, ports: list[int], folder: Path) -> list[Fork]:
        """A worker for each port, with its TF_CONFIG; the output goes into the folder."""
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        return [
            self.start(
                function, *arguments, output=folder / f"worker-{index}.txt",
                environment={"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})},
            )
            for index in range(len(ports))
        ]  # fmt: skip

    def kill_all(self) -> None:
        for fork in self._forks:
            fork.kill()
        self._forks.clear()


@contextlib.contextmanager
def forking(prepare: Callable[[], object] | None = None) -> Iterator[Forking]:
    """The program, until the block ends; what it started is killed then.

    Args:
        prepare: is called in the program before it begins.
    """
    environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), environment.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        preexec_fn=prepare, text=True, env=environment,
    ) as program:  # fmt: skip
        forks = Forking(program)
        try:
            yield forks
        finally:
            forks.kill_all()
            program.stdin.close()


def serve() -> None:
    """Answers requests: with the number of a process that it starts, or with the status of one."""
    # Threads of TensorFlow do not survive a fork; importing starts none. What a training imports at its start:
    for module in (
        "tensorflow",
        "keras",
        "kerascnn.training",
        "tensorboard.plugins.hparams.summary",
        "sklearn.datasets",
    ):
        importlib.import_module(module)
    # As in tests/conftest.py; and what is not looked through stays shared with what is forked.
    gc.freeze()

    for line in sys.stdin:
        request = json.loads(line)
        if "call" in request:
            with open(request["output"], "wb") as output:
                answer = os.fork()
                if not answer:
                    _call(request, output.fileno())
        else:
            found, status = os.waitpid(request["pid"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if found else None
        print(json.dumps(answer), flush=True)


def _call(request: dict, output: int) -> None:
    """Does what a request says, and ends the process."""
    os.environ.update(request["environment"])
    # A shell starts background jobs, and so this program perhaps, with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    module, _, name = request["call"].partition(":")
    sys.exit(getattr(importlib.import_module(module), name)(*request["arguments"]))


if __name__ == "__main__":
    serve()
