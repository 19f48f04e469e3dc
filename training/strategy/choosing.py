"""Which devices a training takes, and joining the workers of other processes."""

from __future__ import annotations

import functools
import os
import re
from typing import TYPE_CHECKING

from kerascnn.errors import InputError
from kerascnn.training.strategy.cluster import Cluster, cluster_of
from kerascnn.training.strategy.devices import Devices

if TYPE_CHECKING:
    import tensorflow as tf

FORMS = "'auto', 'cpu', 'cpu:N' (N devices on the processor), 'gpu' (all of them) or 'gpu:0,1'"


def choose_devices(asked: str = "auto") -> Devices:
    """The devices for `asked`; where TF_CONFIG or Slurm names other workers, it waits for them and joins.

    "auto" takes every GPU there is, else the processor. Workers on one machine divide its GPUs among them, unless
    CUDA_VISIBLE_DEVICES says which are whose. It has to come before TensorFlow computes anything, reading data
    included.

    Args:
        asked: "auto", "cpu", "cpu:N" for N devices on the processor, "gpu" for all, or "gpu:0,1" for some.

    Raises:
        InputError: there are no such devices, or TensorFlow has begun on others.

    Example:
        >>> devices = choose_devices("cpu:2")
        >>> run = train(recipe, data, devices=devices)
    """
    import tensorflow as tf

    kind, numbers = _read(asked)
    cluster = cluster_of()
    present = len(tf.config.list_physical_devices("GPU"))
    if kind == "gpu" and not present:
        raise InputError(f"--devices {asked} asks for a GPU, and TensorFlow finds none; say --devices cpu.")
    if kind == "cpu" or not present:
        reason = "as asked" if kind == "cpu" else "there is no GPU"
        return _processors(numbers or 1, reason, cluster)
    chosen = numbers if isinstance(numbers, list) else _own(present, cluster)
    missing = [number for number in chosen if number >= present]
    if missing:
        raise InputError(f"--devices {asked} asks for GPU {missing[0]}, and there are {present}, counted from 0.")
    reason = "as asked" if kind == "gpu" else f"TensorFlow finds {present} GPU{'s' if present > 1 else ''}"
    return _gpus(chosen, reason, cluster)


def _read(asked: str) -> tuple[str, int | list[int] | None]:
    """The kind of device, and how many of the processor or which GPUs."""
    found = re.fullmatch(r"(auto)|(cpu)(?::([1-9]\d*))?|(gpu)(?::(\d+(?:,\d+)*))?", asked)
    if not found:
        raise InputError(f"devices must be {FORMS}, not '{asked}'.")
    _, cpu, count, gpu, listed = found.groups()
    if cpu:
        return "cpu", int(count) if count else None
    if gpu:
        return "gpu", sorted({int(number) for number in listed.split(",")}) if listed else None
    return "auto", None


def _own(present: int, cluster: Cluster | None) -> list[int]:
    """The GPUs of this machine that are this worker's."""
    place, workers = cluster.neighbours if cluster else (0, 1)
    if workers == 1 or os.environ.get("CUDA_VISIBLE_DEVICES"):
        return list(range(present))
    if present < workers:
        raise InputError(f"{workers} workers on this machine cannot share {present} GPU(s); say --devices cpu.")
    return list(range(place, present - present % workers, workers))


def _processors(count: int, reason: str, cluster: Cluster | None) -> Devices:
    import tensorflow as tf

    _show([])
    if cluster:
        if count > 1:
            raise InputError(f"a worker takes one device of its processor, not {count}; start more workers instead.")
        return _joined("cpu", reason, cluster, 0)
    if count == 1:
        return Devices("cpu", reason, tf.distribute.get_strategy())
    processor = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(processor) or [None]) != count:
        with _beginning():
            parts = [tf.config.LogicalDeviceConfiguration()] * count
            tf.config.set_logical_device_configuration(processor, parts)
    strategy = _mirrored(tuple(f"CPU:{number}" for number in range(count)))
    return Devices(f"cpu:{count}", f"{reason}; MirroredStrategy", strategy)


def _gpus(numbers: list[int], reason: str, cluster: Cluster | None) -> Devices:
    import tensorflow as tf

    name = f"gpu:{','.join(map(str, numbers))}"
    _show(numbers)
    if cluster:
        return _joined(name, reason, cluster, len(numbers))
    if len(numbers) == 1:
        return Devices(name, reason, tf.distribute.get_strategy())
    strategy = _mirrored(tuple(f"GPU:{place}" for place in range(len(numbers))))
    return Devices(name, f"{reason}; MirroredStrategy", strategy)


def _joined(name: str, reason: str, cluster: Cluster, gpus: int) -> Devices:
    workers = len(cluster.addresses)
    reason = f"{reason}; {cluster.origin} names {workers} workers; MultiWorkerMirroredStrategy"
    return Devices(name, reason, _multi_worker(cluster, gpus), cluster.worker, workers)


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(devices)


@functools.cache
def _multi_worker(cluster: Cluster, gpus: int) -> tf.distribute.Strategy:
    """Waits for the other workers. A process joins once."""
    import tensorflow as tf

    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": cluster.addresses}),
        task_type="worker",
        task_id=cluster.worker,
        num_accelerators={"GPU": gpus},
    )
    with _beginning():
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)


def _show(gpus: list[int]) -> None:
    """Lets TensorFlow see these GPUs only."""
    import tensorflow as tf

    present = tf.config.list_physical_devices("GPU")
    wanted = [present[number] for number in gpus]
    if tf.config.get_visible_devices("GPU") != wanted:
        with _beginning():
            tf.config.set_visible_devices(wanted, "GPU")


class _beginning:  # noqa: N801
    """Turns TensorFlow's refusal to change devices into a sentence."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, RuntimeError):
            raise InputError(
                "devices are chosen before TensorFlow computes anything: call choose_devices() first in the program "
                f"(TensorFlow says: {' '.join(str(error).split())})"
            ) from None
