"""Training of an experiment's arms; completed arms are not trained again."""

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
from kerascnn.training import Recipe, RunFolder, TrainingDivergedError, resolved, resume, train
from kerascnn.training.distillation.teacher import with_teacher

# In the run folder of an arm that diverged; holds the message.
DIVERGED_FILE = "diverged.txt"


@dataclass(frozen=True)
class ArmRun:
    """An arm, trained with one seed; `diverged` is the reason why there is no model, or empty."""

    arm: Arm
    recipe: Recipe
    folder: RunFolder
    diverged: str = ""

    @property
    def seconds(self) -> float:
        """The duration of the epochs, without validation."""
        return sum(row["seconds"] for row in self.folder.history()) + self.preparation

    @property
    def preparation(self) -> float:
        """The seconds between a probe and the first epoch of its fine-tuning, or of hints; 0 of other trainings."""
        return float(self.folder.read_recipe()[3].get("preparation_seconds", 0))

    @property
    def steps(self) -> int:
        """The number of steps of the optimizer."""
        return len(self.folder.history()) * self.folder.read_record().fact("steps_per_epoch")

    @property
    def exported(self) -> int:
        """The index in the history of the epoch whose model the run leaves: the last, unless another was chosen."""
        history = self.folder.history()
        chosen = [number for number, row in enumerate(history) if row.get("exported") == 1]
        return chosen[0] if chosen else len(history) - 1

    def last(self, metric: str) -> float:
        """The main classifier's metric after the last epoch, such as "loss" or "val_top1"."""
        return last_metric(self.folder.history(), metric)


def taught(recipe: Recipe, arm: Arm, runs: Sequence[ArmRun]) -> Recipe:
    """The recipe of an arm, with the teacher that the arm names, among the runs of the arms before."""
    if not arm.taught_by:
        return recipe
    teacher = next(run for run in runs if run.arm.name == arm.taught_by and run.recipe.seed == recipe.seed)
    return with_teacher(recipe, teacher.folder.path)


def run_arm(
    arm: Arm,
    recipe: Recipe,
    data: DataSet,
    folder: Path,
    *,
    limit: int | None = None,
    callbacks: Callable[[Recipe], Sequence[keras.callbacks.Callback]] = lambda recipe: (),
    report: Callable[[str], Any] = print,
    **options: Any,
) -> ArmRun:
    """Trains an arm by its recipe, or resumes its training, or returns its completed run.

    `limit` is the one that the images were loaded with. `folder` is that of the arm's run folder. `callbacks` returns
    those that show progress, `report` is called with a sentence about an earlier run, and `options` are `run_config`
    and `devices`, as for `train`.

    Raises:
        InputError: the folder holds a run of another recipe.
        TrainingInterruptedError: the training was stopped; a second call resumes it.
    """
    wanted = resolved(recipe, data)
    found = [RunFolder(path.parent) for path in sorted(folder.glob("*/recipe.yaml"))]
    name = f"{arm.name}, seed {recipe.seed}"
    try:
        if not found:
            run = train(
                recipe, data, runs=folder, limit=limit, callbacks=callbacks(wanted), verbose=0, **options
            ).folder
            return ArmRun(arm, wanted, run)
        run = found[0]
        before, now = run.read_recipe()[0].to_dict(), wanted.to_dict()
        if differing := [field for field in now if before.get(field) != now[field]]:
            raise InputError(
                f"{run.path} was trained with another recipe, which differs in {', '.join(differing)}; "
                "use another --out folder, or delete it."
            )
        if (run.path / DIVERGED_FILE).is_file():
            report(f"{name}: has diverged before.")
            return ArmRun(arm, wanted, run, (run.path / DIVERGED_FILE).read_text(encoding="utf-8"))
        if run.model_file.is_file():
            report(f"{name}: is trained already.")
            return ArmRun(arm, wanted, run)
        report(f"{name}: resumes.")
        resumed = resume(run, wanted, data, callbacks=callbacks(wanted), warn=report, verbose=0, **options)
        return ArmRun(arm, wanted, resumed.folder)
    except TrainingDivergedError as diverged:
        [run] = [RunFolder(path.parent) for path in folder.glob("*/recipe.yaml")]
        (run.path / DIVERGED_FILE).write_text(str(diverged), encoding="utf-8")
        return ArmRun(arm, wanted, run, str(diverged))
