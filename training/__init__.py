"""Training: recipes, precision, the loop, and the folder a run leaves behind.

Each part is imported when it is first used: recipes can be read without a backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerascnn.lazy import lazy_names

if TYPE_CHECKING:
    from .assembly import callbacks_for, compile_for
    from .averaging import AveragedWeights
    from .batches import steps_per_epoch
    from .checkpoints import Checkpoints
    from .conduct import Conduct
    from .fine_tuning import finetune
    from .hyperparameters import (
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
    from .precision import choose_precision
    from .recipe import Recipe, recipes
    from .run_folder import RunFolder
    from .schedules import Plateau
    from .search import HyperModel, Search, Space, resume_search, tune
    from .soundness import Diverged
    from .trainer import Interrupted, Run, resolved, resume, train
    from .unfreezing import Unfreezing

PARTS = {
    "assembly": ("callbacks_for", "compile_for"),
    "averaging": ("AveragedWeights",),
    "batches": ("steps_per_epoch",),
    "checkpoints": ("Checkpoints",),
    "conduct": ("Conduct",),
    "fine_tuning": ("finetune",),
    "hyperparameters": (
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
    "recipe": ("Recipe", "recipes"),
    "run_folder": ("RunFolder",),
    "schedules": ("Plateau",),
    "search": ("HyperModel", "Search", "Space", "resume_search", "tune"),
    "soundness": ("Diverged",),
    "trainer": ("Interrupted", "Run", "resolved", "resume", "train"),
    "unfreezing": ("Unfreezing",),
}

__all__ = [
    "About",
    "AuxiliaryHeads",
    "AveragedWeights",
    "Averaging",
    "Checkpoints",
    "Conduct",
    "Diverged",
    "Evaluation",
    "FineTuning",
    "HyperModel",
    "Initialization",
    "Interrupted",
    "Optimizer",
    "Pixels",
    "Plateau",
    "Recipe",
    "Run",
    "RunFolder",
    "Schedule",
    "Search",
    "Space",
    "Unfreezing",
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
