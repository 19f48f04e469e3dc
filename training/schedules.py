"""The learning rate: from a recipe's schedule to a rate for every step, or for every epoch on a plateau."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import keras
import numpy as np

from kerascnn.errors import InputError
from kerascnn.training.recipe.fields import Schedule
from kerascnn.training.recipe.recipe import Recipe

MAIN_ACCURACY = ("val_main_top1", "val_top1")


@keras.saving.register_keras_serializable(package="kerascnn")
class ConstantWarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule whose first steps have a rate of their own, as ResNet-110's on CIFAR (He et al., 2015, section 4.2).

    Args:
        rate: of the first steps.
        steps: how many they are.
        then: the schedule, or the rate, that goes on as if it had begun at step 0.
    """

    def __init__(self, rate: float, steps: int, then: keras.optimizers.schedules.LearningRateSchedule | float):
        super().__init__()
        self.rate = rate
        self.steps = steps
        self.then = then

    def __call__(self, step):
        then = self.then(step) if callable(self.then) else self.then
        early = keras.ops.cast(step, "float32") < self.steps
        return keras.ops.where(early, keras.ops.cast(self.rate, "float32"), keras.ops.cast(then, "float32"))

    def get_config(self):
        return {"rate": self.rate, "steps": self.steps, "then": keras.saving.serialize_keras_object(self.then)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "then": keras.saving.deserialize_keras_object(config["then"])})


@keras.saving.register_keras_serializable(package="kerascnn")
class RisingWarmUp(ConstantWarmUp):
    """The same with a rate that rises linearly from zero to `rate` (Goyal et al., 2017, section 2.2)."""

    def __call__(self, step):
        then = self.then(step) if callable(self.then) else self.then
        step = keras.ops.cast(step, "float32")
        return keras.ops.where(step < self.steps, self.rate * step / self.steps, keras.ops.cast(then, "float32"))


def learning_rate(
    recipe: Recipe, steps_per_epoch: int | None
) -> keras.optimizers.schedules.LearningRateSchedule | float:
    """What Keras' optimizers take as the recipe's learning rate.

    Args:
        recipe: its schedule, its peak for its batch, and its length.
        steps_per_epoch: how long an epoch is; None is enough where the schedule counts none.

    Returns:
        A schedule over steps; a number where the rate is constant, or changed by `Plateau`.

    Raises:
        InputError: the schedule counts epochs, and their length is not known.
    """
    schedule, peak = recipe.schedule, recipe.peak_learning_rate
    warmup = _warmup_steps(schedule, steps_per_epoch)
    if schedule.warmup_factor is not None and warmup:
        after = _shape(schedule, peak, recipe, steps_per_epoch)
        return ConstantWarmUp(schedule.warmup_factor * peak, warmup, after)
    if schedule.name == "cosine":
        return _cosine(peak, _total(recipe, steps_per_epoch), warmup)
    if not warmup:
        return _shape(schedule, peak, recipe, steps_per_epoch)
    rising = keras.optimizers.schedules.PolynomialDecay(0.0, warmup, end_learning_rate=peak)
    if schedule.name == "constant":
        return rising
    return RisingWarmUp(peak, warmup, _shape(schedule, peak, recipe, steps_per_epoch))


def _shape(schedule: Schedule, peak: float, recipe: Recipe, steps_per_epoch: int | None):
    """The schedule without its warm-up."""
    if schedule.name == "cosine":
        return _cosine(peak, _total(recipe, steps_per_epoch), 0)
    if schedule.name == "steps":
        places = [_in_steps(place, schedule, steps_per_epoch) for place in schedule.milestones]
        # Keras' boundaries are the last steps of the rate before; ours are how many steps have it.
        boundaries = [place - 1 for place in places]
        rates = [peak * schedule.factor**number for number in range(len(places) + 1)]
        return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)
    if schedule.name == "exponential":
        every = _in_steps(schedule.every, schedule, steps_per_epoch)
        return keras.optimizers.schedules.ExponentialDecay(peak, max(every, 1), schedule.factor, staircase=True)
    return peak


def _cosine(peak: float, total: int, warmup: int) -> keras.optimizers.schedules.CosineDecay:
    warmup = min(warmup, total - 1)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else peak,
        decay_steps=total - warmup,
        warmup_target=peak if warmup else None,
        warmup_steps=warmup,
    )


def _total(recipe: Recipe, steps_per_epoch: int | None) -> int:
    return recipe.iterations or recipe.epochs * _known(steps_per_epoch, recipe.schedule)


def _warmup_steps(schedule: Schedule, steps_per_epoch: int | None) -> int:
    if not schedule.warmup_epochs:
        return schedule.warmup_steps
    return round(schedule.warmup_epochs * _known(steps_per_epoch, schedule))


def _in_steps(place: float, schedule: Schedule, steps_per_epoch: int | None) -> int:
    return round(place * (_known(steps_per_epoch, schedule) if schedule.unit == "epochs" else 1))


def _known(steps_per_epoch: int | None, schedule: Schedule) -> int:
    if steps_per_epoch is None:
        raise InputError(
            f"the schedule '{schedule.name}' counts epochs; say how long they are with steps_per_epoch, "
            "which is the training images over the batch size."
        )
    return steps_per_epoch


def reductions(errors: Iterable[float], patience: int, max_reductions: int) -> int:
    """How often a plateau has been met: the error's best value was not undercut for `patience` epochs.

    The count of epochs begins anew with each reduction; the best value stays.

    Args:
        errors: of validation, an epoch each.
        patience, max_reductions: as in `Schedule`.

    Example:
        >>> reductions([0.5, 0.4, 0.4, 0.41], patience=2, max_reductions=3)
        1
    """
    best, waited, count = float("inf"), 0, 0
    for error in errors:
        best, waited = (error, 0) if error < best else (best, waited + 1)
        if waited == patience:
            count, waited = min(count + 1, max_reductions), 0
    return count


class Plateau(keras.callbacks.Callback):
    """Divides the learning rate when the validation's top-1 error has stopped falling.

    The rate is a pure function of the errors so far. They are all the state there is, and the run's history holds
    them: a training that goes on is given them again.

    Args:
        recipe: with a schedule of the name "plateau".
        accuracies: the main classifier's top-1 accuracies on the validation images after each epoch so far.

    Example:
        >>> model.fit(x, y, validation_data=(x_val, y_val), callbacks=[Plateau(recipe)])
    """

    def __init__(self, recipe: Recipe, accuracies: Sequence[float] = ()):
        super().__init__()
        self.schedule = recipe.schedule
        self.peak = recipe.peak_learning_rate
        self.errors = [_error(accuracy) for accuracy in accuracies]

    def on_train_begin(self, logs=None):
        # A training that goes on may have been stopped when the rate was changed already, or not yet.
        if self.errors:
            self.model.optimizer.learning_rate = self.rate()

    def on_epoch_end(self, epoch, logs=None):
        name = next((name for name in MAIN_ACCURACY if name in (logs or {})), None)
        if name is None:
            raise InputError("the schedule 'plateau' looks at the validation's error; give fit validation data.")
        self.errors.append(_error(logs[name]))
        self.model.optimizer.learning_rate = self.rate()

    def rate(self) -> float:
        """The learning rate of the next epoch."""
        times = reductions(self.errors, self.schedule.patience, self.schedule.max_reductions)
        return self.peak * self.schedule.factor**times


def _error(accuracy: float) -> np.float32:
    # A file's text rounds to the figure that Keras computed in float32.
    return np.float32(1) - np.float32(accuracy)
