"""The program that trains one trial, in the folder that its argument names.

It reads `trial_config.json`, trains or resumes, and writes each epoch's metrics to `metrics.jsonl` and the reason of a
failure to `outcome.json`.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

from kerascnn.errors import InputError
from kerascnn.training.search import trial_process
from kerascnn.training.search.trial_process import CRASH, INTERRUPTED, INVALID, MEMORY, NOT_FINITE, OUT_OF_MEMORY


def main(folder: Path) -> int:
    """Trains the trial of a folder; returns 0, or `INTERRUPTED`."""
    config = json.loads((folder / trial_process.TRIAL_CONFIG).read_text())
    trial_process.exit_with_parent(config["parent"])
    from kerascnn.native_output import discarded_stderr

    with discarded_stderr():
        import tensorflow  # noqa: F401
    from kerascnn.training.callbacks.nan_guard import TrainingDivergedError
    from kerascnn.training.search.trial_training import train_trial
    from kerascnn.training.trainer import TrainingInterruptedError

    reason, detail = None, ""
    try:
        train_trial(folder, config)
    except TrainingInterruptedError:
        return INTERRUPTED
    except TrainingDivergedError as error:
        reason, detail = NOT_FINITE, str(error)
    except InputError as error:
        reason, detail = INVALID, str(error)
    except Exception as error:
        traceback.print_exc()
        detail = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
        message = f"{type(error).__name__}: {error}".lower()
        phrases = (*OUT_OF_MEMORY, "resourceexhausted")
        memory = isinstance(error, MemoryError) or any(phrase in message for phrase in phrases)
        reason = MEMORY if memory else CRASH
    (folder / trial_process.OUTCOME).write_text(json.dumps({"reason": reason, "detail": detail}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
