"""Stands in for a trial's training in tests of the search: its behavior follows from the trial's values.

The accuracy after an epoch depends on the learning rate only: it is best at 0.1, and deterministic. The learning rates
and batch sizes below cause failures.
"""

import json
import math
import os
import signal
import sys
import time
from pathlib import Path

# Exact learning rates.
HANGS, CRASHES, DIVERGES, IS_KILLED, WAITS = 0.011, 0.012, 0.013, 0.014, 0.015
IS_SLOW = 0.001

# Larger batches do not fit into memory.
LARGEST_BATCH = 16


def accuracy(rate: float, epoch: int) -> float:
    return round(0.9 - 0.2 * abs(math.log10(rate / 0.1)) - 0.3 / epoch, 4)


def main(folder: Path) -> int:
    config = json.loads((folder / "trial_config.json").read_text())
    recipe = config["recipe"]
    rate, epochs = recipe["optimizer"]["learning_rate"], config["epochs"] or recipe["epochs"]
    with (folder / "starts.txt").open("a") as file:
        file.write(f"{recipe['batch_size']}\n")
    if rate == HANGS or (rate == WAITS and not (folder.parent / "go").exists()):
        import site

        # `python -S` starts without packages.
        site.main()
        from kerascnn.parent_process import exit_with_parent

        exit_with_parent(config["parent"])
        (folder / "pid.txt").write_text(str(os.getpid()))
        time.sleep(600)
    if rate == CRASHES:
        print("something broke", file=sys.stderr)
        os.abort()
    if rate == IS_KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    reason = None
    if recipe["batch_size"] > LARGEST_BATCH:
        reason = "memory"
    else:
        written = folder / "metrics.jsonl"
        done = len(written.read_text().splitlines()) if written.exists() else 0
        with written.open("a") as file:
            for epoch in range(done + 1, epochs + 1):
                time.sleep(0.5 * (rate == IS_SLOW))
                if (folder / "stop").exists():
                    break
                value = math.nan if rate == DIVERGES else accuracy(rate, epoch)
                metrics = {"val_top1": value, "val_main_top1": value, "val_loss": 1 - value}
                file.write(json.dumps({"epoch": epoch, **metrics}) + "\n")
                file.flush()
        (folder / "run" / "a").mkdir(parents=True, exist_ok=True)
        (folder / "heartbeat").write_text(str(10 * (epochs - done)))
    (folder / "outcome.json").write_text(json.dumps({"reason": reason, "detail": "it does not fit" if reason else ""}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
