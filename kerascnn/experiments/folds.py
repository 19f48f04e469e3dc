"""Cross-validation: one training per fold of the images, and the mean and standard deviation of their metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from kerascnn.data.dataset import DataSet
from kerascnn.errors import InputError
from kerascnn.evaluation.metrics import Accuracy, accuracy_of
from kerascnn.experiments.experiment import Arm
from kerascnn.experiments.runs import ArmRun, run_arm
from kerascnn.metric_names import main_accuracy
from kerascnn.training import Recipe, RunFolder


@dataclass(frozen=True)
class FoldRun:
    """A trained fold."""

    number: int  # from 1
    run: ArmRun
    training_images: int
    validation_images: int
    # The share of the validation images that are of the most frequent class of the training images; None for
    # multi-label data.
    most_frequent: float | None

    def metrics(self) -> dict[str, float]:
        """The model's validation metrics, by their names in the history; none if the training diverged."""
        row = {} if self.run.diverged else self.run.folder.history()[self.run.exported]
        return {name: value for name, value in row.items() if name.startswith("val_")}


@dataclass(frozen=True)
class Folds:
    """All folds of a cross-validation."""

    runs: tuple[FoldRun, ...]

    @property
    def main_metric(self) -> str:
        """The name of the accuracy, or of multi-label data of the mean average precision."""
        return main_accuracy(self.summary()) or "val_loss"

    def summary(self) -> dict[str, tuple[float, float]]:
        """The mean and the standard deviation (of a sample, n - 1) of each metric over the folds that did not diverge.

        Example:
            >>> folds.summary()["val_top1"]
            (0.9523, 0.0061)
        """
        measured = [values for run in self.runs if (values := run.metrics())]
        names = measured[0] if measured else ()
        columns = {name: [values[name] for values in measured] for name in names}
        return {name: (fmean(column), stdev(column) if len(column) > 1 else 0.0) for name, column in columns.items()}

    def interval(self) -> Accuracy | None:
        """The accuracy over all folds' held-out images, each image once; None for multi-label data, or if one diverged.

        Example:
            >>> folds.interval().images
            600
        """
        if not self.main_metric.endswith("top1") or any(fold.run.diverged for fold in self.runs):
            return None
        correct = sum(round(fold.metrics()[self.main_metric] * fold.validation_images) for fold in self.runs)
        return accuracy_of(correct, sum(fold.validation_images for fold in self.runs))

    def to_dict(self) -> dict[str, Any]:
        """Everything that `kerascnn train --folds --json` prints at the end."""
        summary, interval = self.summary(), self.interval()
        return {
            "top1_interval": interval and [interval.low, interval.high],
            "folds": [
                {
                    "fold": fold.number,
                    "run": str(fold.run.folder.path),
                    "training_images": fold.training_images,
                    "validation_images": fold.validation_images,
                    "most_frequent_class": fold.most_frequent,
                    "diverged": fold.run.diverged or None,
                    **fold.metrics(),
                }
                for fold in self.runs
            ],
            "mean": {name: mean for name, (mean, _) in summary.items()},
            "standard_deviation": {name: deviation for name, (_, deviation) in summary.items()},
        }


def train_folds(
    recipe: Recipe,
    folds: Iterable[DataSet],
    folder: str | Path,
    *,
    limit: int | None = None,
    report: Callable[[str], Any] = print,
    **options: Any,
) -> Folds:
    """Trains on each fold in turn; a fold that is trained already is not trained again, and a stopped one is resumed.

    `folds` are data sets that were loaded with `DataOptions(fold=(k, n))`, from k = 1 on, and with `limit`. `folder`
    gets a folder for each, with the run folder in it. For `report` and `options` see `run_arm`.

    Raises:
        InputError: the folder has a run of another recipe or of other images.
        TrainingInterruptedError: a training was stopped; a second call resumes it.

    Example:
        >>> folds = (data.load("photos", options=DataOptions(fold=(part, 5))) for part in range(1, 6))
        >>> train_folds(Recipe.for_model("resnet20"), folds, "runs/photos-5-folds").summary()["val_top1"]
        (0.9523, 0.0061)
    """
    runs = []
    for number, data in enumerate(folds, start=1):
        place = Path(folder) / f"fold-{number}"
        for path in place.glob("*/recipe.yaml"):
            _check_images(RunFolder(path.parent), data, limit)
        report(f"fold {number}: {len(data.training)} training and {len(data.validation)} validation images")
        run = run_arm(Arm(f"fold {number}"), recipe, data, place, limit=limit, report=report, **options)
        sizes = len(data.training), len(data.validation)
        runs.append(FoldRun(number, run, *sizes, None if data.multi_label else _most_frequent(data)))
    return Folds(tuple(runs))


def _check_images(folder: RunFolder, data: DataSet, limit: int | None) -> None:
    _, source, before, _ = folder.read_recipe()
    if (source, before, folder.read_data_options()) != (data.source, limit, data.options):
        raise InputError(
            f"{folder.path} was trained on other images ({source}, limit {before}) or with other options of the data; "
            "use another --out folder."
        )
    if changes := folder.changed_data(data):
        raise InputError(f"the images of {folder.path} have changed: {'; '.join(changes)}; use another --out folder.")


def _most_frequent(data: DataSet) -> float:
    most = data.counts(data.training).argmax()
    return float((data.validation.labels == most).mean())
