"""torchvision's networks, written in PyTorch with torchvision's names of modules, so that their state dicts are alike.

The fixture `torch_peers` imports this where PyTorch is installed.
"""

import torch
from torch import nn


class Unit(nn.Module):
    """Convolution, normalization, rectification of GoogLeNet and Inception v3."""

    def __init__(self, before, filters, kernel_size, **options):
        super().__init__()
        self.conv = nn.Conv2d(before, filters, kernel_size, bias=False, **options)
        self.bn = nn.BatchNorm2d(filters, eps=0.001)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


class Flattening(nn.Module):
    """AlexNet and VGG: convolutions, a pool to a fixed size, dense layers."""

    def __init__(self, features, size, classifier):
        super().__init__()
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(size)
        self.classifier = nn.Sequential(*classifier)

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def alexnet(size, classes):
    features = [
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
    ]
    dense = [
        *(nn.Dropout(), nn.Linear(256 * size * size, 4096), nn.ReLU()),
        *(nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, classes)),
    ]
    return Flattening(features, size, dense)


def vgg(stages, batch_norm, size, classes):
    features, before = [], 3
    for filters, convolutions in zip((64, 128, 256, 512, 512), stages, strict=True):
        for _ in range(convolutions):
            features.append(nn.Conv2d(before, filters, 3, padding=1))
            features += [nn.BatchNorm2d(filters)] * batch_norm
            features.append(nn.ReLU())
            before = filters
        features.append(nn.MaxPool2d(2, 2))
    dense = [
        *(nn.Linear(512 * size * size, 4096), nn.ReLU(), nn.Dropout()),
        *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, classes)),
    ]
    return Flattening(features, size, dense)


class Block(nn.Module):
    """Of ResNet, with its convolutions' kernel sizes, filters and strides."""

    def __init__(self, before, convolutions, stride):
        super().__init__()
        self.depth = len(convolutions)
        width = before
        for number, (kernel_size, filters, step) in enumerate(convolutions, start=1):
            options = {"stride": step, "padding": kernel_size // 2, "bias": False}
            setattr(self, f"conv{number}", nn.Conv2d(width, filters, kernel_size, **options))
            setattr(self, f"bn{number}", nn.BatchNorm2d(filters))
            width = filters
        self.downsample = None
        if stride != 1 or before != width:
            projection = nn.Conv2d(before, width, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(width))

    def forward(self, x):
        y = x
        for number in range(1, self.depth + 1):
            y = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(y))
            y = torch.relu(y) if number < self.depth else y
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, blocks, bottleneck, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        before = 64
        for number, count in enumerate(blocks, start=1):
            width, stage = 32 * 2**number, []
            for block in range(count):
                stride = 2 if block == 0 and number > 1 else 1
                rows = [(3, width, stride), (3, width, 1)]
                if bottleneck:
                    rows = [(1, width, 1), (3, width, stride), (1, 4 * width, 1)]
                stage.append(Block(before, rows, stride))
                before = rows[-1][1]
            setattr(self, f"layer{number}", nn.Sequential(*stage))
        self.fc = nn.Linear(before, classes)

    def forward(self, x):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class GoogLeNetModule(nn.Module):
    def __init__(self, before, one, reduce3, three, reduce5, five, projection):
        super().__init__()
        self.branch1 = Unit(before, one, 1)
        self.branch2 = nn.Sequential(Unit(before, reduce3, 1), Unit(reduce3, three, 3, padding=1))
        self.branch3 = nn.Sequential(Unit(before, reduce5, 1), Unit(reduce5, five, 3, padding=1))
        pool = nn.MaxPool2d(3, 1, padding=1, ceil_mode=True)
        self.branch4 = nn.Sequential(pool, Unit(before, projection, 1))

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class GoogLeNetHead(nn.Module):
    def __init__(self, before, classes):
        super().__init__()
        self.conv = Unit(before, 128, 1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, classes)

    def forward(self, x):
        x = self.conv(nn.functional.adaptive_avg_pool2d(x, (4, 4)))
        return self.fc2(torch.relu(self.fc1(torch.flatten(x, 1))))


GOOGLENET_ROWS = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


class GoogLeNet(nn.Module):
    def __init__(self, heads, classes):
        super().__init__()
        self.conv1 = Unit(3, 64, 7, stride=2, padding=3)
        self.conv2 = Unit(64, 64, 1)
        self.conv3 = Unit(64, 192, 3, padding=1)
        for name, row in GOOGLENET_ROWS.items():
            setattr(self, f"inception{name}", GoogLeNetModule(*row))
        if heads:
            self.aux1 = GoogLeNetHead(512, classes)
            self.aux2 = GoogLeNetHead(528, classes)
        self.heads = heads
        self.fc = nn.Linear(1024, classes)

    def forward(self, x):
        pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        x = pool(self.conv3(self.conv2(pool(self.conv1(x)))))
        x = pool(self.inception3b(self.inception3a(x)))
        first = self.inception4a(x)
        second = self.inception4d(self.inception4c(self.inception4b(first)))
        x = nn.MaxPool2d(2, 2, ceil_mode=True)(self.inception4e(second))
        x = self.fc(self.inception5b(self.inception5a(x)).mean((2, 3)))
        return {"main": x, "aux_4a": self.aux1(first), "aux_4d": self.aux2(second)} if self.heads else x


