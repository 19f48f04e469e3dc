"""Whether a search grows from trial to trial: its own memory, and the largest trial's so far.

    python benchmarks/search_memory.py --trials 30

Trials are real trainings of ResNet-20 on a few of the digits, at 8 x 8 pixels for one epoch.
"""

from __future__ import annotations

import argparse
import resource
import shlex
import tempfile
from pathlib import Path

from kerascnn.training import Recipe, Space, tune


def resident() -> float:
    """Megabytes that this process has in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--program", help="what runs a trial, before its folder; default: this Python")
    options = parser.parse_args()
    recipe = Recipe.for_model("resnet20").with_values(epochs=1, image_size=8, batch_size=16)
    space = Space.from_dict({"optimizer.learning_rate": "log 1e-3..1", "optimizer.momentum": "0.5..0.95"}, recipe)
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
            watch=show,
        )
    print(f"after the report  {resident():9.1f}")


if __name__ == "__main__":
    main()
