"""Training: recipes, precision, the loop, and the folder a run leaves behind.

Each part is imported when it is first used: recipes can be read without a backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerascnn.lazy import lazy_names

if TYPE_CHECKING:
    from kerascnn.training.assembly import callbacks_for, compile_for
    from kerascnn.training.batches import steps_per_epoch
    from kerascnn.training.callbacks.nan_guard import TrainingDivergedError
    from kerascnn.training.callbacks.weight_averaging import AveragedWeights
    from kerascnn.training.checkpoints.files import Checkpoints
    from kerascnn.training.fine_tuning.finetune import finetune
    from kerascnn.training.fine_tuning.gradual_unfreezing import GradualUnfreezing
    from kerascnn.training.precision import choose_precision
    from kerascnn.training.recipe.fields import (
        About,
        AuxiliaryHeads,
        Averaging,
        Evaluation,
        FineTuning,
        Initialization,
        Optimizer,
        Pixels,
        Schedule,
    )
    from kerascnn.training.recipe.recipe import Recipe, recipes
    from kerascnn.training.run_config import RunConfig
    from kerascnn.training.run_folder import RunFolder
    from kerascnn.training.schedules import Plateau
    from kerascnn.training.search import HyperModel, Search, Space, resume_search, tune
    from kerascnn.training.trainer import Run, TrainingInterruptedError, resolved, resume, train

PARTS = {
    "assembly": ("callbacks_for", "compile_for"),
    "callbacks.weight_averaging": ("AveragedWeights",),
    "batches": ("steps_per_epoch",),
    "checkpoints.files": ("Checkpoints",),
    "run_config": ("RunConfig",),
    "fine_tuning.finetune": ("finetune",),
    "recipe.fields": (
        "About",
        "Averaging",
        "AuxiliaryHeads",
        "Evaluation",
        "FineTuning",
        "Initialization",
        "Optimizer",
        "Pixels",
        "Schedule",
    ),
    "precision": ("choose_precision",),
    "recipe.recipe": ("Recipe", "recipes"),
    "run_folder": ("RunFolder",),
    "schedules": ("Plateau",),
    "search": ("HyperModel", "Search", "Space", "resume_search", "tune"),
    "callbacks.nan_guard": ("TrainingDivergedError",),
    "trainer": ("TrainingInterruptedError", "Run", "resolved", "resume", "train"),
    "fine_tuning.gradual_unfreezing": ("GradualUnfreezing",),
}

__all__ = [
    "About",
    "AuxiliaryHeads",
    "AveragedWeights",
    "Averaging",
    "Checkpoints",
    "Evaluation",
    "FineTuning",
    "GradualUnfreezing",
    "HyperModel",
    "Initialization",
    "Optimizer",
    "Pixels",
    "Plateau",
    "Recipe",
    "Run",
    "RunConfig",
    "RunFolder",
    "Schedule",
    "Search",
    "Space",
    "TrainingDivergedError",
    "TrainingInterruptedError",
    "callbacks_for",
    "choose_precision",
    "compile_for",
    "finetune",
    "recipes",
    "resolved",
    "resume",
    "resume_search",
    "steps_per_epoch",
    "train",
    "tune",
]

__getattr__, __dir__ = lazy_names(__name__, PARTS)
