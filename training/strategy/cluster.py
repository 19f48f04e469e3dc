"""The workers of a distributed training, read from TF_CONFIG or from Slurm's variables."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from kerascnn.errors import InputError
from kerascnn.keras_internals import slurm_tasks

# Slurm assigns no ports: jobs that share a machine use different ones, below the range that systems assign themselves.
SLURM_PORTS = range(10_000, 30_000)

EXAMPLE = '{"cluster": {"worker": ["a.example:2222", "b.example:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The workers of a training, and the number of this process."""

    addresses: tuple[str, ...]  # "host:port" of every worker; the first is the chief
    worker: int  # the index of this process in `addresses`
    source: str  # "TF_CONFIG" or "Slurm"

    @property
    def local_index_and_count(self) -> tuple[int, int]:
        """This worker's index among the workers on its machine, and their number."""
        hosts = [address.rpartition(":")[0] for address in self.addresses]
        own = hosts[self.worker]
        return hosts[: self.worker].count(own), hosts.count(own)


def find_cluster() -> Cluster | None:
    """Reads the workers from TF_CONFIG, or else from Slurm's job step; None if there is one worker or neither is set.

    A task of type "chief" in TF_CONFIG comes before those of type "worker". InputError if TF_CONFIG cannot be read, or
    names other types of tasks.
    """
    if os.environ.get("TF_CONFIG"):
        found = _from_tf_config(os.environ["TF_CONFIG"])
    elif "SLURM_PROCID" in os.environ and os.environ.get("SLURM_STEP_NUM_TASKS", "1") != "1":
        found = _from_slurm()
    else:
        return None
    return found if len(found.addresses) > 1 else None


def _from_tf_config(text: str) -> Cluster:
    try:
        config = json.loads(text)
        jobs = {job: list(addresses) for job, addresses in config.get("cluster", {}).items() if addresses}
        task = config.get("task", {})
        kind, index = task.get("type", "worker"), int(task.get("index", 0))
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"TF_CONFIG cannot be read ({error}); expected a value like {EXAMPLE}") from None
    others = sorted({*jobs, kind} - {"chief", "worker"})
    if others:
        raise InputError(f"TF_CONFIG has tasks of type '{others[0]}'; only 'chief' and 'worker' are supported.")
    if not jobs:
        return Cluster((), 0, "TF_CONFIG")
    if not 0 <= index < len(jobs.get(kind, [])):
        raise InputError(f"TF_CONFIG names this process {kind} {index}, but its cluster has no {kind} {index}.")
    chiefs = jobs.get("chief", [])
    addresses = tuple(str(address) for address in [*chiefs, *jobs.get("worker", [])])
    return Cluster(addresses, index if kind == "chief" else len(chiefs) + index, "TF_CONFIG")


def _from_slurm() -> Cluster:
    """The tasks of a job step, node by node, which is Slurm's block distribution."""
    import tensorflow as tf

    try:
        # With no GPUs the resolver leaves the visible devices alone; choose_devices sets them.
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=0, gpus_per_task=0, auto_set_gpu=False
        )
        job = int(os.environ.get("SLURM_JOB_ID", 0))
    except (RuntimeError, ValueError) as error:
        raise InputError(f"Slurm's variables cannot be read: {error}") from None
    tasks, rank = slurm_tasks(resolver)
    first_port = SLURM_PORTS[job % len(SLURM_PORTS)]
    addresses = [f"{host}:{first_port + index}" for host, count in tasks.items() for index in range(count)]
    return Cluster(tuple(addresses), rank, "Slurm")
