"""Published figures beside the analysed ones; every deviation and its reason stand here, and nowhere else."""

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

NOT_KNOWN = "not known"


HEADER = ("published", "", "printed", "analysed", "deviation")


class TableRow(NamedTuple):
    """A row of a paper's table of costs.

    Attributes:
        stage: the layers of the row, see `kerascnn.complexity.report.stage_of`.
        parameters: in K, which is 1024 there: the last row's 1024 x 1000 weights are its 1000K.
        macs: in millions, the paper's "ops".
    """

    stage: str
    parameters: float
    macs: float


# fmt: off
GOOGLENET_TABLE = (
    TableRow("conv1",           2.7,  34),
    TableRow("conv2",         112,   360),
    TableRow("inception_3a",  159,   128),
    TableRow("inception_3b",  380,   304),
    TableRow("inception_4a",  364,    73),
    TableRow("inception_4b",  437,    88),
    TableRow("inception_4c",  463,   100),
    TableRow("inception_4d",  580,   119),
    TableRow("inception_4e",  840,   170),
    TableRow("inception_5a", 1072,    54),
    TableRow("inception_5b", 1388,    71),
    TableRow("fc",           1000,     1),
)
# fmt: on

# Of the networks whose papers print costs row by row.
TABLES = {"googlenet": GOOGLENET_TABLE}

_SEPARABLE = (
    "the row says 7 x 7 convolution, which has 9,472 parameters and 118.0M; the paper does not say what the print "
    "counts, but a separable one with 8 filters a channel has 3*8*49 + 24*64 = 2,712 weights and 34.0M"
)
_NOT_THE_ROW = "not known; the operations in the same row are those of its filters, and the parameters are not"

# Why an analysed figure is not the published one, by the network or its row, and what is counted.
REASONS: dict[tuple[str, str], str] = {
    ("alexnet", PARAMETERS): (
        "the paper speaks of 60 million; its network on two GPUs (groups=2) has 60,965,224, and its layers in one "
        "tower, the default here, 62,378,344"
    ),
    ("vgg16", MACS): "15.3 is the convolutions alone, 15.347; the dense layers add 0.124 (VGG-19's 19.6 has them)",
    ("googlenet", PARAMETERS): (
        "6.8 is the sum of table 1 as printed, 6,797.7K, with a K of 1000, but the table's K is 1024; and some of its "
        "rows do not follow from their filters"
    ),
    ("googlenet", MACS): "1.5 is the sum of table 1 as printed, 1,502M, with 34M for conv1, which has 118M",
    ("googlenet conv1", PARAMETERS): _SEPARABLE,
    ("googlenet conv1", MACS): _SEPARABLE,
    ("googlenet inception_3a", PARAMETERS): "cut off instead of rounded: 159.5K without biases, 159.9K with",
    ("googlenet inception_4a", PARAMETERS): _NOT_THE_ROW,
    ("googlenet inception_4a", MACS): "cut off instead of rounded: 73.6M",
    ("googlenet inception_4b", PARAMETERS): _NOT_THE_ROW,
    ("googlenet inception_4c", PARAMETERS): _NOT_THE_ROW,
    ("googlenet inception_4d", PARAMETERS): _NOT_THE_ROW,
    ("googlenet inception_4e", PARAMETERS): _NOT_THE_ROW,
    ("googlenet inception_5a", PARAMETERS): (
        "not known; the row has the filters of 4e, and parameters and operations of the print agree with each other "
        "(1072K on 7 x 7 are 54M) but not with them"
    ),
    ("googlenet inception_5a", MACS): "as of its parameters: 1072K on 7 x 7 are 54M, the row's filters give 51.1M",
    ("googlenet inception_5b", PARAMETERS): _NOT_THE_ROW,
    ("googlenet fc", PARAMETERS): "1000K is the weights; the biases are 1,000 more",
    ("inceptionv2", MACS): (
        "not known; the paper prints its modules' sizes without their filters, and with those of its authors' program, "
        "which are built, its own step to 4.8, the factorized 7 x 7, adds 0.4 and not 1.0"
    ),
    ("inceptionv3", MACS): (
        "not known; the network that the authors released, which is built, has 5.713, and their table with its filters "
        "6.483"
    ),
    ("resnet34", MACS): (
        "3.6 is the network with shortcuts A, and plain-34, 3.644; the projections of shortcuts B, the default here, "
        "add 0.019"
    ),
    ("resnet50", MACS): "not known; 3.858 would be 3.9, though 7.570 and 11.282 of ResNet-101 and 152 are rounded",
}

