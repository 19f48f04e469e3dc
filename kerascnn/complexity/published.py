"""Published numbers next to the computed ones; this file lists every deviation and its reason."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from kerascnn.applications import registry
from kerascnn.complexity.report import Report, markdown_table

PARAMETERS = "parameters"
MACS = "MACs"

MILLION = 10**6
BILLION = 10**9

UNKNOWN = "unknown"

HEADER = ("network", "quantity", "published", "computed", "deviation")


class StageCosts(NamedTuple):
    """A row of a paper's table of costs.

    Attributes:
        stage: the layers of the row, see `kerascnn.complexity.report.stage_of`.
        parameters: in K, which is 1024: the 1024 x 1000 weights of the last row are its 1000K.
        macs: in millions, the paper's "ops".
    """

    stage: str
    parameters: float
    macs: float


# fmt: off
GOOGLENET_TABLE = (
    StageCosts("conv1",           2.7,  34),
    StageCosts("conv2",         112,   360),
    StageCosts("inception_3a",  159,   128),
    StageCosts("inception_3b",  380,   304),
    StageCosts("inception_4a",  364,    73),
    StageCosts("inception_4b",  437,    88),
    StageCosts("inception_4c",  463,   100),
    StageCosts("inception_4d",  580,   119),
    StageCosts("inception_4e",  840,   170),
    StageCosts("inception_5a", 1072,    54),
    StageCosts("inception_5b", 1388,    71),
    StageCosts("fc",           1000,     1),
)
# fmt: on

# Of the networks whose papers publish costs row by row.
TABLES = {"googlenet": GOOGLENET_TABLE}

_SEPARABLE = (
    "the row says 7 x 7 convolution, which has 9,472 parameters and 118.0M; the paper does not say what the numbers "
    "count, but a separable one with 8 filters a channel has 3*8*49 + 24*64 = 2,712 weights and 34.0M"
)
_NOT_THE_ROW = "unknown; the operations in the same row follow from its filters, but the parameters do not"

# Why a computed number deviates from the published one, by the network or its row, and the quantity.
REASONS: dict[tuple[str, str], str] = {
    ("alexnet", PARAMETERS): (
        "the paper says 60 million; its network on two GPUs (groups=2) has 60,965,224, and its layers in one "
        "tower, the default here, 62,378,344"
    ),
    (
        "vgg16",
        MACS,
    ): "15.3 counts the convolutions alone, 15.347; the dense layers add 0.124 (VGG-19's 19.6 includes them)",
    ("googlenet", PARAMETERS): (
        "6.8 is the sum of table 1 as published, 6,797.7K, with a K of 1000, but the table's K is 1024; and some of "
        "its rows do not follow from their filters"
    ),
    ("googlenet", MACS): "1.5 is the sum of table 1 as published, 1,502M, with 34M for conv1, which has 118M",
    ("googlenet conv1", PARAMETERS): _SEPARABLE,
    ("googlenet conv1", MACS): _SEPARABLE,
    ("googlenet inception_3a", PARAMETERS): "truncated instead of rounded: 159.5K without biases, 159.9K with",
    ("googlenet inception_4a", PARAMETERS): _NOT_THE_ROW,
    ("googlenet inception_4a", MACS): "truncated instead of rounded: 73.6M",
    ("googlenet inception_4b", PARAMETERS): _NOT_THE_ROW,
    ("googlenet inception_4c", PARAMETERS): _NOT_THE_ROW,
    ("googlenet inception_4d", PARAMETERS): _NOT_THE_ROW,
    ("googlenet inception_4e", PARAMETERS): _NOT_THE_ROW,
    ("googlenet inception_5a", PARAMETERS): (
        "unknown; the row has the filters of 4e, and its published parameters and operations agree with each other "
        "(1072K on 7 x 7 are 54M) but not with the filters"
    ),
    ("googlenet inception_5a", MACS): "as for its parameters: 1072K on 7 x 7 are 54M, the row's filters give 51.1M",
    ("googlenet inception_5b", PARAMETERS): _NOT_THE_ROW,
    ("googlenet fc", PARAMETERS): "1000K counts the weights; the biases are 1,000 more",
    ("inceptionv2", MACS): (
        "unknown; the paper gives its modules' sizes without their filters, and with those of its authors' program, "
        "which are used here, its step to 4.8, the factorized 7 x 7, adds 0.4 and not 1.0"
    ),
    ("inceptionv3", MACS): (
        "unknown; the network that the authors released, which is built here, has 5.713, and their table with its "
        "filters 6.483"
    ),
    ("resnet34", MACS): (
        "3.6 is the network with shortcuts A and plain-34, 3.644; the projections of shortcuts B, the default here, "
        "add 0.019"
    ),
    ("resnet50", MACS): "unknown; 3.858 would be 3.9, although 7.570 and 11.282 of ResNet-101 and 152 are rounded",
}

# Public weights of another variant than the one here, whose error is shown all the same.
_STRIDES = "torchvision's ResNet-50, 101 and 152 have their strides in the 3 x 3 convolutions"
VARIANTS = {
    "googlenet": "torchvision's GoogLeNet has batch normalization, and 3 x 3 convolutions in its 5 x 5 branches",
    "resnet50": _STRIDES,
    "resnet101": _STRIDES,
    "resnet152": _STRIDES,
}


class PublishedNumber(NamedTuple):
    """A published number and the computed one.

    Attributes:
        subject: the network, or the network and a row of its table.
        quantity: `PARAMETERS` (trainable ones: papers leave moving averages out) or `MACS`.
        published: in units of `unit`.
        unit: 1024 for the K of GoogLeNet's table, a million, a billion.
        computed: counted by `kerascnn.complexity.analyze`.
    """

    subject: str
    quantity: str
    published: float
    unit: int
    computed: int

    @property
    def deviation(self) -> float:
        """Of the computed number from the published one, as a share of that."""
        return self.computed / (self.published * self.unit) - 1

    @property
    def agrees(self) -> bool:
        """Whether the computed number rounds to the published one."""
        return abs(self.computed / self.unit - self.published) <= 0.5 / 10**self._decimals

    @property
    def reason(self) -> str:
        """Why the numbers deviate; empty if they agree."""
        return "" if self.agrees else REASONS.get((self.subject, self.quantity), UNKNOWN)

    @property
    def _decimals(self) -> int:
        return -Decimal(str(self.published)).as_tuple().exponent

    def cells(self) -> tuple[str, ...]:
        """A row of a table under `HEADER`; the computed number has one digit more."""
        letter = {1024: "K", MILLION: "M", BILLION: "G"}[self.unit]
        computed = f"{self.computed / self.unit:.{max(0, self._decimals) + 1}f}{letter}"
        return self.subject, self.quantity, f"{self.published:g}{letter}", computed, f"{self.deviation:+.1%}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "subject": self.subject,
            "quantity": self.quantity,
            "published": self.published * self.unit,
            "computed": self.computed,
            "deviation": self.deviation,
            "agrees": self.agrees,
            "reason": self.reason,
        }


def published_numbers(name: str, report: Report) -> list[PublishedNumber]:
    """Every published number of a network with the computed one.

    Args:
        name: one of `registry.list_models()`.
        report: of the network as its builder makes it by default.
    """
    model, totals = registry.REGISTRY[name], report.totals
    numbers = []
    if model.published_parameters is not None:
        numbers.append(PublishedNumber(name, PARAMETERS, model.published_parameters, MILLION, totals.trainable))
    if model.published_macs is not None:
        numbers.append(PublishedNumber(name, MACS, model.published_macs, BILLION, totals.macs))
    for row in TABLES.get(name, ()):
        sums = report.stage(row.stage).sums
        numbers.append(PublishedNumber(f"{name} {row.stage}", PARAMETERS, row.parameters, 1024, sums.trainable))
        numbers.append(PublishedNumber(f"{name} {row.stage}", MACS, row.macs, MILLION, sums.macs))
    return numbers


def explanations(numbers: Iterable[PublishedNumber]) -> list[str]:
    """One sentence per reason, after the numbers that it explains."""
    explained: dict[str, list[str]] = {}
    for number in numbers:
        if not number.agrees:
            explained.setdefault(number.reason, []).append(f"{number.subject} {number.quantity}")
    return [f"{', '.join(subjects)}: {reason}." for reason, subjects in explained.items()]


def to_markdown(numbers: list[PublishedNumber]) -> list[str]:
    """A table of the numbers and a list of the reasons, in Markdown; empty without numbers."""
    if not numbers:
        return []
    table = markdown_table(HEADER, [number.cells() for number in numbers], 2)
    return [table, "\n".join(f"- {sentence}" for sentence in explanations(numbers))]
