"""What `train` does to run on several devices: start workers on this machine, join others, and say so."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING

from kerascnn.cli.exit_codes import INTERRUPTED, WORKER_LOST
from kerascnn.errors import InputError
from kerascnn.native_output import discarded_stderr

if TYPE_CHECKING:
    from kerascnn.training.strategy import Devices


def starts_workers(options: argparse.Namespace) -> bool:
    """Whether this process is to start the workers, rather than be one."""
    from kerascnn.training.strategy import cluster_of

    cluster = cluster_of()
    if cluster and options.workers not in (None, len(cluster.addresses)):
        raise InputError(
            f"{cluster.origin} names {len(cluster.addresses)} workers, and --workers {options.workers}; leave one out."
        )
    return cluster is None and (options.workers or 1) > 1


def run_workers(options: argparse.Namespace) -> int:
    """Runs the command once for every worker, on this machine; the status is that of the first to fail."""
    from kerascnn.training.strategy.local_workers import LocalWorkers

    workers = LocalWorkers([sys.executable, "-m", "kerascnn", *options.arguments], options.workers)
    statuses = workers.wait()
    first = workers.first_failed
    if first is None:
        return 0
    status = statuses[first]
    if status in (INTERRUPTED, -signal.SIGTERM) and workers.asked_to_stop:
        return INTERRUPTED
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    others = "the other was" if len(statuses) == 2 else "the others were"
    print(f"kerascnn: worker {first} of {len(statuses)} {how}; {others} stopped.", file=sys.stderr)
    if status >= 0:
        return status
    print("Go on from the last checkpoint with --resume RUN, where there is one.", file=sys.stderr)
    return WORKER_LOST


def join(options: argparse.Namespace) -> Devices:
    """The devices that the options ask for, said on standard error; waits for the other workers."""
    from kerascnn.console import messages
    from kerascnn.training.strategy import choose_devices, cluster_of

    cluster = cluster_of()
    if cluster:
        others = ", ".join(address for number, address in enumerate(cluster.addresses) if number != cluster.worker)
        messages().print(f"waiting for {others}", highlight=False, markup=False, soft_wrap=True)
    with discarded_stderr():
        devices = choose_devices(options.devices)
    messages().print(str(devices), highlight=False, markup=False, soft_wrap=True)
    return devices
