"""Where a training computes: on one device, on several, or on several machines, by tf.distribute.

Each part is imported when it is first used: workers can be started without a backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerascnn.lazy import lazy_names

if TYPE_CHECKING:
    from kerascnn.training.strategy.choosing import choose_devices
    from kerascnn.training.strategy.cluster import Cluster, cluster_of
    from kerascnn.training.strategy.devices import Devices, WorkerLostError
    from kerascnn.training.strategy.replicas import prepare, synchronize
    from kerascnn.training.strategy.xla import XlaChoice, choose_xla

PARTS = {
    "choosing": ("choose_devices",),
    "cluster": ("Cluster", "cluster_of"),
    "devices": ("Devices", "WorkerLostError"),
    "replicas": ("prepare", "synchronize"),
    "xla": ("XlaChoice", "choose_xla"),
}

__all__ = [
    "Cluster",
    "Devices",
    "WorkerLostError",
    "XlaChoice",
    "choose_devices",
    "choose_xla",
    "cluster_of",
    "prepare",
    "synchronize",
]

__getattr__, __dir__ = lazy_names(__name__, PARTS)
