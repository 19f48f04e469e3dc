"""Tables of torchvision's module names for the layers of this package.

torchvision's files name each tensor after its module: `layer1.0.conv1.weight` is the kernel of the first convolution in
the first block of the first stage, here `conv2_1_1`. Our names are on the left, torchvision's on the right, in the
order of the papers' tables; `torch_layouts` translates the tensors.

A convolution of GoogLeNet or Inception v3 is a module of two, `.conv` and `.bn`; in the tables it is one row.
"""

from __future__ import annotations

from collections.abc import Sequence

# fmt: off
ALEXNET = {
    # ours    torchvision's: the index in a sequence of convolutions, ReLUs, pools and dropouts
    "conv1": "features.0",
    "conv2": "features.3",
    "conv3": "features.6",
    "conv4": "features.8",
    "conv5": "features.10",
    "fc6":   "classifier.1",
    "fc7":   "classifier.4",
    "fc8":   "classifier.6",
}

# Table 1 of the paper: number of convolutions before each pool.
VGG_STAGES = {
    "VGG11": (1, 1, 2, 2, 2),
    "VGG13": (2, 2, 2, 2, 2),
    "VGG16": (2, 2, 3, 3, 3),
    "VGG19": (2, 2, 4, 4, 4),
}
VGG_DENSE = {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}

# torchvision counts from 0, and its first stage is the first with blocks.
STAGES = range(1, 5)
BLOCKS = range(36)
CONVOLUTIONS = (1, 2, 3)
RESNET = {
    "conv1":    "conv1",
    "conv1_bn": "bn1",
    **{f"conv{s + 1}_{b + 1}_{c}":    f"layer{s}.{b}.conv{c}" for s in STAGES for b in BLOCKS for c in CONVOLUTIONS},
    **{f"conv{s + 1}_{b + 1}_{c}_bn": f"layer{s}.{b}.bn{c}"   for s in STAGES for b in BLOCKS for c in CONVOLUTIONS},
    # Shortcut B: a projection where dimensions change.
    **{f"conv{s + 1}_1_shortcut":     f"layer{s}.0.downsample.0" for s in STAGES},
    **{f"conv{s + 1}_1_shortcut_bn":  f"layer{s}.0.downsample.1" for s in STAGES},
    "fc":       "fc",
}

GOOGLENET_STEM = {"conv1": "conv1", "conv2_reduce": "conv2", "conv2": "conv3"}
GOOGLENET_MODULES = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
GOOGLENET_BRANCHES = {
    "1x1":        "branch1",
    "3x3_reduce": "branch2.0",
    "3x3":        "branch2.1",
    "5x5_reduce": "branch3.0",
    "5x5":        "branch3.1",  # 3 x 3
    "pool_proj":  "branch4.1",
}
GOOGLENET_HEADS = {"aux_4a": "aux1", "aux_4d": "aux2"}

