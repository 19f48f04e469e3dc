"""`python -m tests.hostile --seconds 1800`: long runs of every kind, each in a process of its own.

Prints a table of the figures in Markdown. A process that dies or hangs counts as an input that was not held, and the
next one goes on after it. `--kind tables --seed 17` tries one input again, with its traceback. guided.py looks for
inputs by what they reach.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from tests.hostile.attack import attack, peak_megabytes  # noqa: E402
from tests.hostile.kinds import KINDS, kind  # noqa: E402

SEED = 21


def run(name: str, seconds: float, first: int) -> None:
    """Tries inputs of a kind for some seconds; prints a line of JSON before each and one after it."""
    ends = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        # What is imported at the first use is no input's memory.
        attack(kind(name), random.Random(SEED), Path(folder))
        start = peak_megabytes()
        for seed in itertools.count(first):
            if time.monotonic() > ends:
                break
            print(json.dumps({"seed": seed}), flush=True)
            took, reason = attack(kind(name), random.Random(seed), Path(folder))
            print(json.dumps({"took": took, "reason": reason, "memory": peak_megabytes() - start}), flush=True)


def observed(name: str, seconds: float, first: int) -> dict[str, Any]:
    """The figures of processes that try a kind, one after the other, for some seconds."""
    found: dict[str, Any] = {"tried": 0, "slowest": 0.0, "memory": 0.0, "failures": {}}
    ends, seed = time.monotonic() + seconds, first
    while (left := ends - time.monotonic()) > 0:
        command = [sys.executable, "-m", "tests.hostile", "--kind", name, "--seconds", str(left), "--first", str(seed)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=TESTS.parent) as process:
            ended = True
            for line in process.stdout:
                said = json.loads(line)
                if "seed" in said:
                    seed, ended = said["seed"], False
                    continue
                ended = True
                found["tried"] += 1
                for figure, value in (("slowest", said["took"]), ("memory", said["memory"])):
                    found[figure] = max(found[figure], value)
                if said["reason"]:
                    found["failures"][seed] = said["reason"]
        if not ended:
            found["tried"] += 1
            found["failures"][seed] = f"the process ended with status {process.returncode}"
        elif process.returncode:
            raise SystemExit(f"{name}: the process ended with status {process.returncode} before it tried anything")
        seed += 1
    return found


def main() -> None:
    """Reads the options, and prints the table or the outcome of one input."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of each kind")
    parser.add_argument("--kind", choices=KINDS, help="only this one")
    parser.add_argument("--seed", type=int, help="only this input")
    parser.add_argument("--first", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.seed is not None:
        with tempfile.TemporaryDirectory() as folder:
            made = kind(options.kind).make(random.Random(options.seed))
            print(repr(made)[:3000], flush=True)
            print(kind(options.kind).read(Path(folder), made))
    elif options.first is not None:
        run(options.kind, options.seconds, options.first)
    else:
        print("| kind | tried | held | slowest | most memory |\n|---|---|---|---|---|", flush=True)
        for name in [options.kind] if options.kind else KINDS:
            found = observed(name, options.seconds, SEED)
            held = found["tried"] - len(found["failures"])
            figures = f"{found['slowest']:.2f} s | {found['memory']:.0f} MB"
            print(f"| {name} | {found['tried']:,} | {held:,} | {figures} |", flush=True)
            for seed, reason in found["failures"].items():
                print(f"{name}, --seed {seed}: {reason}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
