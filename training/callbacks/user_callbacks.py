"""Checks callbacks of users before the first step: those of Keras that a recipe's training cannot follow."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from kerascnn.errors import InputError
from kerascnn.training.multi_label import MULTI_LABEL
from kerascnn.training.recipe.recipe import Recipe

CHANGE_THE_LEARNING_RATE = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)


def check_callbacks(callbacks: Sequence[keras.callbacks.Callback], recipe: Recipe, heads: bool) -> None:
    """Raises InputError if a user's callback is none, changes a scheduled learning rate or monitors Keras' "accuracy".

    With several classifiers, `heads`, the names of metrics have those of the classifiers in front.
    """
    schedule = recipe.schedule
    fixed = schedule.name == "constant" and not schedule.warmup_epochs and not schedule.warmup_steps
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise InputError(f"callbacks takes a list of Keras' callbacks; {callback!r} is none.")
        name = type(callback).__name__
        if isinstance(callback, CHANGE_THE_LEARNING_RATE) and not fixed:
            plateau = isinstance(callback, keras.callbacks.ReduceLROnPlateau)
            instead = {"name": "plateau" if plateau else "constant", "warmup_epochs": 0, "warmup_steps": 0}
            raise InputError(
                f"{name} changes the learning rate, which the recipe's schedule '{schedule.name}' sets; leave it out, "
                f"or give train recipe.with_values(schedule={instead}){' without it' if plateau else ''}."
            )
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor.rpartition("_")[2] in ("accuracy", "acc"):
            metric = ("main_" if heads else "") + ("map" if recipe.task == MULTI_LABEL else "top1")
            split = "val_" if monitor.startswith("val_") or recipe.task == MULTI_LABEL else ""
            raise InputError(f"{name} monitors '{monitor}', which is not measured; write monitor='{split}{metric}'.")
