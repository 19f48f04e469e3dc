"""Who measures when: contestants in turn, one round each, the order reversed from round to round.

A round in which other processes had more than a twentieth of the CPU is repeated, as often as there are rounds.
"""

from __future__ import annotations

import contextlib
import importlib.util
import statistics
from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.contestant_process import ContestantError, ContestantProcess, Round
from benchmarks.part import Contestant, Row

DISTURBED = 0.05  # The share of the CPU that others may have


class Outcome(NamedTuple):
    """A contestant's rounds of a row.

    Attributes:
        values: one per round, in the row's unit; none if it failed.
        ratios: how many times better ours was in the same rounds; none of ours.
        disturbed: the share of the CPU that other processes had, at the median of the rounds.
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
                yield from _heat(ours, others[start : start + together - 1], row, rounds, limit, say)
            yield outcome_of(ours, [])
        except ContestantError as error:
            yield Outcome(first, [], [], failure=str(error))


def _heat(
    ours: ContestantProcess,
    heat: list[Contestant],
    row: Row,
    rounds: int,
    limit: float,
    say: Callable[[str], None],
) -> Iterator[Outcome]:
    with contextlib.ExitStack() as started:
        taking_part, failures, before = [ours], {}, len(ours.rounds)
        for contestant in heat:
            process = started.enter_context(ContestantProcess(contestant, limit))
            with _noting(failures, process):
                process.wait_until_ready()
                taking_part.append(process)
        # Rounds of rows that limit them take long.
        take_turns(taking_part, failures, rounds, rounds if row.rounds else 2 * rounds, row.unit, say)
        if ours in failures:
            raise ContestantError(failures[ours])
        for process in taking_part[1:]:
            if process not in failures:
                pairs = zip(ours.rounds[before:], process.rounds, strict=True)
                yield outcome_of(process, [times_better(one.value, other.value, row.unit) for one, other in pairs])
        for process, failure in failures.items():
            yield Outcome(process.contestant, [], [], failure=failure)


def take_turns(
    taking_part: list[ContestantProcess],
    failures: dict[ContestantProcess, str],
    rounds: int,
    attempts: int,
    unit: str,
    say: Callable[[str], None],
) -> None:
    """Adds rounds to the processes: of at most so many attempts, those in which other work disturbed them least."""
    found: list[dict[ContestantProcess, Round]] = []
    while len(found) < attempts and sum(_most_disturbed(one) <= DISTURBED for one in found) < rounds:
        measured: dict[ContestantProcess, Round] = {}
        for process in taking_part[:: 1 if len(found) % 2 == 0 else -1]:
            if process not in failures:
                with _noting(failures, process):
                    value, disturbed = measured[process] = process.measure()
                    beside = f", others had {disturbed:.0%} of the CPU" if disturbed > DISTURBED else ""
                    say(f"  {process.contestant.name}: {value:.4g} {unit}{beside}")
        found.append(measured)
    for measured in sorted(found, key=_most_disturbed)[:rounds]:
        for process, one in measured.items():
            process.rounds.append(one)


def _most_disturbed(measured: dict[ContestantProcess, Round]) -> float:
    return max((one.disturbed for one in measured.values()), default=0.0)


@contextlib.contextmanager
def _noting(failures: dict[ContestantProcess, str], process: ContestantProcess) -> Iterator[None]:
    try:
        yield
    except ContestantError as error:
        failures[process] = str(error)


def outcome_of(process: ContestantProcess, ratios: list[float]) -> Outcome:
    """What a process measured, with how many times better ours was in the same rounds."""
    values = [one.value for one in process.rounds]
    disturbed = statistics.median(one.disturbed for one in process.rounds)
    return Outcome(process.contestant, values, ratios, disturbed, process.ready_seconds, process.peak, process.macs)


def times_better(ours: float, theirs: float, unit: str) -> float:
    """How many times better ours is, for values in this unit."""
    return ours / theirs if unit.endswith("/s") else theirs / ours
