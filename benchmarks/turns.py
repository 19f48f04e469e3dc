"""Who measures when: contestants in turn, one round each, the order reversed from round to round."""

from __future__ import annotations

import contextlib
import importlib.util
import statistics
from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.contestant_process import ContestantError, ContestantProcess
from benchmarks.part import Contestant, Row


class Outcome(NamedTuple):
    """A contestant's rounds of a row.

    Attributes:
        values: one per round, in the row's unit; none if it failed.
        ratios: how many times better ours was in the same rounds; none of ours.
        disturbed: the share of the processor that other processes had, at the median of the rounds.
        ready_seconds: from its start until its first round.
        peak_megabytes: the most memory until its last.
        macs: multiply-adds of an image, if it says them.
        failure: why there are no values.
    """

    contestant: Contestant
    values: list[float]
    ratios: list[float]
    disturbed: float = 0.0
    ready_seconds: float = 0.0
    peak_megabytes: float = 0.0
    macs: float = 0.0
    failure: str = ""


def missing_packages(contestant: Contestant) -> list[str]:
    """Those that the contestant needs and that are not installed."""
    return [name for name in contestant.packages if importlib.util.find_spec(name) is None]


def outcomes(row: Row, rounds: int, together: int, limit: float, say: Callable[[str], None]) -> Iterator[Outcome]:
    """Lets a row's contestants take turns.

    Ours lives all the time, the others in heats, so that memory suffices; each is compared with our rounds of its heat.

    Args:
        row: whose contestants' packages are installed.
        rounds: of every heat.
        together: how many processes there are at most, ours included; at least 2.
        limit: the seconds that a preparation or a round may take.
        say: prints a line of progress.
    """
    first, *others = row.contestants
    with contextlib.ExitStack() as started:
        ours = started.enter_context(ContestantProcess(first, limit))
        try:
            ours.wait_until_ready()
            for start in range(0, max(len(others), 1), together - 1):
                yield from _heat(ours, others[start : start + together - 1], row.unit, rounds, limit, say)
            yield _outcome(ours, [])
        except ContestantError as error:
            yield Outcome(first, [], [], failure=str(error))


def _heat(
    ours: ContestantProcess,
    heat: list[Contestant],
    unit: str,
    rounds: int,
    limit: float,
    say: Callable[[str], None],
) -> Iterator[Outcome]:
    with contextlib.ExitStack() as started:
        taking_part, failures, before = [ours], {}, len(ours.values)
        for contestant in heat:
            process = started.enter_context(ContestantProcess(contestant, limit))
            with _noting(failures, process):
                process.wait_until_ready()
                taking_part.append(process)
        for number in range(rounds):
            for process in taking_part[:: 1 if number % 2 == 0 else -1]:
                if process not in failures:
                    with _noting(failures, process):
                        say(f"  {process.contestant.name}: {process.measure():.4g} {unit}")
        if ours in failures:
            raise ContestantError(failures[ours])
        for process in taking_part[1:]:
            if process not in failures:
                pairs = zip(ours.values[before:], process.values, strict=True)
                yield _outcome(process, [_times_better(*pair, unit) for pair in pairs])
        for process, failure in failures.items():
            yield Outcome(process.contestant, [], [], failure=failure)


@contextlib.contextmanager
def _noting(failures: dict[ContestantProcess, str], process: ContestantProcess) -> Iterator[None]:
    try:
        yield
    except ContestantError as error:
        failures[process] = str(error)


def _outcome(process: ContestantProcess, ratios: list[float]) -> Outcome:
    values = list(process.values)
    disturbed = statistics.median(process.disturbances)
    return Outcome(process.contestant, values, ratios, disturbed, process.ready_seconds, process.peak, process.macs)


def _times_better(ours: float, theirs: float, unit: str) -> float:
    return ours / theirs if unit.endswith("/s") else theirs / ours
