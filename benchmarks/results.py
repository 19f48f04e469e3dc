"""The results file: one CSV line per contestant and row, appended as they are measured."""

from __future__ import annotations

import csv
import datetime
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from benchmarks.machine import Machine
from benchmarks.part import Row
from benchmarks.turns import Outcome

RESULTS = Path(__file__).with_name("results.csv")


@dataclass(frozen=True)
class Result:
    """A line of the file.

    Attributes:
        date: of the measurement, in UTC, to the second.
        part, row, x, contestant, unit: what was measured, see `benchmarks.part.Row`; x is -1 where there is no curve.
        value, least, most: median and range of the rounds; -1 if the contestant failed.
        ratio, ratio_least, ratio_most: how many times better ours was, median and range; -1 of ours.
        wanted: the ratio that is wished for; 0 for none.
        rounds: how many there were.
        disturbed: the share of the CPU that other processes had, at the median of the rounds.
        ready_seconds: until the first round.
        peak_megabytes: of memory.
        macs: multiply-adds of an image; 0 if they were not said.
        failure: why there is no value.
        processor, instructions, cores, versions, commit: see `benchmarks.machine.Machine`.
    """

    date: str
    part: str
    row: str
    x: float
    contestant: str
    unit: str
    value: float
    least: float
    most: float
    ratio: float
    ratio_least: float
    ratio_most: float
    wanted: float
    rounds: int
    disturbed: float
    ready_seconds: float
    peak_megabytes: float
    macs: float
    failure: str
    processor: str
    instructions: str
    cores: int
    versions: str
    commit: str

    @property
    def library(self) -> str:
        """The contestant without how it is used."""
        return self.contestant.split(",")[0]


def result_of(part: str, row: Row, outcome: Outcome, machine: Machine) -> Result:
    """The line of an outcome."""
    value, least, most = _spread(outcome.values)
    ratio, ratio_least, ratio_most = _spread(outcome.ratios)
    return Result(
        date=f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}",
        part=part,
        row=row.name,
        x=-1 if row.x is None else row.x,
        contestant=outcome.contestant.name,
        unit=row.unit,
        value=value,
        least=least,
        most=most,
        ratio=ratio,
        ratio_least=ratio_least,
        ratio_most=ratio_most,
        wanted=outcome.contestant.wanted,
        rounds=len(outcome.values),
        disturbed=round(outcome.disturbed, 3),
        ready_seconds=float(f"{outcome.ready_seconds:.4g}"),
        peak_megabytes=round(outcome.peak_megabytes),
        macs=outcome.macs,
        failure=outcome.failure,
        **machine._asdict(),
    )


def _spread(values: list[float]) -> list[float]:
    """Median, least and most with four digits; -1 of no values."""
    chosen = (statistics.median(values), min(values), max(values)) if values else (-1, -1, -1)
    return [float(f"{value:.4g}") for value in chosen]


def append(path: Path, results: Iterable[Result]) -> None:
    """Appends lines, after a header if the file is new."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [one.name for one in fields(Result)], lineterminator="\n")
        if new:
            writer.writeheader()
        for result in results:
            writer.writerow({name: _text(value) for name, value in asdict(result).items()})


def _text(value: str | float) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def read(path: Path) -> list[Result]:
    """All lines, the earliest first; none if there is no such file."""
    if not path.exists():
        return []
    kinds = {"str": str, "float": float, "int": int}
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Result(**{one.name: kinds[one.type](line[one.name]) for one in fields(Result)})
            for line in csv.DictReader(file)
        ]


def latest(results: Iterable[Result]) -> list[Result]:
    """The last measurement of every contestant in every row, in the order of the first."""
    found: dict[tuple, Result] = {}
    for result in results:
        found[result.part, result.row, result.x, result.contestant] = result
    return list(found.values())