INCEPTION_V3_STEM = {
    "conv1": "Conv2d_1a_3x3",
    "conv2": "Conv2d_2a_3x3",
    "conv3": "Conv2d_2b_3x3",
    "conv4": "Conv2d_3b_1x1",
    "conv5": "Conv2d_4a_3x3",
}
# Figure 5 of the paper.
INCEPTION_A = {
    "1x1":               "branch1x1",
    "5x5_reduce":        "branch5x5_1",
    "5x5":               "branch5x5_2",
    "double_3x3_reduce": "branch3x3dbl_1",
    "double_3x3_1":      "branch3x3dbl_2",
    "double_3x3_2":      "branch3x3dbl_3",
    "pool_proj":         "branch_pool",
}
REDUCTION_A = {
    "3x3":               "branch3x3",
    "double_3x3_reduce": "branch3x3dbl_1",
    "double_3x3_1":      "branch3x3dbl_2",
    "double_3x3_2":      "branch3x3dbl_3",
}
# Figure 6.
INCEPTION_B = {
    "1x1":               "branch1x1",
    "7x7_reduce":        "branch7x7_1",
    "1x7":               "branch7x7_2",
    "7x1":               "branch7x7_3",
    "double_7x7_reduce": "branch7x7dbl_1",
    "double_7x1_1":      "branch7x7dbl_2",
    "double_1x7_1":      "branch7x7dbl_3",
    "double_7x1_2":      "branch7x7dbl_4",
    "double_1x7_2":      "branch7x7dbl_5",
    "pool_proj":         "branch_pool",
}
REDUCTION_B = {
    "3x3_reduce":        "branch3x3_1",
    "3x3":               "branch3x3_2",
    "7x7_reduce":        "branch7x7x3_1",
    "1x7":               "branch7x7x3_2",
    "7x1":               "branch7x7x3_3",
    "7x7_3x3":           "branch7x7x3_4",
}
# Figure 7.
INCEPTION_C = {
    "1x1":               "branch1x1",
    "3x3_reduce":        "branch3x3_1",
    "bank_1x3":          "branch3x3_2a",
    "bank_3x1":          "branch3x3_2b",
    "double_3x3_reduce": "branch3x3dbl_1",
    "double_3x3":        "branch3x3dbl_2",
    "double_bank_1x3":   "branch3x3dbl_3a",
    "double_bank_3x1":   "branch3x3dbl_3b",
    "pool_proj":         "branch_pool",
}
# mixed0 to mixed10.
INCEPTION_V3_MODULES = {
    "Mixed_5b": INCEPTION_A, "Mixed_5c": INCEPTION_A, "Mixed_5d": INCEPTION_A,
    "Mixed_6a": REDUCTION_A,
    "Mixed_6b": INCEPTION_B, "Mixed_6c": INCEPTION_B, "Mixed_6d": INCEPTION_B, "Mixed_6e": INCEPTION_B,
    "Mixed_7a": REDUCTION_B,
    "Mixed_7b": INCEPTION_C, "Mixed_7c": INCEPTION_C,
}
INCEPTION_V3_HEAD = {"aux_conv1": "AuxLogits.conv0", "aux_conv2": "AuxLogits.conv1"}
# fmt: on


def _with_batch_norm(rows: dict[str, str]) -> dict[str, str]:
    """The convolutions of a table and their batch normalizations."""
    convolutions = {ours: f"{theirs}.conv" for ours, theirs in rows.items()}
    return convolutions | {f"{ours}_bn": f"{theirs}.bn" for ours, theirs in rows.items()}


GOOGLENET = {
    **_with_batch_norm(GOOGLENET_STEM),
    **_with_batch_norm(
        {
            f"inception_{module}_{ours}": f"inception{module}.{theirs}"
            for module in GOOGLENET_MODULES
            for ours, theirs in GOOGLENET_BRANCHES.items()
        }
    ),
    **_with_batch_norm({f"{ours}_conv": f"{theirs}.conv" for ours, theirs in GOOGLENET_HEADS.items()}),
    **{f"{ours}_{fc}": f"{theirs}.{fc}" for ours, theirs in GOOGLENET_HEADS.items() for fc in ("fc1", "fc2")},
    "fc": "fc",
}

INCEPTION_V3 = {
    **_with_batch_norm(INCEPTION_V3_STEM),
    **_with_batch_norm(
        {
            f"mixed{number}_{ours}": f"{module}.{branch}"
            for number, (module, branches) in enumerate(INCEPTION_V3_MODULES.items())
            for ours, branch in branches.items()
        }
    ),
    **_with_batch_norm(INCEPTION_V3_HEAD),
    "aux_fc": "AuxLogits.fc",
    "fc": "fc",
}


def vgg(stages: Sequence[int], batch_norm: bool) -> dict[str, str]:
    """Returns a VGG's names: indices in a sequence of convolutions, batch normalizations, ReLUs and pools.

    Args:
        stages: number of convolutions before each pool.
        batch_norm: whether batch normalization follows each convolution.

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
