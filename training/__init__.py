"""Training: recipes, precision, the loop, and the folder a run leaves behind."""

from .precision import choose_precision
from .recipe import AuxiliaryHeads, Optimizer, Pixels, Recipe, Schedule
from .run_folder import RunFolder
from .trainer import Interrupted, Run, resolved, resume, steps_per_epoch, train

__all__ = [
    "AuxiliaryHeads",
    "Interrupted",
    "Optimizer",
    "Pixels",
    "Recipe",
    "Run",
    "RunFolder",
    "Schedule",
    "choose_precision",
    "resolved",
    "resume",
    "steps_per_epoch",
    "train",
]
