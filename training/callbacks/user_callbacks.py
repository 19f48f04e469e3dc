"""Checks callbacks of users before the first step: those of Keras that a recipe's training cannot follow."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from kerascnn.errors import InputError, closest
from kerascnn.metric_names import HELD_OUT
from kerascnn.training.multi_label import MULTI_LABEL
from kerascnn.training.recipe.recipe import Recipe

CHANGE_THE_LEARNING_RATE = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)
# What a training does itself, at any step, and what to write instead.
OWN = {
    keras.callbacks.SwapEMAWeights: "the recipe averages weights itself; leave it out, and give train "
    "recipe.with_values(averaging={'decay': 0.999})",
    keras.callbacks.BackupAndRestore: "a run folder has checkpoints; leave it out, and continue with resume",
}
# Keras' own look up in the model whether what they monitor should be high or low.
LOOK_A_DIRECTION_UP = (
    keras.callbacks.EarlyStopping,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.ReduceLROnPlateau,
)
# Numbers of an epoch that are no metrics.
OF_THE_MACHINE = ("seconds", "images_per_second", "learning_rate", "waiting_share", "memory_gigabytes", "loss_scale")


def check_callbacks(callbacks: Sequence[keras.callbacks.Callback], recipe: Recipe, model: keras.Model) -> None:
    """Raises InputError if a user's callback is none, does what the training does, or monitors what is not measured.

    Whether a monitored metric should be high is said to those of Keras' callbacks that would look it up in the model,
    which has neither `map` nor the names of several classifiers.
    """
    schedule, measured = recipe.schedule, _measured(recipe, model)
    fixed = schedule.name == "constant" and not schedule.warmup_epochs and not schedule.warmup_steps
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise InputError(f"callbacks takes a list of Keras' callbacks; {callback!r} is none.")
        name = type(callback).__name__
        if reason := next((reason for kind, reason in OWN.items() if isinstance(callback, kind)), None):
            raise InputError(f"{name}: {reason}.")
        if isinstance(callback, keras.callbacks.ModelCheckpoint) and recipe.fine_tuning.tunes_after_probe:
            raise InputError(
                f"{name} would save the layers that are trained, without those below; leave it out, as the run folder "
                "gets the epoch that held-out images choose, or set fine_tuning.hold_out=0."
            )
        if isinstance(callback, CHANGE_THE_LEARNING_RATE) and not fixed:
            plateau = isinstance(callback, keras.callbacks.ReduceLROnPlateau)
            instead = {"name": "plateau" if plateau else "constant", "warmup_epochs": 0, "warmup_steps": 0}
            raise InputError(
                f"{name} changes the learning rate, which the recipe's schedule '{schedule.name}' sets; leave it out, "
                f"or give train recipe.with_values(schedule={instead}){' without it' if plateau else ''}."
            )
        if isinstance(getattr(callback, "monitor", None), str):
            _check_monitor(callback, measured, may_be_added=any(map(_may_add_metrics, callbacks)))


def _check_monitor(callback: keras.callbacks.Callback, measured: Sequence[str], may_be_added: bool) -> None:
    name, monitor = type(callback).__name__, callback.monitor
    looks_up = isinstance(callback, LOOK_A_DIRECTION_UP) and callback.mode == "auto"
    if monitor in measured:
        if looks_up:
            callback.mode = "min" if "loss" in monitor else "max"
        return
    if monitor.rpartition("_")[2] in ("accuracy", "acc"):
        main = next(metric for metric in measured if metric.endswith(("top1", "val_map", "main_map")))
        split = "val_" if monitor.startswith("val_") and not main.startswith("val_") else ""
        raise InputError(f"{name} monitors '{monitor}', which is not measured; write monitor='{split}{main}'.")
    if monitor not in OF_THE_MACHINE and not may_be_added:
        raise InputError(f"{name} monitors '{monitor}', which is not measured; {closest(monitor, measured)}")
    if looks_up:
        raise InputError(f"{name} cannot know whether '{monitor}' should be high or low; give it mode='max' or 'min'.")


def _measured(recipe: Recipe, model: keras.Model) -> list[str]:
    """The names of all metrics of an epoch; those of several classifiers have the classifiers' names in front."""
    several = isinstance(model.output, dict)
    classes = keras.tree.flatten(model.output)[0].shape[-1]
    of_one = ["microf1", "macrof1"] if recipe.task == MULTI_LABEL else ["top1", *(["top5"] if classes > 5 else [])]
    heads = sorted(model.output, key=lambda head: head != "main") if several else []
    names = [f"{head}_{name}" for head in heads for name in (*of_one, "loss")] or of_one
    names = ["loss", *names]
    in_validation = [*names, *([f"{'main_' if several else ''}map"] if recipe.task == MULTI_LABEL else [])]
    held_out = [f"{name}{HELD_OUT}" for name in (*in_validation, "calibrated_loss")]
    validated = [f"val_{name}" for name in in_validation]
    return [*names, *validated, *(held_out if recipe.fine_tuning.tunes_after_probe else [])]


def _may_add_metrics(callback: object) -> bool:
    """Whether a callback is a user's own code, which can write into the logs what another one monitors."""
    of_user = not type(callback).__module__.startswith(("keras.", "kerascnn."))
    return of_user or isinstance(callback, keras.callbacks.LambdaCallback)
