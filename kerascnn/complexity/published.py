"""Published numbers next to the computed ones; published.yaml lists every deviation and its reason."""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from kerascnn.applications import registry
from kerascnn.complexity.report import Report, markdown_table

PARAMETERS, MACS = "parameters", "MACs"
MILLION, BILLION = 10**6, 10**9
UNKNOWN = "unknown"
HEADER = ("network", "quantity", "published", "computed", "deviation")


_DATA = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))

# Of the networks whose papers publish costs row by row: by stage, the parameters in K, which is 1024 (the 1024 x 1000
# weights of the last row are its 1000K), and the multiply-adds, the paper's "ops", in millions.
TABLES: dict[str, dict[str, tuple[float, float]]] = _DATA["tables"]
# Why a computed number deviates from the published one, by the network or its row, and the quantity.
REASONS = {
    (subject, quantity): reason for subject, reasons in _DATA["reasons"].items() for quantity, reason in reasons.items()
}
# Public weights of another variant than the one here, whose accuracy is shown all the same.
VARIANTS: dict[str, str] = _DATA["variants"]


class PublishedNumber(NamedTuple):
    """A published number and the computed one."""

    subject: str  # the network, or the network and a row of its table
    quantity: str  # `PARAMETERS` (trainable ones: papers leave moving averages out) or `MACS`
    published: float  # in units of `unit`
    unit: int  # 1024 for the K of GoogLeNet's table, a million, a billion
    computed: int  # counted by `kerascnn.complexity.analyze`

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
        names = ("subject", "quantity", "computed", "deviation", "agrees", "reason")
        return {**{name: getattr(self, name) for name in names}, "published": self.published * self.unit}


def published_numbers(name: str, report: Report) -> list[PublishedNumber]:
    """Every published number of a network of the registry, with the computed one of its report by default arguments."""
    model, totals = registry.info(name), report.totals
    numbers = [
        PublishedNumber(name, PARAMETERS, model.published_parameters, MILLION, totals.trainable),
        PublishedNumber(name, MACS, model.published_macs, BILLION, totals.macs),
    ]
    for stage, (parameters, macs) in TABLES.get(name, {}).items():
        sums = report.stage(stage).sums
        numbers.append(PublishedNumber(f"{name} {stage}", PARAMETERS, parameters, 1024, sums.trainable))
        numbers.append(PublishedNumber(f"{name} {stage}", MACS, macs, MILLION, sums.macs))
    return [number for number in numbers if number.published is not None]


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