# What public weights were trained on where it is not quite the network here, and the error is still shown beside it.
_STRIDES = "torchvision's ResNet-50, 101 and 152 have their strides in the 3 x 3 convolutions"
OTHER_FORMS = {
    "googlenet": "torchvision's GoogLeNet has batch normalization, and 3 x 3 convolutions in its 5 x 5 branches",
    "resnet50": _STRIDES,
    "resnet101": _STRIDES,
    "resnet152": _STRIDES,
}


class Figure(NamedTuple):
    """A published figure and the analysed one.

    Attributes:
        subject: the network, or the network and a row of its table.
        quantity: `PARAMETERS` (those that are trained: papers leave moving averages out) or `MACS`.
        printed: as it is published, in units of `unit`.
        unit: 1024 for the K of GoogLeNet's table, a million, a billion.
        analysed: as it is counted here.
    """

    subject: str
    quantity: str
    printed: float
    unit: int
    analysed: int

    @property
    def deviation(self) -> float:
        """Of the analysed figure from the published one, as a part of that."""
        return self.analysed / (self.printed * self.unit) - 1

    @property
    def agrees(self) -> bool:
        """Whether the analysed figure is rounded to the published one."""
        digits = Decimal(str(self.printed)).as_tuple().exponent
        return abs(self.analysed / self.unit - self.printed) <= 0.5 * 10**digits

    @property
    def reason(self) -> str:
        """Why the figures deviate; empty where they agree."""
        return "" if self.agrees else REASONS.get((self.subject, self.quantity), NOT_KNOWN)

    @property
    def published(self) -> str:
        """As printed, with its unit."""
        return f"{self.printed:g}{_LETTERS[self.unit]}"

    @property
    def analysed_alike(self) -> str:
        """The analysed figure in the unit of the published one, with a digit more."""
        digits = max(0, -Decimal(str(self.printed)).as_tuple().exponent) + 1
        return f"{self.analysed / self.unit:.{digits}f}{_LETTERS[self.unit]}"

    def cells(self) -> tuple[str, ...]:
        """A row of a table under `HEADER`."""
        return (self.subject, self.quantity, self.published, self.analysed_alike, f"{self.deviation:+.1%}")

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "subject": self.subject,
            "quantity": self.quantity,
            "published": self.printed * self.unit,
            "analysed": self.analysed,
            "deviation": self.deviation,
            "agrees": self.agrees,
            "reason": self.reason,
        }


_LETTERS = {1024: "K", MILLION: "M", BILLION: "G"}


def figures(name: str, report: Report) -> list[Figure]:
    """Every published figure of a network beside the analysed one.

    Args:
        name: as `registry.list_models` has it.
        report: of the network as its builder makes it by default.
    """
    entry = registry.info(name)
    totals = report.totals
    found = []
    if entry.published_parameters is not None:
        found.append(Figure(name, PARAMETERS, entry.published_parameters, MILLION, totals.trainable))
    if entry.published_macs is not None:
        found.append(Figure(name, MACS, entry.published_macs, BILLION, totals.macs))
    for row in TABLES.get(name, ()):
        sums = report.stage(row.stage).sums
        found.append(Figure(f"{name} {row.stage}", PARAMETERS, row.parameters, 1024, sums.trainable))
        found.append(Figure(f"{name} {row.stage}", MACS, row.macs, MILLION, sums.macs))
    return found


def explanations(figures: Iterable[Figure]) -> list[str]:
    """A sentence a reason, after the figures that it is the reason for."""
    explained: dict[str, list[str]] = {}
    for figure in figures:
        if not figure.agrees:
            explained.setdefault(figure.reason, []).append(f"{figure.subject} {figure.quantity}")
    return [f"{', '.join(subjects)}: {reason}." for reason, subjects in explained.items()]


def to_markdown(figures: list[Figure]) -> list[str]:
    """A table of the figures and a list of the reasons, in Markdown; nothing where there are no figures."""
    if not figures:
        return []
    table = markdown_table(HEADER, [figure.cells() for figure in figures], 2)
    return [table, "\n".join(f"- {sentence}" for sentence in explanations(figures))]
