"""Short names of run folders: `runs/last`, `NAME@last` and `NAME@best`."""

from __future__ import annotations

import os
from pathlib import Path

from kerascnn.errors import InputError
from kerascnn.files.history import read_history
from kerascnn.metric_names import main_accuracy

LAST, BEST = "last", "best"
RUNS = Path("runs")
# In a run folder.
RECIPE_FILE, MODEL_FILE, HISTORY_FILE = "recipe.yaml", "model.keras", "history.csv"


def find_run(name: str | Path) -> Path:
    """The path that a name stands for.

    Args:
        name: a path, which stays as it is if it exists; `FOLDER/last` or `FOLDER/best`, the newest run in a folder or
            the finished one of the highest validation accuracy; or `NAME@last` or `NAME@best`, the same among the runs
            whose names begin with NAME, in `runs` if NAME has no folder.

    Raises:
        InputError: there is no such run.

    Example:
        >>> find_run("resnet20-digits@best")
        PosixPath('runs/resnet20-digits-20261128-101500')
    """
    path = Path(name)
    beginning, separator, which = path.name.rpartition("@")
    # Not `path.exists()`, which fails where a path is too long.
    if os.path.exists(path) or which not in (LAST, BEST) or bool(separator) != bool(beginning):
        return path
    folder = RUNS if separator and path.parent == Path() else path.parent
    found = [file.parent for file in folder.glob(f"*/{RECIPE_FILE}") if _belongs(file.parent.name, beginning)]
    if not found:
        raise InputError(
            f"there is no run in {folder}" + (f" whose name begins with {beginning}." if beginning else ".")
        )
    if which == LAST:
        return max(found, key=lambda run: ((run / RECIPE_FILE).stat().st_mtime_ns, run.name))
    trained = {run: best for run in found if (best := _best_accuracy(run)) is not None}
    if not trained:
        raise InputError(f"none of the runs in {folder} has finished, so that none is the best.")
    return max(trained, key=lambda path: (trained[path], path.name))


def named_file(name: str | Path) -> Path:
    """The file that a name stands for: the model of a run's folder or of its name, see `find_run`, or a path as it is.

    InputError if there is no such run, or the folder holds no model.

    Example:
        >>> named_file("runs/last")
        PosixPath('runs/resnet20-digits-20261128-101500/model.keras')
    """
    path = find_run(name)
    # The functions of `Path` fail where a path is too long.
    if not os.path.isdir(path):
        return path
    if not (path / MODEL_FILE).is_file():
        raise InputError(f"{name} holds no {MODEL_FILE}; give the folder of a run that has finished, or a file.")
    return path / MODEL_FILE


def _belongs(name: str, beginning: str) -> bool:
    """Whether a run's name is `beginning`, or goes on with its next part: "resnet20" is not of "resnet2"."""
    return not beginning or name == beginning or name.startswith(f"{beginning}-")


def _best_accuracy(run: Path) -> float | None:
    history = read_history(run / HISTORY_FILE) if (run / MODEL_FILE).is_file() else []
    metric = main_accuracy(history[0]) if history else None
    return max(row[metric] for row in history) if metric else None
