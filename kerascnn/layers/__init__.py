"""Layers of the classic networks that Keras does not have, for every Keras backend."""

from kerascnn.layers.batch_normalization import BatchNormalization
from kerascnn.layers.class_labels import ClassLabels
from kerascnn.layers.conv_unit import HE_NORMAL, channel_axis, channels_first, conv_unit
from kerascnn.layers.local_response_normalization import LocalResponseNormalization
from kerascnn.layers.preprocessing import Preprocessing
from kerascnn.layers.subsampled_identity import SubsampledIdentity

__all__ = [
    "HE_NORMAL",
    "BatchNormalization",
    "ClassLabels",
    "LocalResponseNormalization",
    "Preprocessing",
    "SubsampledIdentity",
    "channel_axis",
    "channels_first",
    "conv_unit",
]
