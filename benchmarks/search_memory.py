"""Measures the memory of a search after each trial: its own, and the largest trial's so far.

    python benchmarks/search_memory.py --trials 30

Trials train ResNet-20 on a few of the digits, at 8 x 8 pixels for one epoch.
"""

from __future__ import annotations

import argparse
import resource
import shlex
import tempfile
from pathlib import Path

from kerascnn.training import Recipe, Space, tune

SPACE = {
    "optimizer.learning_rate": {"min": 1e-3, "max": 1, "sampling": "log"},
    "optimizer.momentum": {"min": 0.5, "max": 0.95},
}


def resident() -> float:
    """The resident memory of this process, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--program", help="the command that runs a trial; default: this Python")
    options = parser.parse_args()
    recipe = Recipe.for_model("resnet20").with_values(epochs=1, image_size=8, batch_size=16)
    space = Space.from_dict(SPACE, recipe)
    print("trial  search MB  largest trial MB")

    def show(record) -> None:
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"{record.number:5}  {resident():9.1f}  {largest:16.1f}  {record.status}", flush=True)

    with tempfile.TemporaryDirectory() as searches:
        tune(
            recipe,
            "digits",
            space=space,
            tuner="random",
            max_trials=options.trials,
            limit=100,
            searches=searches,
            program=shlex.split(options.program) if options.program else None,
            on_trial_end=show,
        )
    print(f"after the report  {resident():9.1f}")


if __name__ == "__main__":
    main()
