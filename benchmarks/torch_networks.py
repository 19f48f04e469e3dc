"""PyTorch's side of the networks: torchvision's, and those that it lacks, which are the paper's layer by layer.

Importing this imports PyTorch.
"""

from __future__ import annotations

import functools
import itertools

import torch
import torchvision
from torch import nn
from torch.nn import functional as F  # noqa: N812

# Figure 5 of Ioffe and Szegedy (2015): input, #1x1 (0 for stride 2), #3x3 reduce, #3x3, double reduce, double, pool.
BN_INCEPTION = {
    "3a": (192, 64, 64, 64, 64, 96, 32),
    "3b": (256, 64, 64, 96, 64, 96, 64),
    "3c": (320, 0, 128, 160, 64, 96, 0),
    "4a": (576, 224, 64, 96, 96, 128, 128),
    "4b": (576, 192, 96, 128, 96, 128, 128),
    "4c": (576, 160, 128, 160, 128, 160, 96),
    "4d": (576, 96, 128, 192, 160, 192, 96),
    "4e": (576, 0, 128, 192, 192, 256, 0),
    "5a": (1024, 352, 192, 320, 160, 224, 128),
    "5b": (1024, 352, 192, 320, 192, 224, 128),
}


def create(name: str, classes: int) -> nn.Module:
    """A network by kerascnn's name, in training mode, without auxiliary heads."""
    if name == "bninception":
        return bn_inception(classes)
    if name in ("resnet20", "resnet110"):
        return CifarResNet(int(name[6:]), classes)
    name = {"alexnetv2": "alexnet", "inceptionv3": "inception_v3"}.get(name, name)
    heads = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    network = torchvision.models.get_model(name, weights=None, num_classes=classes, **heads)
    for module in network.modules():
        # The paper's stride, which is kerascnn's and keras.applications' too: fewer multiply-adds.
        if isinstance(module, torchvision.models.resnet.Bottleneck):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride
    return network


def unit(before: int, filters: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalization, rectification."""
    convolution = nn.Conv2d(before, filters, kernel_size, stride, kernel_size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(filters), nn.ReLU(inplace=True))


class InceptionModule(nn.Module):
    """A row of figure 5; its last has a maximum pool, as those of stride 2."""

    def __init__(self, before, conv1x1, reduce3x3, conv3x3, reduce_double, double3x3, pool_proj, max_pool):
        super().__init__()
        stride = 1 if conv1x1 else 2
        double = (
            unit(before, reduce_double, 1),
            unit(reduce_double, double3x3, 3),
            unit(double3x3, double3x3, 3, stride),
        )
        pool = nn.MaxPool2d if max_pool else functools.partial(nn.AvgPool2d, count_include_pad=False)
        branches = [unit(before, conv1x1, 1)] if conv1x1 else []
        branches += [
            nn.Sequential(unit(before, reduce3x3, 1), unit(reduce3x3, conv3x3, 3, stride)),
            nn.Sequential(*double),
        ]
        projection = [unit(before, pool_proj, 1)] if pool_proj else []
        branches.append(nn.Sequential(pool(3, stride, padding=1), *projection))
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def bn_inception(classes: int) -> nn.Sequential:
    """BN-Inception, as kerascnn.applications.BNInception has it."""
    modules = [InceptionModule(*row, max_pool=not row[1] or name == "5b") for name, row in BN_INCEPTION.items()]
    return nn.Sequential(
        unit(3, 64, 7, 2),
        nn.MaxPool2d(3, 2, padding=1),
        unit(64, 64, 1),
        unit(64, 192, 3),
        nn.MaxPool2d(3, 2, padding=1),
        *modules,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(1024, classes),
    )


class CifarBlock(nn.Module):
    """Two convolutions, and the shortcut without parameters (A)."""

    def __init__(self, before, filters):
        super().__init__()
        self.stride, self.added = (1, 0) if before == filters else (2, filters - before)
        self.first = unit(before, filters, 3, self.stride)
        self.second = unit(filters, filters, 3)[:2]

    def forward(self, x):
        y = self.second(self.first(x))
        if self.added:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.added))
        return F.relu(x + y, inplace=True)


class CifarResNet(nn.Sequential):
    """He et al. (2015), section 4.2: 6n + 2 layers."""

    def __init__(self, depth: int, classes: int):
        widths = [16] * (1 + (depth - 2) // 6) + [32] * ((depth - 2) // 6) + [64] * ((depth - 2) // 6)
        blocks = [CifarBlock(before, after) for before, after in itertools.pairwise(widths)]
        super().__init__(unit(3, 16, 3), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))
