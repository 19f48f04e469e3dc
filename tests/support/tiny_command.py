"""`kerascnn` and pages of documentation with tiny networks, in processes that tests start."""

from __future__ import annotations

import os
import runpy
import signal
import sys
from pathlib import Path

from kerascnn.cli import main


def run(*arguments: str) -> None:
    """Runs a command line, and ends the process with its status."""
    from support.tiny_training import tiny_networks

    # A shell starts background jobs, and so this process perhaps, with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tiny_networks():
        main(list(arguments))


def run_file(file: str) -> None:
    """Runs a Python file in its folder."""
    from support.tiny_training import tiny_networks

    os.chdir(Path(file).parent)
    with tiny_networks():
        runpy.run_path(file)


def have_workers_run_it(monkeypatch) -> None:
    """Has the processes that `--workers` starts train tiny networks."""
    from kerascnn.training.strategy import local_workers

    class TinyWorkers(local_workers.LocalWorkers):
        def __init__(self, command, count):
            assert command[:3] == [sys.executable, "-m", "kerascnn"]
            super().__init__([sys.executable, __file__, *command[3:]], count)

    monkeypatch.setattr(local_workers, "LocalWorkers", TinyWorkers)
    tests = str(Path(__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")]))


if __name__ == "__main__":
    from kerascnn.cli.loading import start_tensorflow

    start_tensorflow()
    run(*sys.argv[1:])
