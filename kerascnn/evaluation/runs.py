"""Compares runs: accuracies of their models on the same images, and tests of every pair."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from kerascnn.data.dataset import DataSet
from kerascnn.data.labeled_images import LabeledImages
from kerascnn.errors import InputError
from kerascnn.evaluation.metrics import Accuracy, McNemar, mcnemar, top_accuracy
from kerascnn.evaluation.plots import heads
from kerascnn.evaluation.protocols import Protocol
from kerascnn.evaluation.scores import Scores, Unknown
from kerascnn.evaluation.study import short_names, study
from kerascnn.files.progress import Track, untracked
from kerascnn.training import Recipe, RunFolder


@dataclass(frozen=True)
class MeasuredRun:
    """A run and its model's scores."""

    folder: RunFolder  # of the run
    recipe: Recipe  # the run's hyper-parameters
    history: list[dict[str, float]] = field(repr=False)  # one mapping of metrics per epoch
    scores: Scores = field(repr=False)  # of the run's model on the images of the comparison

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self.folder.path)

    @property
    def accuracy(self) -> Accuracy:
        """The top-1 accuracy."""
        return top_accuracy(self.scores)

    def last(self, metric: str) -> float:
        return last_metric(self.history, metric)


def last_metric(history: list[dict[str, float]], metric: str) -> float:
    """A metric of the main classifier after the last epoch: "loss", "top1", "val_loss", "val_top1".

    Example:
        >>> last_metric(RunFolder.open(path).history(), "val_top1")
        0.91
    """
    head = heads(history[0])[0]
    split, name = ("val_", metric.removeprefix("val_")) if metric.startswith("val_") else ("", metric)
    return history[-1][f"{split}{head}_{name}" if head else metric]


class RunTest(NamedTuple):
    """McNemar's test of two runs, given by their names."""

    first: str
    second: str
    test: McNemar

    @property
    def conclusion(self) -> str:
        """The result as a sentence."""
        better = {"first": self.first, "second": self.second}.get(self.test.better)
        return f"{better} is better" if better else "no difference shown"


@dataclass(frozen=True)
class Comparison:
    """Runs measured on the same images."""

    images: LabeledImages  # those that count
    protocol: str  # how they were cropped
    runs: tuple[MeasuredRun, ...]  # in the order given

    @cached_property
    def tests(self) -> list[RunTest]:
        """McNemar's test of every pair of runs."""
        pairs = itertools.combinations(self.runs, 2)
        return [RunTest(one.name, other.name, mcnemar(one.scores, other.scores)) for one, other in pairs]

    @cached_property
    def short_names(self) -> dict[str, str]:
        """The name of each run in tables: its path below the folder that contains all runs."""
        return {str(path): short for path, short in short_names(run.folder.path for run in self.runs).items()}

    def histories(self) -> dict[str, list[dict[str, float]]]:
        """The history of each run by its short name."""
        return {self.short_names[run.name]: run.history for run in self.runs}

    def metrics(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return {
            "data": self.images.source,
            "images": len(self.images.examples),
            "crops": self.protocol,
            "runs": [
                {
                    "run": run.name,
                    "network": run.recipe.model,
                    "seed": run.recipe.seed,
                    "epochs": len(run.history),
                    "training_loss": run.last("loss"),
                    "training_top1_accuracy": run.last("top1"),
                    "validation_loss": run.last("val_loss"),
                    **run.accuracy.to_dict(),
                    "top5_accuracy": run.scores.accuracy(5),
                }
                for run in self.runs
            ],
            "tests": [
                {"first": one.first, "second": one.second, **one.test._asdict(), "conclusion": one.conclusion}
                for one in self.tests
            ],
        }


def compare_runs(
    folders: Sequence[RunFolder],
    data: DataSet | LabeledImages,
    protocol: Protocol | Literal["recipe"],
    *,
    unknown: Unknown = "wrong",
    track: Track = untracked,
) -> Comparison:
    """Measures the models of finished runs on the same images; `data` and `unknown` are as for `evaluate`.

    Raises:
        InputError: a folder without a model or named twice, models of different classes or of none of the data's, or
            multi-label data.

    Example:
        >>> compared = compare_runs([RunFolder.open(path) for path in paths], cifar, Protocol("1 crop"))
        >>> compared.tests[0].conclusion
        'runs/resnet20-cifar10-20261120-101500 is better'
    """
    if data.multi_label:
        raise InputError(
            f"runs are compared by their top-1 accuracies, and {data.source} is multi-label; "
            "'kerascnn evaluate RUN RUN', in Python study, compares their mAP."
        )
    recipes = [folder.read_recipe()[0] for folder in folders]
    for number, folder in enumerate(folders):
        if any(folder.path.samefile(other.path) for other in folders[:number]):
            raise InputError(f"{folder.path} is named twice, and a run is compared with others; name it once.")
    measured = study([folder.path for folder in folders], data, [protocol], unknown=unknown, track=track)
    runs = tuple(
        MeasuredRun(folder, recipe, folder.history(), row.scores)
        for folder, recipe, row in zip(folders, recipes, measured.alone, strict=True)
    )
    return Comparison(measured.images, measured.alone[0].protocol, runs)
