"""Everything that TensorBoard gets to see while a training runs."""

from __future__ import annotations

from pathlib import Path

import keras

from kerascnn.training.batches import Batches
from kerascnn.training.callbacks.gradient_norms import GradientNormLogger
from kerascnn.training.callbacks.profiler import Profiler
from kerascnn.training.callbacks.tensorboard import TensorBoard
from kerascnn.training.checkpoints.files import Position
from kerascnn.training.recipe.recipe import Recipe


def logging_callbacks(
    folder: Path,
    recipe: Recipe,
    batches: Batches,
    position: Position | None = None,
    profile: tuple[int, int] | None = None,
) -> list[keras.callbacks.Callback]:
    """The callbacks that write TensorBoard's files; `ThroughputMonitor` must come before them.

    Args:
        folder: TensorBoard's, of one run.
        recipe: with every value resolved.
        batches: of the training.
        position: where the training goes on; None for the start.
        profile: the first and the last step to run the profiler over, see `Profiler`; None for not at all.
    """
    steps_done = position.epochs * batches.steps + position.step if position else 0
    callbacks: list[keras.callbacks.Callback] = [
        TensorBoard(folder, recipe, batches.images),
        GradientNormLogger(folder, batches.steps, steps_done),
    ]
    if profile:
        callbacks.append(Profiler(folder, profile))
    return callbacks
