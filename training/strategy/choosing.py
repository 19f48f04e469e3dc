"""Choice of a training's devices, connection to other workers, and use of XLA."""

from __future__ import annotations

import functools
import os
import re
from typing import TYPE_CHECKING, Literal

from kerascnn.errors import InputError
from kerascnn.training.strategy.cluster import Cluster, find_cluster
from kerascnn.training.strategy.devices import Devices

if TYPE_CHECKING:
    import tensorflow as tf

FORMS = "'auto', 'cpu', 'cpu:N' (N devices on the CPU), 'gpu' (all GPUs) or 'gpu:0,1' (these GPUs)"


def choose_devices(requested: str = "auto") -> Devices:
    """Selects devices; if TF_CONFIG or Slurm names other workers, waits for them and connects.

    "auto" takes all GPUs, or the CPU if there is none. Workers on one machine divide its GPUs among them, unless
    CUDA_VISIBLE_DEVICES assigns them. Call it before TensorFlow computes anything, which includes reading data.

    Args:
        requested: "auto", "cpu", "cpu:N" for N devices on the CPU, "gpu" for all GPUs, or "gpu:0,1" for some.

    Raises:
        InputError: there are no such devices, or TensorFlow has already started with others.

    Example:
        >>> devices = choose_devices("cpu:2")
        >>> run = train(recipe, data, devices=devices)
    """
    import tensorflow as tf

    kind, count, listed = _parse(requested)
    cluster = find_cluster()
    present = len(tf.config.list_physical_devices("GPU"))
    if kind == "gpu" and not present:
        raise InputError(f"--devices {requested} needs a GPU, but TensorFlow finds none; use --devices cpu.")
    reason = "as requested"
    if kind == "auto":
        reason = f"TensorFlow finds {present} GPU{'s' if present > 1 else ''}" if present else "there is no GPU"
    if kind == "cpu" or not present:
        if cluster and count > 1:
            raise InputError(
                f"--devices {requested} is not possible with several workers: each uses one device of its CPU, not "
                f"{count}; use --devices cpu and start more workers."
            )
        gpus, name = [], f"cpu:{count}" if count > 1 else "cpu"
    else:
        gpus = listed or _gpus_of_worker(present, cluster, requested)
        if max(gpus) >= present:
            raise InputError(
                f"--devices {requested} needs GPU {max(gpus)}, but there are {present}, numbered from 0; "
                "use lower numbers, or --devices gpu for all."
            )
        name = f"gpu:{','.join(map(str, gpus))}"
    try:
        return _devices(name, reason, gpus, count, cluster)
    except RuntimeError as error:
        raise InputError(
            f"--devices {requested} cannot be set up after TensorFlow has started: call choose_devices('{requested}') "
            f"first in the program, before TensorFlow computes anything (TensorFlow: {' '.join(str(error).split())})."
        ) from None


def _parse(requested: str) -> tuple[str, int, list[int]]:
    """The kind of device, the number of CPU devices, and the numbers of the GPUs; an empty list means all."""
    found = re.fullmatch(r"(auto|cpu|gpu)|cpu:([1-9]\d*)|gpu:(\d+(?:,\d+)*)", requested)
    if not found:
        raise InputError(f"devices must be {FORMS}, not '{requested}'.")
    kind, count, listed = found.groups()
    gpus = sorted({int(number) for number in listed.split(",")}) if listed else []
    return kind or ("cpu" if count else "gpu"), int(count or 1), gpus


def _gpus_of_worker(present: int, cluster: Cluster | None, requested: str) -> list[int]:
    index, workers = cluster.local_index_and_count if cluster else (0, 1)
    if workers == 1 or os.environ.get("CUDA_VISIBLE_DEVICES"):
        return list(range(present))
    if present < workers:
        raise InputError(
            f"--devices {requested}: {workers} workers on this machine cannot share {present} GPU(s); "
            "use --devices cpu, or start fewer workers."
        )
    return list(range(index, present - present % workers, workers))


def _devices(name: str, reason: str, gpus: list[int], cpus: int, cluster: Cluster | None) -> Devices:
    import tensorflow as tf

    present = tf.config.list_physical_devices("GPU")
    visible = [present[number] for number in gpus]
    if tf.config.get_visible_devices("GPU") != visible:
        tf.config.set_visible_devices(visible, "GPU")
    if cluster:
        workers = len(cluster.addresses)
        reason = f"{reason}; {cluster.source} names {workers} workers; MultiWorkerMirroredStrategy"
        return Devices(name, reason, _multi_worker(cluster, len(gpus)), cluster.worker, workers)
    count = len(gpus) or cpus
    if count == 1:
        return Devices(name, reason, tf.distribute.get_strategy())
    if not gpus:
        cpu = tf.config.list_physical_devices("CPU")[0]
        if len(tf.config.get_logical_device_configuration(cpu) or [None]) != count:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    strategy = _mirrored(tuple(f"{'GPU' if gpus else 'CPU'}:{number}" for number in range(count)))
    return Devices(name, f"{reason}; MirroredStrategy", strategy)


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(devices)


@functools.cache
def _multi_worker(cluster: Cluster, gpus: int) -> tf.distribute.Strategy:
    """Waits for the other workers; a process can connect only once."""
    import tensorflow as tf

    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": cluster.addresses}),
        task_type="worker",
        task_id=cluster.worker,
        num_accelerators={"GPU": gpus},
    )
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)


def choose_xla() -> tuple[bool | Literal["auto"], str]:
    """The value for `jit_compile` of Keras' `compile`, and the reason; depends on the strategy in scope.

    XLA is used on one GPU, but not on CPUs and not on several devices.
    """
    import tensorflow as tf

    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        return False, "Keras does not compile training steps for several devices"
    if tf.config.get_visible_devices("GPU"):
        return "auto", "there is one GPU, and Keras compiles the steps if all layers allow it"
    return False, "on a CPU it halves the speed of training"
