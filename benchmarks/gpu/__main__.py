"""`python -m benchmarks.gpu`: networks on Keras' JAX backend beside PyTorch's, on the card that both find.

The contestants of a network start together, because compiling takes longer than measuring; then they take turns.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from pathlib import Path

from benchmarks.contestant_process import ContestantError, ContestantProcess
from benchmarks.gpu.training_step import SIZES, rows
from benchmarks.machine import Machine, this_machine
from benchmarks.part import Contestant, Row
from benchmarks.results import append, result_of
from benchmarks.turns import Outcome, missing_packages, outcome_of, take_turns, times_better

PART = "gpu-training-step"
RESULTS = Path(__file__).with_name("results.csv")


def main() -> int:
    """Measures and appends; the status is 1 if a contestant failed."""
    given = _parser().parse_args()
    ends, machine, failures = time.monotonic() + given.seconds, this_machine(), 0
    print(f"{machine.processor}; {machine.versions}; {machine.commit}", flush=True)
    for together in rows(given.networks, given.batch, given.steps, given.side):
        names = ", ".join(row.name for row in together)
        if time.monotonic() > ends:
            print(f"{names}: skipped, because {given.seconds:.0f} seconds are over")
            failures += 1
            continue
        print(names, flush=True)
        failures += _measure(together, given.rounds, ends, machine, given.results)
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument(
        "--networks", nargs="+", choices=SIZES, default=list(SIZES), metavar="NAME", help=", ".join(SIZES)
    )
    parser.add_argument("--batch", type=int, default=128, metavar="N", help="images at a time (default: 128)")
    parser.add_argument("--steps", type=int, default=30, metavar="N", help="of a round (default: 30)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of every contestant (default: 3)")
    parser.add_argument("--side", type=int, default=8192, metavar="N", help="of the matrices (default: 8192)")
    parser.add_argument("--seconds", type=float, default=240, metavar="S", help="in all (default: 240)")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, metavar="FILE", help="appended to (default: %(default)s)"
    )
    return parser


def _measure(together: list[Row], rounds: int, ends: float, machine: Machine, results: Path) -> int:
    """Starts all contestants of these rows, then measures row by row; returns how many failed."""
    failed = 0
    with contextlib.ExitStack() as started:
        processes = {
            row.name: [
                started.enter_context(ContestantProcess(one, ends - time.monotonic())) for one in _installed(row)
            ]
            for row in together
        }
        for row in together:
            for outcome in _row_outcomes(row, processes[row.name], rounds, ends):
                append(results, [result_of(PART, row, outcome, machine)])
                ratio = f", {max(outcome.ratios):.2f} times as fast at best" if outcome.ratios else ""
                said = f"failed: {outcome.failure}" if outcome.failure else f"{max(outcome.values):.4g} {row.unit}"
                print(f"  {row.name}, {outcome.contestant.name}: {said}{ratio}", flush=True)
                failed += bool(outcome.failure)
    return failed


def _installed(row: Row) -> list[Contestant]:
    """The contestants whose packages are installed; says which are not."""
    found = []
    for one in row.contestants:
        if missing := missing_packages(one):
            print(f"  {row.name}, {one.name}: skipped; it needs {', '.join(missing)}")
        else:
            found.append(one)
    return found


def _row_outcomes(row: Row, processes: list[ContestantProcess], rounds: int, ends: float) -> list[Outcome]:
    failures: dict[ContestantProcess, str] = {}
    for process in processes:
        # Preparations run side by side.
        process.limit = max(1.0, ends - time.monotonic())
        try:
            process.wait_until_ready()
        except ContestantError as error:
            failures[process] = str(error)
    # What others do with the CPU is of no account here.
    take_turns(processes, failures, rounds, rounds, row.unit, lambda line: None)
    ours = next((one for one in processes if one.contestant is row.contestants[0] and one not in failures), None)
    outcomes = []
    for process in processes:
        if process in failures:
            outcomes.append(Outcome(process.contestant, [], [], failure=failures[process]))
            continue
        pairs = zip(ours.rounds, process.rounds, strict=True) if ours and process is not ours else ()
        ratios = [times_better(one.value, other.value, row.unit) for one, other in pairs]
        outcomes.append(outcome_of(process, ratios))
    return outcomes


if __name__ == "__main__":
    # As Ctrl-C, which ends the contestants too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("stopped.", file=sys.stderr)
        sys.exit(130)
