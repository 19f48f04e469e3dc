"""Losses that are no numbers: found without waiting for each step, and told with the images they came from."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.data.dataset import ArrayExamples, DataSet, Examples, FileExamples
from kerascnn.data.pipeline.pipeline import batch_numbers
from kerascnn.errors import InputError
from kerascnn.training.checkpoints.files import Position
from kerascnn.training.recipe.recipe import Recipe

# Steps between two looks: a look waits for the device.
LOOK_EVERY = 50

# Images that fit into a sentence.
NAMED = 4


class TrainingDivergedError(InputError):
    """A training's loss, or its weights, are no longer finite numbers."""


class NaNGuard:
    """Looks at the mean loss of the epoch now and then, and finds the step at which it ceased to be finite.

    The mean stays infinite or "not a number" once it is, so a look at the newest one is enough; the ones since the last
    look are kept, unread, where they were computed, to find the first.

    Args:
        report: makes the exception from where the training was before the step and from the loss, or from None where
            it is a weight that is not finite.

    Attributes:
        newest: where the training was before the last step that was added.
    """

    def __init__(self, report: Callable[[Position, float | None], Exception]):
        self.report = report
        self.newest = Position()
        self._losses: list[tuple[Position, Any]] = []

    def add(self, before: Position, loss: Any) -> None:
        """Notes the epoch's mean loss after the step that came after `before`.

        Raises:
            Exception: what `report` makes, when it is time to look and the loss is not finite.
        """
        self.newest = before
        self._losses.append((before, loss))
        if len(self._losses) >= LOOK_EVERY:
            self.look()

    def look(self) -> None:
        """Looks at the losses that were added.

        Raises:
            Exception: what `report` makes, of the first step whose loss is not finite.
        """
        losses, self._losses = self._losses, []
        if not losses or math.isfinite(float(losses[-1][1])):
            return
        for before, loss in losses:
            if not math.isfinite(float(loss)):
                raise self.report(before, float(loss))


def diverged(
    before: Position, loss: float | None, recipe: Recipe, data: DataSet, list_file: Path, newest: Path | None
) -> TrainingDivergedError:
    """The exception that names the step, its images and the state to go back to.

    Args:
        before: where the training was before the step.
        loss: None where it is a weight that is not finite.
        recipe, data: of the training.
        list_file: gets all images of the batch.
        newest: the newest checkpoint.
    """
    numbers = batch_numbers(len(data.training), recipe.batch_size, recipe.seed, before.epochs, before.step)
    names = image_names(data.training, numbers)
    list_file.write_text("".join(f"{name}\n" for name in names), errors="surrogateescape")
    more = f" and {len(names) - NAMED} more ({list_file})" if len(names) > NAMED else ""
    what = "a weight is not finite" if loss is None else f"the loss is {loss}"
    state = f"the last good state is {newest}" if newest else "there is no good state before it"
    return TrainingDivergedError(
        f"{what} after step {before.step + 1} of epoch {before.epochs + 1}, on the batch of "
        f"{', '.join(names[:NAMED])}{more}; {state}; train anew with a lower optimizer.learning_rate or other images."
    )


def image_names(examples: Examples, numbers: np.ndarray) -> list[str]:
    """What a user finds images by: their files, their records, or their rows in the training split."""
    if isinstance(examples, FileExamples):
        return [str(path) for path in examples.paths[numbers]]
    if isinstance(examples, ArrayExamples):
        return [f"training image {number}" for number in numbers]
    shards, offsets = examples.shards[examples.shard[numbers]], examples.offset[numbers]
    return [f"{shard} at byte {offset}" for shard, offset in zip(shards, offsets, strict=True)]