class InceptionA(nn.Module):
    def __init__(self, before, projection):
        super().__init__()
        self.branch1x1 = Unit(before, 64, 1)
        self.branch5x5_1 = Unit(before, 48, 1)
        self.branch5x5_2 = Unit(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Unit(before, 64, 1)
        self.branch3x3dbl_2 = Unit(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Unit(96, 96, 3, padding=1)
        self.branch_pool = Unit(before, projection, 1)

    def forward(self, x):
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        pool = self.branch_pool(nn.functional.avg_pool2d(x, 3, 1, 1))
        return torch.cat([self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, pool], 1)


class InceptionB(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch3x3 = Unit(288, 384, 3, stride=2)
        self.branch3x3dbl_1 = Unit(288, 64, 1)
        self.branch3x3dbl_2 = Unit(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Unit(96, 96, 3, stride=2)

    def forward(self, x):
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, nn.functional.max_pool2d(x, 3, 2)], 1)


ROW, COLUMN = {"kernel_size": (1, 7), "padding": (0, 3)}, {"kernel_size": (7, 1), "padding": (3, 0)}


class InceptionC(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.branch1x1 = Unit(768, 192, 1)
        self.branch7x7_1 = Unit(768, width, 1)
        self.branch7x7_2 = Unit(width, width, **ROW)
        self.branch7x7_3 = Unit(width, 192, **COLUMN)
        self.branch7x7dbl_1 = Unit(768, width, 1)
        self.branch7x7dbl_2 = Unit(width, width, **COLUMN)
        self.branch7x7dbl_3 = Unit(width, width, **ROW)
        self.branch7x7dbl_4 = Unit(width, width, **COLUMN)
        self.branch7x7dbl_5 = Unit(width, 192, **ROW)
        self.branch_pool = Unit(768, 192, 1)

    def forward(self, x):
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        pool = self.branch_pool(nn.functional.avg_pool2d(x, 3, 1, 1))
        return torch.cat([self.branch1x1(x), single, double, pool], 1)


class InceptionD(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch3x3_1 = Unit(768, 192, 1)
        self.branch3x3_2 = Unit(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Unit(768, 192, 1)
        self.branch7x7x3_2 = Unit(192, 192, **ROW)
        self.branch7x7x3_3 = Unit(192, 192, **COLUMN)
        self.branch7x7x3_4 = Unit(192, 192, 3, stride=2)

    def forward(self, x):
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), seven, nn.functional.max_pool2d(x, 3, 2)], 1)


class InceptionE(nn.Module):
    def __init__(self, before):
        super().__init__()
        self.branch1x1 = Unit(before, 320, 1)
        self.branch3x3_1 = Unit(before, 384, 1)
        self.branch3x3_2a = Unit(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = Unit(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = Unit(before, 448, 1)
        self.branch3x3dbl_2 = Unit(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = Unit(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = Unit(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = Unit(before, 192, 1)

    def forward(self, x):
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        banks = [self.branch3x3_2a(single), self.branch3x3_2b(single)]
        banks += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        pool = self.branch_pool(nn.functional.avg_pool2d(x, 3, 1, 1))
        return torch.cat([self.branch1x1(x), *banks, pool], 1)


class InceptionHead(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv0 = Unit(768, 128, 1)
        self.conv1 = Unit(128, 768, 5)
        self.fc = nn.Linear(768, classes)

    def forward(self, x):
        return self.fc(self.conv1(self.conv0(nn.functional.avg_pool2d(x, 5, 3))).mean((2, 3)))


class Inception3(nn.Module):
    def __init__(self, heads, classes):
        super().__init__()
        self.Conv2d_1a_3x3 = Unit(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Unit(32, 32, 3)
        self.Conv2d_2b_3x3 = Unit(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Unit(64, 80, 1)
        self.Conv2d_4a_3x3 = Unit(80, 192, 3)
        self.Mixed_5b = InceptionA(192, 32)
        self.Mixed_5c = InceptionA(256, 64)
        self.Mixed_5d = InceptionA(288, 64)
        self.Mixed_6a = InceptionB()
        self.Mixed_6b = InceptionC(128)
        self.Mixed_6c = InceptionC(160)
        self.Mixed_6d = InceptionC(160)
        self.Mixed_6e = InceptionC(192)
        if heads:
            self.AuxLogits = InceptionHead(classes)
        self.Mixed_7a = InceptionD()
        self.Mixed_7b = InceptionE(1280)
        self.Mixed_7c = InceptionE(2048)
        self.heads = heads
        self.fc = nn.Linear(2048, classes)

    def forward(self, x):
        pool = nn.MaxPool2d(3, 2)
        x = pool(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = pool(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
        last_17 = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        x = self.fc(self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(last_17))).mean((2, 3)))
        return {"main": x, "aux": self.AuxLogits(last_17)} if self.heads else x
