"""What auxiliary classifiers are trained with: a recipe's loss, threshold and decay (deeply supervised nets)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import keras

from kerascnn.errors import InputError
from kerascnn.training.losses import IntegerSquaredHinge, SquaredHinge, VanishingLoss
from kerascnn.training.multi_label import MULTI_LABEL
from kerascnn.training.schedules import steps_of

if TYPE_CHECKING:
    from kerascnn.training.recipe.recipe import Recipe


def companion_losses(
    losses: Mapping[str, keras.losses.Loss],
    recipe: Recipe,
    labels: str,
    done: keras.Variable,
    steps_per_epoch: int | None,
) -> dict[str, keras.losses.Loss]:
    """The losses of auxiliary classifiers as the recipe's `auxiliary_heads` say.

    Args:
        losses: by the names of the outputs, those for "crossentropy".
        recipe: see `AuxiliaryHeads`.
        labels: "one-hot" or "integer".
        done: the optimizer's count of steps.
        steps_per_epoch: as for `compile_for`.

    Raises:
        InputError: the squared hinge loss for a multi-label task, or a decay in epochs of unknown length.
    """
    heads = recipe.auxiliary_heads
    found = dict(losses)
    if heads.loss == "squared_hinge":
        if recipe.task == MULTI_LABEL:
            raise InputError("auxiliary_heads.loss 'squared_hinge' is for one class per image; set it to crossentropy.")
        hinge = SquaredHinge if labels == "one-hot" else IntegerSquaredHinge
        found = {head: hinge() for head in found}
    steps = 0
    if heads.decay_epochs:
        steps = max(steps_of(heads.decay_epochs, steps_per_epoch, "auxiliary_heads.decay_epochs"), 1)
    if not heads.threshold and not steps:
        return found
    return {head: VanishingLoss(loss, heads.threshold, steps, done) for head, loss in found.items()}
