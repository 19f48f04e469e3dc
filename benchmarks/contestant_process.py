"""The process of one contestant, from both sides: it prepares itself, and measures once for every line that it is sent.

It answers in JSON, one line each: when it is ready, and after every round.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.part import Contestant, prepare
from kerascnn.cores import cores

LEAST_SECONDS = 0.2  # Of a round whose disturbance is known: the system counts in hundredths of a second


class ContestantError(RuntimeError):
    """A contestant ended, or took too long; the message says why."""


class Round(NamedTuple):
    """A measured value, and the share of the CPU that others had meanwhile."""

    value: float
    disturbed: float


class ContestantProcess:
    """A started contestant with the rounds that count; a context that ends it."""

    def __init__(self, contestant: Contestant, limit: float):
        self.contestant, self.limit, self.peak = contestant, limit, 0.0
        self.rounds: list[Round] = []
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed at the end of the context
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, contestant.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> ContestantProcess:
        return self

    def __exit__(self, *_) -> None:
        # With its workers, whatever they do.
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        self._errors.close()

    def wait_until_ready(self) -> None:
        """Waits for the preparation; raises ContestantError."""
        answer = self._answer()
        self.ready_seconds, self.macs, self.peak = answer["ready"], answer["macs"], answer["peak"]

    def measure(self) -> Round:
        """One round, which is not added to `rounds`; raises ContestantError."""
        before, start = _busy_seconds(self._process.pid), time.perf_counter()
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer = self._answer()
        all_busy, own = (b - a for a, b in zip(before, _busy_seconds(self._process.pid), strict=True))
        seconds = time.perf_counter() - start
        disturbed = max(0.0, all_busy - own) / seconds / cores() if seconds > LEAST_SECONDS else 0.0
        self.peak = max(self.peak, answer["peak"] + _workers_megabytes(self._process.pid))
        return Round(answer["value"], disturbed)

    def _answer(self) -> dict[str, Any]:
        if not select.select([self._process.stdout], [], [], self.limit)[0]:
            raise ContestantError(f"took more than {self.limit:.0f} s")
        if line := self._process.stdout.readline():
            answer = json.loads(line)
            if "error" in answer:
                raise ContestantError(answer["error"])
            return answer
        self._errors.seek(0)
        last = (self._errors.read().strip().splitlines() or ["without a word"])[-1]
        raise ContestantError(f"ended with status {self._process.wait()}: {last}")


def _with_workers(process: int) -> list[int]:
    """A process and those that it started, and they, as far as they live."""
    children = []
    for listed in Path(f"/proc/{process}/task").glob("*/children"):
        children += [int(child) for child in listed.read_text().split()]
    return [process, *(one for child in children for one in _with_workers(child))]


def _workers_megabytes(process: int) -> float:
    """The memory of a process' workers, where pages that several share count in parts."""
    kilobytes = 0
    for worker in _with_workers(process)[1:]:
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{worker}/smaps_rollup").read_text().splitlines()
            kilobytes += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return kilobytes / 1024


def _busy_seconds(process: int) -> tuple[float, float]:
    """CPU time since it was started: of everything on our cores, and of a process with its workers.

    Zeros where there is no /proc.
    """
    ticks = own = 0
    with contextlib.suppress(OSError):
        lines = Path("/proc/stat").read_text().splitlines()
        ours = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        for name, *times in map(str.split, lines):
            if name in ours:
                # All but those that were idle, waited for disks, or are counted twice.
                ticks += sum(int(time) for place, time in enumerate(times[:8]) if place not in (3, 4))
        for one in _with_workers(process):
            # User and system, its ended children's too, after the name in parentheses.
            own += sum(map(int, Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[11:15]))
    frequency = os.sysconf("SC_CLK_TCK")
    return ticks / frequency, own / frequency


def _peak_megabytes() -> float:
    """The most memory of this process until now, or of the largest child that has ended."""
    users = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return max(resource.getrusage(user).ru_maxrss for user in users) / 1024


def main() -> None:
    """Runs the contestant of the only argument."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # What libraries print is no answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    start = time.perf_counter()
    try:
        prepared = prepare(sys.argv[1])
        ready = time.perf_counter() - start
        print(json.dumps({"ready": ready, "macs": prepared.macs, "peak": _peak_megabytes()}), file=answers)
        for _ in sys.stdin:
            print(json.dumps({"value": prepared.measure(), "peak": _peak_megabytes()}), file=answers)
    except Exception as error:
        traceback.print_exc()
        print(json.dumps({"error": f"{type(error).__name__}: {error}".splitlines()[0]}), file=answers)


if __name__ == "__main__":
    main()
