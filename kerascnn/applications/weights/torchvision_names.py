"""torchvision's module names for the layers of this package; those that follow no rule are in torchvision_names.yaml.

torchvision's files name each tensor after its module: `layer1.0.conv1.weight` is the kernel of the first convolution in
the first block of the first stage, here `conv2_1_1`. `torch_layouts` translates the tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


_TABLES = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
ALEXNET, VGG_DENSE, GOOGLENET, INCEPTION_V3 = map(_names, _TABLES.values())


def vgg(stages: Sequence[int], batch_norm: bool) -> dict[str, str]:
    """A VGG's names: indices in a sequence of convolutions, batch normalizations (if any), ReLUs and pools.

    `stages` are the numbers of convolutions before each pool.

    Example:
        >>> vgg((1, 1, 2, 2, 2), batch_norm=False)["conv2_1"]
        'features.3'
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
