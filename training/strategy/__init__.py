"""Where a training computes: on one device, on several, or on several machines, by tf.distribute.

Each part is imported when it is first used: workers can be started without a backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerascnn.lazy import lazy_names

if TYPE_CHECKING:
    from .choosing import choose_devices
    from .cluster import Cluster, cluster_of
    from .devices import Devices, WorkerLost
    from .replicas import prepare, synchronize
    from .xla import XlaChoice, choose_xla

PARTS = {
    "choosing": ("choose_devices",),
    "cluster": ("Cluster", "cluster_of"),
    "devices": ("Devices", "WorkerLost"),
    "replicas": ("prepare", "synchronize"),
    "xla": ("XlaChoice", "choose_xla"),
}

__all__ = [
    "Cluster",
    "Devices",
    "WorkerLost",
    "XlaChoice",
    "choose_devices",
    "choose_xla",
    "cluster_of",
    "prepare",
    "synchronize",
]

__getattr__, __dir__ = lazy_names(__name__, PARTS)
