"""Distribution of a training over one device, several devices or several machines, with tf.distribute.

Importing it imports neither Keras nor TensorFlow, because `kerascnn train` starts workers without them.
"""

from kerascnn.training.strategy.choosing import choose_devices, choose_xla
from kerascnn.training.strategy.cluster import Cluster, find_cluster
from kerascnn.training.strategy.devices import Devices, WorkerLostError
from kerascnn.training.strategy.replicas import prepare, synchronize

__all__ = ["Cluster", "Devices", "WorkerLostError", "choose_devices", "choose_xla", "find_cluster"]
__all__ += ["prepare", "synchronize"]
