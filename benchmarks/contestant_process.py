"""The process of one contestant, from both sides: it prepares itself, and measures once for every line that it is sent.

It answers in JSON, one line each: when it is ready, and after every round.
"""

from __future__ import annotations

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
from typing import Any

from benchmarks.part import Contestant, prepare


class ContestantError(RuntimeError):
    """A contestant ended, or took too long; the message says why."""


class ContestantProcess:
    """A started contestant; a context that ends it."""

    def __init__(self, contestant: Contestant, limit: float):
        self.contestant, self.limit, self.values, self.peak = contestant, limit, [], 0.0
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

    def measure(self) -> float:
        """One round, and the peak memory in MB until its end; raises ContestantError."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer = self._answer()
        self.values.append(answer["value"])
        self.peak = max(self.peak, answer["peak"] + _workers_megabytes(self._process.pid))
        return answer["value"]

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


def _workers_megabytes(process: int) -> float:
    """The memory of a process' children, where pages that several share count in parts."""
    kilobytes = 0
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in children.read_text().split():
            rollup = Path(f"/proc/{child}/smaps_rollup").read_text().splitlines()
            kilobytes += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
            kilobytes += 1024 * _workers_megabytes(int(child))
    return kilobytes / 1024


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
