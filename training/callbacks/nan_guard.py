"""Detection of losses that are not finite, without waiting for every step, and a report that names the images."""

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

STEPS_BETWEEN_CHECKS = 50  # A check waits for the device
NAMED_IMAGES = 4  # Images that the message names


class TrainingDivergedError(InputError):
    """A training's loss, or one of its weights, is no longer finite."""


class NaNGuard:
    """Checks an epoch's mean loss from time to time, and finds the step at which it ceased to be finite.

    Once the mean is infinite or NaN it stays so, therefore a check of the newest one suffices. Means since the last
    check stay on the device, unread, to find the first. `report` returns the exception, given the position before the
    step, and the loss or None for a weight. `newest` is the position before the last step that was added.
    """

    def __init__(self, report: Callable[[Position, float | None], Exception]):
        self.report = report
        self.newest = Position()
        self._losses: list[tuple[Position, Any]] = []

    def add(self, before: Position, loss: Any) -> None:
        """Adds the epoch's mean loss after the step that follows the position `before`, and checks it if due."""
        self.newest = before
        self._losses.append((before, loss))
        if len(self._losses) >= STEPS_BETWEEN_CHECKS:
            self.check()

    def check(self) -> None:
        """Raises the exception from `report` for the first added loss that is not finite."""
        losses, self._losses = self._losses, []
        if not losses or math.isfinite(float(losses[-1][1])):
            return
        for before, loss in losses:
            if not math.isfinite(float(loss)):
                raise self.report(before, float(loss))


def diverged_error(
    before: Position, loss: float | None, recipe: Recipe, data: DataSet, list_file: Path, newest: Path | None
) -> TrainingDivergedError:
    """The exception that names the step after `before`, its images and the newest checkpoint.

    `loss` is None if a weight is not finite; `list_file` gets all images of the batch.
    """
    labels = data.training.labels if recipe.sampling == "balanced" else None
    numbers = batch_numbers(len(data.training), recipe.batch_size, recipe.seed, before.epochs, before.step, labels)
    names = image_names(data.training, numbers)
    list_file.write_text("".join(f"{name}\n" for name in names), errors="surrogateescape")
    more = f" and {len(names) - NAMED_IMAGES} more ({list_file})" if len(names) > NAMED_IMAGES else ""
    problem = "a weight is not finite" if loss is None else f"the loss is {loss}"
    checkpoint = f"the last good checkpoint is {newest}" if newest else "there is no good checkpoint"
    return TrainingDivergedError(
        f"{problem} after step {before.step + 1} of epoch {before.epochs + 1}, on the batch of "
        f"{', '.join(names[:NAMED_IMAGES])}{more}; {checkpoint}; "
        "train again with a lower optimizer.learning_rate or other images."
    )


def image_names(examples: Examples, numbers: np.ndarray) -> list[str]:
    """The files of images, or their records, or their numbers in the training split."""
    if isinstance(examples, FileExamples):
        return [str(path) for path in examples.paths[numbers]]
    if isinstance(examples, ArrayExamples):
        return [f"training image {number}" for number in numbers]
    shards, offsets = examples.shards[examples.shard[numbers]], examples.offset[numbers]
    return [f"{shard} at byte {offset}" for shard, offset in zip(shards, offsets, strict=True)]
