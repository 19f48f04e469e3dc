"""`kerascnn` and pages of documentation with tiny networks, in processes that tests start."""

from __future__ import annotations

import os
import runpy
import signal
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
