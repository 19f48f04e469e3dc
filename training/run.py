"""A finished training, and the error of one that was stopped."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from kerascnn.metric_names import main_accuracy
from kerascnn.training.checkpoints.files import Position
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.run_folder import RunFolder


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        folder: its run folder; of several workers only the chief has one.
        model: the trained model, with its auxiliary classifiers if any, on one device.
        recipe: with every value resolved.
        seconds: spent in epochs, validation included.
    """

    folder: RunFolder
    model: keras.Model
    recipe: Recipe
    seconds: float

    @property
    def history(self) -> list[dict[str, float]]:
        """The metrics, one mapping per epoch; see `kerascnn.evaluation.plots.curves_figure`."""
        return self.folder.history()

    @property
    def position(self) -> Position:
        """Where it ended."""
        return Position(len(self.history))

    def __repr__(self) -> str:
        rows = self.history
        metric = main_accuracy(rows[-1]) if rows else None
        last = f", {metric} {rows[-1][metric]:.2%}" if metric else ""
        return f"<Run {self.folder.path}: {len(rows)} epochs in {self.seconds:.0f} s{last}>"


class TrainingInterruptedError(Exception):
    """The user stopped a training; `folder` holds a checkpoint from which `resume` continues."""

    def __init__(self, folder: RunFolder, position: Position):
        super().__init__(f"stopped; {folder.path} holds the checkpoint {position}.")
        self.folder = folder
