"""Where a training computes: on one device, on several, or on several machines, by tf.distribute."""

from .choosing import choose_devices
from .cluster import Cluster, cluster_of
from .devices import Devices, WorkerLost
from .replicas import prepare, synchronize
from .xla import XlaChoice, choose_xla

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
