"""Trainings beside each other: what their folders say, their errors on the same images, and which differ."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from kerascnn.data.dataset import DataSet
from kerascnn.evaluation.comparison import McNemar, mcnemar
from kerascnn.evaluation.metrics import Error, top_error
from kerascnn.evaluation.plots import heads
from kerascnn.evaluation.protocols import Protocol
from kerascnn.evaluation.scores import Scores
from kerascnn.evaluation.study import short_names, study
from kerascnn.files.progress import Track, untracked
from kerascnn.training import Recipe, RunFolder


@dataclass(frozen=True)
class MeasuredRun:
    """A run and its model's scores.

    Attributes:
        folder: what the training left.
        recipe: every hyper-parameter of it.
        history: one mapping of figures an epoch.
        scores: of its model on the images of the comparison.
    """

    folder: RunFolder
    recipe: Recipe
    history: list[dict[str, float]] = field(repr=False)
    scores: Scores = field(repr=False)

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self.folder.path)

    @property
    def error(self) -> Error:
        """The top-1 error."""
        return top_error(self.scores)

    def last(self, figure: str) -> float:
        """As `last_figure`."""
        return last_figure(self.history, figure)


def last_figure(history: list[dict[str, float]], figure: str) -> float:
    """A figure of the main classifier after the last epoch: "loss", "top1", "val_loss", "val_top1".

    Example:
        >>> last_figure(RunFolder.open(path).history(), "val_top1")
        0.91
    """
    head = heads(history[0])[0]
    split, name = ("val_", figure.removeprefix("val_")) if figure.startswith("val_") else ("", figure)
    return history[-1][f"{split}{head}_{name}" if head else figure]


class RunTest(NamedTuple):
    """Two runs and McNemar's test between them."""

    first: str
    second: str
    test: McNemar

    @property
    def verdict(self) -> str:
        """Which is better, as a sentence."""
        better = {"first": self.first, "second": self.second}.get(self.test.verdict)
        return f"{better} is better" if better else "no difference shown"


@dataclass(frozen=True)
class Comparison:
    """Runs on the same images.

    Attributes:
        data: whose validation images were used.
        protocol: how they were cut.
        runs: in the order given.
        tests: of every pair.
    """

    data: DataSet
    protocol: str
    runs: tuple[MeasuredRun, ...]
    tests: tuple[RunTest, ...]

    @property
    def called(self) -> dict[str, str]:
        """What a table calls each run of this name: its path below the folder that all of them lie in."""
        return {str(path): short for path, short in short_names(run.folder.path for run in self.runs).items()}

    def histories(self) -> dict[str, list[dict[str, float]]]:
        """The history of each run, by what a table calls it."""
        return {self.called[run.name]: run.history for run in self.runs}

    def figures(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return {
            "data": self.data.source,
            "images": len(self.data.validation),
            "crops": self.protocol,
            "runs": [
                {
                    "run": run.name,
                    "network": run.recipe.model,
                    "seed": run.recipe.seed,
                    "epochs": len(run.history),
                    "training_loss": run.last("loss"),
                    "training_top1_error": 1 - run.last("top1"),
                    "validation_loss": run.last("val_loss"),
                    "top1_error": run.error.rate,
                    "top1_interval": [run.error.low, run.error.high],
                    "top5_error": top_error(run.scores, 5).rate,
                }
                for run in self.runs
            ],
            "tests": [
                {
                    "first": one.first,
                    "second": one.second,
                    "only_first_right": one.test.only_first,
                    "only_second_right": one.test.only_second,
                    "p": one.test.p,
                    "verdict": one.verdict,
                }
                for one in self.tests
            ],
        }


def compare_runs(
    folders: Sequence[RunFolder], data: DataSet, protocol: Protocol | Literal["recipe"], *, track: Track = untracked
) -> Comparison:
    """Measures the models of runs on the same images, and tests every pair of them.

    Args:
        folders: of runs that have ended.
        data: its validation images are used.
        protocol: how each image is cut.
        track: shows progress.

    Raises:
        InputError: a folder without a model, or a model of other classes than the data.

    Example:
        >>> compared = compare_runs([RunFolder.open(path) for path in paths], cifar, Protocol("1 crop"))
        >>> compared.tests[0].verdict
        'runs/resnet20-cifar10-20261120-101500 is better'
    """
    recipes = [folder.read_recipe()[0] for folder in folders]
    measured = study([folder.path for folder in folders], data, [protocol], track=track)
    runs = tuple(
        MeasuredRun(folder, recipe, folder.history(), row.scores)
        for folder, recipe, row in zip(folders, recipes, measured.alone, strict=True)
    )
    return Comparison(data, measured.alone[0].protocol, runs, pairwise_tests(runs))


def pairwise_tests(runs: Sequence[MeasuredRun]) -> tuple[RunTest, ...]:
    """McNemar's test of every pair of runs."""
    return tuple(
        RunTest(one.name, other.name, mcnemar(one.scores, other.scores))
        for one, other in itertools.combinations(runs, 2)
    )
