"""How a training is run: what its recipe does not say, because it does not change what is learnt."""

from __future__ import annotations

from dataclasses import dataclass

from kerascnn.data.pipeline.cache import Cache
from kerascnn.errors import InputError


@dataclass(frozen=True)
class RunConfig:
    """How often the state is written, what is kept of it and of images, and whether a training repeats to the bit.

    Attributes:
        checkpoint_minutes: within an epoch, the state is written when so many minutes have passed since it was last
            written; 0 for after every step. At the end of every epoch it is written anyway.
        best: how many models are kept beside the last one, those of the highest validation accuracy.
        deterministic: whether a GPU is held to kernels that always add in the same order. Processors always are.
        cache: whether decoded images are kept, in "memory" or on "disk", see `kerascnn.data.pipeline.cache`.

    Example:
        >>> train(recipe, data, run_config=RunConfig(checkpoint_minutes=2, best=3))
    """

    checkpoint_minutes: float = 10.0
    best: int = 1
    deterministic: bool = False
    cache: Cache = "none"

    def __post_init__(self):
        if not self.checkpoint_minutes >= 0:
            raise InputError(f"checkpoint_minutes must be at least 0, not {self.checkpoint_minutes}.")
        if self.best < 0:
            raise InputError(f"best must be at least 0, not {self.best}.")
