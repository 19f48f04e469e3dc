"""What stands for a trial's training in tests of the search: it reads the assignment and does as its values say.

The accuracy after an epoch follows from the learning rate alone: the nearer to 0.1 the better, and the same every time.
Rates and batches that mean trouble are named below.
"""

import json
import math
import os
import signal
import sys
import time
from pathlib import Path

# Learning rates, exactly.
HANGS, CRASHES, DIVERGES, IS_KILLED, WAITS = 0.011, 0.012, 0.013, 0.014, 0.015
IS_SLOW = 0.001

# Larger batches do not fit into memory.
ROOM = 16


def accuracy(rate: float, epoch: int) -> float:
    return round(0.9 - 0.2 * abs(math.log10(rate / 0.1)) - 0.3 / epoch, 4)


def main(folder: Path) -> int:
    assignment = json.loads((folder / "assignment.json").read_text())
    recipe = assignment["recipe"]
    rate, epochs = recipe["optimizer"]["learning_rate"], assignment["epochs"] or recipe["epochs"]
    with (folder / "starts.txt").open("a") as file:
        file.write(f"{recipe['batch_size']}\n")
    if rate == HANGS or (rate == WAITS and not (folder.parent / "go").exists()):
        import site

        # With `python -S` there are no packages before.
        site.main()
        from kerascnn.training.search.trial_program import end_with

        end_with(assignment["parent"])
        (folder / "pid.txt").write_text(str(os.getpid()))
        time.sleep(600)
    if rate == CRASHES:
        print("something broke", file=sys.stderr)
        os.abort()
    if rate == IS_KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    reason = None
    if recipe["batch_size"] > ROOM:
        reason = "memory"
    else:
        written = folder / "figures.jsonl"
        done = len(written.read_text().splitlines()) if written.exists() else 0
        with written.open("a") as file:
            for epoch in range(done + 1, epochs + 1):
                time.sleep(0.5 * (rate == IS_SLOW))
                if (folder / "stop").exists():
                    break
                value = math.nan if rate == DIVERGES else accuracy(rate, epoch)
                figures = {"val_top1": value, "val_main_top1": value, "val_loss": 1 - value}
                file.write(json.dumps({"epoch": epoch, **figures}) + "\n")
                file.flush()
        (folder / "run" / "a").mkdir(parents=True, exist_ok=True)
        (folder / "beat").write_text(str(10 * (epochs - done)))
    (folder / "outcome.json").write_text(json.dumps({"reason": reason, "detail": "it does not fit" if reason else ""}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
