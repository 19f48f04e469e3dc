"""Which workers train together, as TF_CONFIG or Slurm says it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from kerascnn.errors import InputError

# Slurm gives no ports; jobs that share a machine take different ones. Below what systems hand out themselves.
SLURM_PORTS = range(10_000, 30_000)

EXAMPLE = '{"cluster": {"worker": ["a.example:2222", "b.example:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The workers of a training, and which of them this process is.

    Attributes:
        addresses: "host:port" of every worker; the first is the chief's.
        worker: this process's place among them.
        origin: what says so.
    """

    addresses: tuple[str, ...]
    worker: int
    origin: str

    @property
    def neighbours(self) -> tuple[int, int]:
        """This worker's place among those on its machine, and how many these are."""
        hosts = [address.rpartition(":")[0] for address in self.addresses]
        own = hosts[self.worker]
        return hosts[: self.worker].count(own), hosts.count(own)


def cluster_of() -> Cluster | None:
    """The workers that TF_CONFIG names, else those of Slurm's job step; None where there is but one, or neither.

    In TF_CONFIG a task of type "chief" comes before those of type "worker".

    Raises:
        InputError: TF_CONFIG cannot be understood, or names tasks that this package does not run.

    Example:
        >>> os.environ["TF_CONFIG"] = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'
        >>> cluster_of()
        Cluster(addresses=('a:1', 'b:1'), worker=1, origin='TF_CONFIG')
    """
    if os.environ.get("TF_CONFIG"):
        found = _of_tf_config(os.environ["TF_CONFIG"])
    elif "SLURM_PROCID" in os.environ and os.environ.get("SLURM_STEP_NUM_TASKS", "1") != "1":
        found = _of_slurm()
    else:
        return None
    return found if len(found.addresses) > 1 else None


def _of_tf_config(text: str) -> Cluster:
    try:
        config = json.loads(text)
        jobs = {job: list(addresses) for job, addresses in config.get("cluster", {}).items() if addresses}
        task = config.get("task", {})
        kind, index = task.get("type", "worker"), int(task.get("index", 0))
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"TF_CONFIG cannot be read ({error}); it should be like {EXAMPLE}") from None
    others = sorted({*jobs, kind} - {"chief", "worker"})
    if others:
        raise InputError(f"TF_CONFIG names tasks of type '{others[0]}'; a training has a 'chief' and 'worker's only.")
    if not jobs:
        return Cluster((), 0, "TF_CONFIG")
    if not 0 <= index < len(jobs.get(kind, [])):
        raise InputError(f"TF_CONFIG says that this is {kind} {index}, but its cluster has none of that number.")
    chiefs = jobs.get("chief", [])
    addresses = tuple(str(address) for address in [*chiefs, *jobs.get("worker", [])])
    return Cluster(addresses, index if kind == "chief" else len(chiefs) + index, "TF_CONFIG")


def _of_slurm() -> Cluster:
    """The tasks of a job step: one after the other in the order of its nodes, which is Slurm's block distribution."""
    import tensorflow as tf

    try:
        # Without GPUs it leaves the devices alone; they are chosen elsewhere.
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=0, gpus_per_task=0, auto_set_gpu=False
        )
        job = int(os.environ.get("SLURM_JOB_ID", 0))
    except (RuntimeError, ValueError) as error:
        raise InputError(f"Slurm's variables cannot be understood: {error}") from None
    # Its cluster_spec() sorts nodes as texts, node10 before node9, and Slurm does not: tasks would be mistaken.
    tasks = resolver._task_configuration
    first = SLURM_PORTS[job % len(SLURM_PORTS)]
    addresses = [f"{host}:{first + place}" for host, count in tasks.items() for place in range(count)]
    return Cluster(tuple(addresses), resolver._rank, "Slurm")
