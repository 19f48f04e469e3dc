"""How a training runs: the settings that do not change what is learned, and so are not in the recipe."""

from __future__ import annotations

from pydantic import NonNegativeFloat, NonNegativeInt

from kerascnn.data.pipeline.cache import Cache
from kerascnn.training.recipe.validation import checked_dataclass


@checked_dataclass()
class RunConfig:
    """Checkpoint interval, number of best models, determinism and image cache of a training.

    Attributes:
        checkpoint_minutes: within an epoch, a checkpoint is written when this many minutes have passed since the last
            one; 0 writes one after every step. One is always written at the end of an epoch.
        best: how many models are saved in addition to the last one: those of the highest validation accuracy.
        deterministic: whether a GPU uses deterministic kernels only. A CPU always does.
        cache: whether decoded images are cached, in "memory" or on "disk"; see `kerascnn.data.pipeline.cache`.

    Raises:
        InputError: a value outside its range.

    Example:
        >>> train(recipe, data, run_config=RunConfig(checkpoint_minutes=2, best=3))
    """

    checkpoint_minutes: NonNegativeFloat = 10.0
    best: NonNegativeInt = 1
    deterministic: bool = False
    cache: Cache = "none"
