"""`kerascnn train` on the digits, killed and resumed, beside the same training without a kill.

    python -m benchmarks.gpu.train_and_resume --out gpu-runs

Says what the command says of devices, precision, loss scaling and XLA, how the two trainings ended, and the lines of
the export's verification. On a GPU the two may differ, which is said.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

# In minutes: every epoch is a checkpoint.
OFTEN = 0.0001


def main() -> int:
    """Trains twice; the status is 1 if a command failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.train_and_resume", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("gpu-runs"), help="a folder (default: %(default)s)")
    parser.add_argument("--devices", default="auto", help="as of kerascnn train (default: auto)")
    parser.add_argument("--epochs", type=int, default=6, metavar="N", help="of each training (default: 6)")
    parser.add_argument("--limit", type=int, metavar="N", help="the most images (default: all)")
    given = parser.parse_args()
    if given.out.exists():
        parser.error(f"{given.out} exists; give a new folder, or remove it")
    options = ["--devices", given.devices, "--epochs", str(given.epochs), "--checkpoint-every", str(OFTEN)]
    options += ["--limit", str(given.limit)] if given.limit else []
    whole = train([*options, "--out", str(given.out / "whole")])
    train([*options, "--out", str(given.out / "killed")], kill_after=given.epochs // 2)
    resumed = train(["--resume", str(next((given.out / "killed").glob("runs/*")))])
    ends = [lines[-2]["loss"] for lines in (whole, resumed)]
    print(f"loss of the last epoch: {ends[0]!r} in one piece, {ends[1]!r} killed and resumed")
    print(f"validation accuracy: {whole[-1]['top1_accuracy']!r} and {resumed[-1]['top1_accuracy']!r}")
    return 0


def train(options: list[str], kill_after: int | None = None) -> list[dict[str, Any]]:
    """The JSON lines of a training; its messages go to standard error. SystemExit if it fails.

    Args:
        options: of `kerascnn train`.
        kill_after: the number of epochs after which it is killed.
    """
    command = [sys.executable, "-m", "kerascnn", "train", *options, "--json"]
    print("$", *command[1:], flush=True)
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            lines.append(json.loads(line))
            print(line, end="", flush=True)
            if len(lines) == kill_after:
                process.kill()
                return lines
    if process.returncode:
        raise SystemExit(f"the command ended with status {process.returncode}.")
    return lines


if __name__ == "__main__":
    sys.exit(main())
