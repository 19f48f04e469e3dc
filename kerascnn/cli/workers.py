"""Workers of `kerascnn train`: start them on this machine, or connect to others."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING

from kerascnn.cli.exit_codes import INTERRUPTED, WORKER_LOST
from kerascnn.cli.loading import print_message
from kerascnn.errors import InputError
from kerascnn.native_output import discarded_stderr
from kerascnn.training.strategy import choose_devices, find_cluster

if TYPE_CHECKING:
    from kerascnn.training.strategy import Devices


def starts_workers(options: argparse.Namespace) -> bool:
    """Whether this process starts workers instead of being one.

    Raises:
        InputError: `--workers` contradicts TF_CONFIG or Slurm.
    """
    cluster = find_cluster()
    if cluster and options.workers not in (None, len(cluster.addresses)):
        raise InputError(
            f"{cluster.source} names {len(cluster.addresses)} workers, but --workers is {options.workers}; "
            "leave one of them out."
        )
    return cluster is None and (options.workers or 1) > 1


def run_workers(options: argparse.Namespace) -> int:
    """Runs the command once per worker on this machine; returns the status of the first worker that failed."""
    from kerascnn.training.strategy.local_workers import LocalWorkers

    workers = LocalWorkers([sys.executable, "-m", "kerascnn", *options.arguments], options.workers)
    statuses = workers.wait()
    first = workers.first_failed
    if first is None:
        return 0
    status = statuses[first]
    if status in (INTERRUPTED, -signal.SIGTERM) and workers.stop_requested:
        return INTERRUPTED
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    others = "the other was" if len(statuses) == 2 else "the others were"
    print(f"kerascnn: worker {first} of {len(statuses)} {how}; {others} stopped.", file=sys.stderr)
    if status >= 0:
        return status
    print("Resume from the last checkpoint, if there is one, with --resume RUN.", file=sys.stderr)
    return WORKER_LOST


def connect(options: argparse.Namespace) -> Devices:
    """Waits for other workers, chooses the devices of `--devices`, and reports them on standard error."""
    cluster = find_cluster()
    if cluster:
        others = ", ".join(address for number, address in enumerate(cluster.addresses) if number != cluster.worker)
        print_message(f"waiting for {others}")
    with discarded_stderr():
        devices = choose_devices(options.devices)
    print_message(str(devices))
    return devices
