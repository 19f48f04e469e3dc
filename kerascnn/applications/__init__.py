"""The classic image networks, each as its paper has it, as plain `keras.Model`s.

Builders and preprocessing are imported when first used, so that reading the registry does not start a backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerascnn.applications.registry import REGISTRY, NetworkInfo, PublishedError, create, info, list_models
from kerascnn.lazy import lazy_names

if TYPE_CHECKING:
    from kerascnn.applications.alexnet import AlexNet, AlexNetV2
    from kerascnn.applications.bn_inception import BNInception
    from kerascnn.applications.cifar_resnet import (
        Plain20,
        Plain32,
        Plain44,
        Plain56,
        ResNet20,
        ResNet32,
        ResNet44,
        ResNet56,
        ResNet110,
        ResNet1202,
    )
    from kerascnn.applications.googlenet import GoogLeNet
    from kerascnn.applications.inception_v2 import InceptionV2
    from kerascnn.applications.inception_v3 import InceptionV3
    from kerascnn.applications.preprocessing import decode_predictions, preprocess_input
    from kerascnn.applications.resnet import Plain18, Plain34, ResNet18, ResNet34, ResNet50, ResNet101, ResNet152
    from kerascnn.applications.stages import features
    from kerascnn.applications.vgg import VGG11, VGG13, VGG16, VGG16C, VGG19
    from kerascnn.applications.weights.public import PublicWeights, list_weights
    from kerascnn.applications.zfnet import ZFNet

__all__ = [
    "VGG11",
    "VGG13",
    "VGG16",
    "VGG16C",
    "VGG19",
    "AlexNet",
    "AlexNetV2",
    "BNInception",
    "GoogLeNet",
    "InceptionV2",
    "InceptionV3",
    "NetworkInfo",
    "Plain18",
    "Plain20",
    "Plain32",
    "Plain34",
    "Plain44",
    "Plain56",
    "PublicWeights",
    "PublishedError",
    "ResNet18",
    "ResNet20",
    "ResNet32",
    "ResNet34",
    "ResNet44",
    "ResNet50",
    "ResNet56",
    "ResNet101",
    "ResNet110",
    "ResNet152",
    "ResNet1202",
    "ZFNet",
    "create",
    "decode_predictions",
    "features",
    "info",
    "list_models",
    "list_weights",
    "preprocess_input",
]

_parts = {
    "preprocessing": ["decode_predictions", "preprocess_input"],
    "weights.public": ["PublicWeights", "list_weights"],
    "stages": ["features"],
}
for _entry in REGISTRY.values():
    _parts.setdefault(_entry.module, []).append(_entry.builder)

__getattr__, __dir__ = lazy_names(__name__, _parts)
