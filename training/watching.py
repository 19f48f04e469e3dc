"""Everything that TensorBoard gets to see while a training runs."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from .norms import Norms
from .profiling import Profiler
from .recipe import Recipe
from .tensorboard import TensorBoard


def watchers(
    folder: Path,
    recipe: Recipe,
    pictures: np.ndarray,
    *,
    steps_per_epoch: int,
    steps_done: int = 0,
    profile: tuple[int, int] | None = None,
) -> list[keras.callbacks.Callback]:
    """The callbacks that write TensorBoard's files; `Pace` must come before them.

    Args:
        folder: TensorBoard's, of one run.
        recipe: with every value resolved.
        pictures: see `TensorBoard`.
        steps_per_epoch: the steps of a whole epoch.
        steps_done: how many steps are behind a training that goes on.
        profile: the first and the last step to run the profiler over, see `Profiler`; None for not at all.

    Example:
        >>> watching = watchers(Path("logs"), recipe, images[:36], steps_per_epoch=len(images) // recipe.batch_size)
        >>> model.fit(waiting.on(batches), callbacks=[Pace(recipe.batch_size, waiting), *watching])
    """
    callbacks: list[keras.callbacks.Callback] = [
        TensorBoard(folder, recipe, pictures),
        Norms(folder, steps_per_epoch, steps_done),
    ]
    if profile:
        callbacks.append(Profiler(folder, profile))
    return callbacks
