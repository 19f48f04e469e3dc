"""PyTorch's module names for the layers of this package; those that follow no rule are in torchvision_names.yaml.

torchvision's files name each tensor after its module: `layer1.0.conv1.weight` is the kernel of the first convolution in
the first block of the first stage, here `conv2_1_1`. `torch_layouts` translates the tensors.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

# Table 1 of the paper: number of convolutions before each pool.
VGG_STAGES = {"VGG11": (1, 1, 2, 2, 2), "VGG13": (2, 2, 2, 2, 2), "VGG16": (2, 2, 3, 3, 3), "VGG19": (2, 2, 4, 4, 4)}

# torchvision counts from 0, and its first stage is the first with blocks.
STAGES, BLOCKS, CONVOLUTIONS = range(1, 5), range(36), (1, 2, 3)
# fmt: off
RESNET = {
    "conv1": "conv1", "conv1_bn": "bn1", "predictions": "fc",
    **{f"conv{s + 1}_{b + 1}_{c}":    f"layer{s}.{b}.conv{c}" for s in STAGES for b in BLOCKS for c in CONVOLUTIONS},
    **{f"conv{s + 1}_{b + 1}_{c}_bn": f"layer{s}.{b}.bn{c}"   for s in STAGES for b in BLOCKS for c in CONVOLUTIONS},
    # Shortcut B: a projection where dimensions change.
    **{f"conv{s + 1}_1_shortcut":     f"layer{s}.0.downsample.0" for s in STAGES},
    **{f"conv{s + 1}_1_shortcut_bn":  f"layer{s}.0.downsample.1" for s in STAGES},
}
# fmt: on


def _names(table: dict[str, Any]) -> dict[str, str]:
    """A network's names from its entry in torchvision_names.yaml."""
    units = dict(table.get("units", {}))
    for ours, (theirs, kind) in table.get("modules", {}).items():
        units |= {f"{ours}_{unit}": f"{theirs}.{branch}" for unit, branch in table["kinds"][kind].items()}
    convolutions = {ours: f"{theirs}.conv" for ours, theirs in units.items()}
    return convolutions | {f"{ours}_bn": f"{theirs}.bn" for ours, theirs in units.items()} | table["layers"]


_TABLES = yaml.safe_load(Path(__file__).with_name("torchvision_names.yaml").read_text(encoding="utf-8"))
ALEXNET, VGG_DENSE, GOOGLENET, INCEPTION_V3 = map(_names, _TABLES.values())


def vgg(stages: Sequence[int], batch_norm: bool) -> dict[str, str]:
    """A VGG's names: indices in a sequence of convolutions, batch normalizations (if any), ReLUs and pools.

    `stages` are the numbers of convolutions before each pool.
    """
    names, index = {}, 0
    for stage, convolutions in enumerate(stages, start=1):
        for number in range(1, convolutions + 1):
            names[f"conv{stage}_{number}"] = f"features.{index}"
            if batch_norm:
                names[f"conv{stage}_{number}_bn"] = f"features.{index + 1}"
            index += 3 if batch_norm else 2
        index += 1
    return names | VGG_DENSE


# The CIFAR ResNets of github.com/akamaster/pytorch_resnet_cifar10. Their shortcut A has half of the zeros before the
# old channels, and half after them; here all zeros follow. So the channels between the blocks are in another order, on
# which no output depends.
# Section 4.2 of the paper: the filters of the three stages.
CIFAR_FILTERS = (16, 32, 64)
CIFAR_BLOCKS = range(200)  # As many as ResNet-1202 has per stage.

CIFAR = {"conv1": "conv1", "conv1_bn": "bn1", "predictions": "linear"}
for _stage, _block, _number in itertools.product((1, 2, 3), CIFAR_BLOCKS, (1, 2)):
    CIFAR[f"conv{_stage + 1}_{_block + 1}_{_number}"] = f"layer{_stage}.{_block}.conv{_number}"
    CIFAR[f"conv{_stage + 1}_{_block + 1}_{_number}_bn"] = f"layer{_stage}.{_block}.bn{_number}"


def _channel_orders() -> list[np.ndarray]:
    """For each stage, the number of the channel there that is each channel here."""
    orders = [np.arange(CIFAR_FILTERS[0])]
    for before, filters in itertools.pairwise(CIFAR_FILTERS):
        zeros = filters // 4
        orders.append(np.concatenate([orders[-1] + zeros, np.arange(zeros), np.arange(zeros + before, filters)]))
    return orders


def layer_orders() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The orders of the channels that layers take, and of those that they give, by the layers' names."""
    orders = _channel_orders()
    inputs, outputs = {"predictions": orders[-1]}, {}
    for stage, block in itertools.product(range(3), CIFAR_BLOCKS):
        name = f"conv{stage + 2}_{block + 1}"
        inputs[f"{name}_1"] = orders[stage if block else max(stage - 1, 0)]
        outputs[f"{name}_2"] = outputs[f"{name}_2_bn"] = orders[stage]
    return inputs, outputs
