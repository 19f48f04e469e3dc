"""The program that trains one trial, in the folder that its argument names.

It reads `assignment.json`, trains, or goes on where it was stopped, and leaves the figures of every epoch in
`figures.jsonl` and what went wrong in `outcome.json`.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from kerascnn.errors import InputError
from kerascnn.training.search.journal import CRASH, INVALID, MEMORY, NOT_FINITE
from kerascnn.training.search.processes import INTERRUPTED, OUT_OF_MEMORY

# Linux' request to be killed when the process that started this one is gone.
PR_SET_PDEATHSIG = 1

ONE_GPU = "one"


def main(folder: Path) -> int:
    """Trains the trial of a folder; the status is 0, or `INTERRUPTED`."""
    assignment = json.loads((folder / "assignment.json").read_text())
    end_with(assignment["parent"])
    from kerascnn.native_output import discarded_stderr

    with discarded_stderr():
        import tensorflow  # noqa: F401
    from kerascnn.training.callbacks.nan_guard import TrainingDivergedError
    from kerascnn.training.trainer import TrainingInterruptedError

    reason, detail = None, ""
    try:
        _train(folder, assignment)
    except TrainingInterruptedError:
        return INTERRUPTED
    except TrainingDivergedError as error:
        reason, detail = NOT_FINITE, str(error)
    except InputError as error:
        reason, detail = INVALID, str(error)
    except Exception as error:
        traceback.print_exc()
        words = f"{type(error).__name__}: {error}".lower()
        short = isinstance(error, MemoryError) or any(phrase in words for phrase in OUT_OF_MEMORY)
        reason = MEMORY if short or "resourceexhausted" in words else CRASH
        detail = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
    (folder / "outcome.json").write_text(json.dumps({"reason": reason, "detail": detail}))
    return 0


def _train(folder: Path, assignment: dict[str, Any]) -> None:
    from kerascnn.data.ingestion.ingest import load
    from kerascnn.training.recipe.recipe import Recipe
    from kerascnn.training.run_config import RunConfig
    from kerascnn.training.run_folder import RunFolder
    from kerascnn.training.search.holdout import held_out
    from kerascnn.training.search.reporting import Reporter, is_over, read_curve
    from kerascnn.training.strategy import choose_devices
    from kerascnn.training.trainer import resume, train

    if is_over(folder, len(read_curve(folder)), assignment["epochs"]):
        # It was killed when there was nothing left to do but to say so.
        return
    devices = choose_devices(_one_gpu() if assignment["devices"] == ONE_GPU else assignment["devices"])
    data = held_out(load(assignment["data"], limit=assignment["limit"]))
    recipe = Recipe.from_dict(assignment["recipe"], "the trial")
    reporter = Reporter(folder, assignment["epochs"], min(recipe.batch_size, len(data.training)))
    begun = sorted(folder.glob("run/*/recipe.yaml"))
    if begun and list(begun[0].parent.glob("checkpoints/*.npz")):
        run = RunFolder.open(begun[0].parent)
        resume(run, run.read_recipe()[0], data, callbacks=[reporter], devices=devices, tell=print)
        return
    # A run that was stopped before its first state, or whose states were cleared away.
    shutil.rmtree(folder / "run", ignore_errors=True)
    run_config = RunConfig(best=0, cache=assignment["cache"])
    more = {"limit": assignment["limit"], "run_config": run_config, "devices": devices}
    train(recipe, data, runs=folder / "run", callbacks=[reporter], **more)


def _one_gpu() -> str:
    """The first GPU, where there is one."""
    import tensorflow as tf

    return "gpu:0" if tf.config.list_physical_devices("GPU") else "cpu"


def end_with(parent: int | None) -> None:
    """Ends this process when the one that started it is gone, so that nobody trains what is given to another.

    Args:
        parent: the process that it should be; None where that is not known.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        sys.exit("the search that started this trial is gone")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
