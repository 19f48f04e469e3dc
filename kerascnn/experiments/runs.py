"""Training the arms of an experiment, one after the other; what is done is not done again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from kerascnn.data.dataset import DataSet
from kerascnn.errors import InputError
from kerascnn.evaluation.runs import last_metric
from kerascnn.experiments.experiment import Arm
from kerascnn.training import Recipe, Run, RunFolder, TrainingDivergedError, resolved, resume, train

# What stands in the folder of an arm whose loss was no longer a number.
DIVERGED_FILE = "diverged.txt"


@dataclass(frozen=True)
class ArmRun:
    """An arm, trained with one seed.

    Attributes:
        arm: of the experiment.
        recipe: with every value resolved.
        folder: what the training left.
        diverged: why there is no model; empty where there is one.
    """

    arm: Arm
    recipe: Recipe
    folder: RunFolder
    diverged: str = ""

    @property
    def seconds(self) -> float:
        """What its epochs took, without validation."""
        return sum(row["seconds"] for row in self.folder.history())

    @property
    def steps(self) -> int:
        """The length in steps of the optimizer."""
        return len(self.folder.history()) * int(self.folder.read_recipe()[3]["steps_per_epoch"])

    def last(self, figure: str) -> float:
        """As `last_metric`."""
        return last_metric(self.folder.history(), figure)


def run_arm(
    arm: Arm,
    recipe: Recipe,
    data: DataSet,
    folder: Path,
    *,
    limit: int | None = None,
    callbacks: Callable[[Recipe], Sequence[keras.callbacks.Callback]] = lambda recipe: (),
    tell: Callable[[str], Any] = print,
) -> ArmRun:
    """Trains an arm, goes on with it, or finds that it is done.

    Args:
        arm: what is trained.
        recipe: from `recipe_of`.
        data: its images.
        folder: holds the arm's run folder.
        limit: the limit that the data were loaded with.
        callbacks: makes what shows progress.
        tell: takes a sentence about what is found.

    Raises:
        InputError: the folder holds a run of another recipe.
        TrainingInterruptedError: the training was stopped; called again, it goes on.
    """
    wanted = resolved(recipe, data)
    found = [RunFolder(path.parent) for path in sorted(folder.glob("*/recipe.yaml"))]
    if not found:
        return _trained(
            arm, wanted, folder, lambda: train(recipe, data, runs=folder, limit=limit, callbacks=callbacks(wanted))
        )
    run = found[0]
    _check_recipe(run, wanted)
    if (run.path / DIVERGED_FILE).is_file():
        tell(f"{arm.name}, seed {recipe.seed}: diverged before.")
        return ArmRun(arm, wanted, run, (run.path / DIVERGED_FILE).read_text(encoding="utf-8"))
    if run.model_file.is_file():
        tell(f"{arm.name}, seed {recipe.seed}: trained before.")
        return ArmRun(arm, wanted, run)
    tell(f"{arm.name}, seed {recipe.seed}: goes on.")
    return _trained(arm, wanted, folder, lambda: resume(run, wanted, data, callbacks=callbacks(wanted), tell=tell))


def _trained(arm: Arm, recipe: Recipe, folder: Path, start: Callable[[], Run]) -> ArmRun:
    try:
        return ArmRun(arm, recipe, start().folder)
    except TrainingDivergedError as diverged:
        [run] = [RunFolder(path.parent) for path in folder.glob("*/recipe.yaml")]
        (run.path / DIVERGED_FILE).write_text(str(diverged), encoding="utf-8")
        return ArmRun(arm, recipe, run, str(diverged))


def _check_recipe(run: RunFolder, wanted: Recipe) -> None:
    before, now = run.read_recipe()[0].to_dict(), wanted.to_dict()
    differing = [name for name in now if before.get(name) != now[name]]
    if differing:
        raise InputError(
            f"{run.path} was trained by another recipe (other {', '.join(differing)}); "
            "take another --out folder, or remove it."
        )
