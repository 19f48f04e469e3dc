"""The learning rate: a recipe's schedule as a Keras schedule over steps, or as a callback for plateaus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras.optimizers.schedules import (
    CosineDecay,
    ExponentialDecay,
    LearningRateSchedule,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

from kerascnn.errors import InputError
from kerascnn.metric_names import deciding_accuracy

if TYPE_CHECKING:
    from kerascnn.training.recipe.recipe import Recipe


@keras.saving.register_keras_serializable(package="kerascnn")
class ConstantWarmUp(LearningRateSchedule):
    """A constant `rate` in the first `steps`, as for ResNet-110 on CIFAR (He et al., 2015, section 4.2).

    The schedule, or the learning rate, `then` follows as if it had started at step 0.
    """

    def __init__(self, rate: float, steps: int, then: LearningRateSchedule | float):
        super().__init__()
        self.rate, self.steps, self.then = rate, steps, then

    def __call__(self, step):
        then = self.then(step) if callable(self.then) else self.then
        step = keras.ops.cast(step, "float32")
        return keras.ops.where(step < self.steps, self._warm_up(step), keras.ops.cast(then, "float32"))

    def _warm_up(self, step):
        return keras.ops.cast(self.rate, "float32")

    def get_config(self):
        return {"rate": self.rate, "steps": self.steps, "then": keras.saving.serialize_keras_object(self.then)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "then": keras.saving.deserialize_keras_object(config["then"])})


@keras.saving.register_keras_serializable(package="kerascnn")
class RisingWarmUp(ConstantWarmUp):
    """A learning rate that rises linearly from zero to `rate` before a schedule (Goyal et al., 2017, section 2.2)."""

    def _warm_up(self, step):
        return self.rate * step / self.steps


def steps_of(epochs: float, steps_per_epoch: int | None, counter: str) -> int:
    """A length in steps of the optimizer; InputError if `steps_per_epoch` is None. `counter` counts epochs."""
    if steps_per_epoch is None:
        raise InputError(
            f"{counter} counts epochs; give their length as steps_per_epoch, which is training images over batch size."
        )
    return round(epochs * steps_per_epoch)


def learning_rate(recipe: Recipe, steps_per_epoch: int | None) -> LearningRateSchedule | float:
    """The recipe's learning rate: a schedule over steps, or a number if it is constant or changed by `Plateau`.

    Raises InputError if the schedule counts epochs, and `steps_per_epoch` is None.
    """
    schedule, peak = recipe.schedule, recipe.peak_learning_rate

    def steps(length: float, unit: str) -> int:
        in_steps = unit == "steps"
        return round(length) if in_steps else steps_of(length, steps_per_epoch, f"the schedule '{schedule.name}'")

    def without_warm_up() -> LearningRateSchedule | float:
        if schedule.name == "cosine":
            return CosineDecay(peak, total)
        if schedule.name == "steps":
            counts = [steps(milestone, schedule.unit) for milestone in schedule.milestones]
            rates = [peak * schedule.factor**number for number in range(len(counts) + 1)]
            # Keras' boundaries are the last steps before a reduction.
            return PiecewiseConstantDecay([count - 1 for count in counts], rates)
        if schedule.name == "exponential":
            every = steps(schedule.every, schedule.unit)
            return ExponentialDecay(peak, max(every, 1), schedule.factor, staircase=True)
        if schedule.name == "linear":
            length = max(steps(schedule.every, schedule.unit), 1)
            return PolynomialDecay(peak, length, end_learning_rate=schedule.factor * peak)
        return peak

    total = schedule.name == "cosine" and (recipe.iterations or steps(recipe.epochs, "epochs"))
    warmup = steps(schedule.warmup_epochs, "epochs") if schedule.warmup_epochs else schedule.warmup_steps
    if not warmup:
        return without_warm_up()
    if schedule.warmup_factor is not None:
        return ConstantWarmUp(schedule.warmup_factor * peak, warmup, without_warm_up())
    if schedule.name == "cosine":
        warmup = min(warmup, total - 1)
        if warmup:
            return CosineDecay(0.0, total - warmup, warmup_target=peak, warmup_steps=warmup)
        return without_warm_up()
    if schedule.name == "constant":
        return PolynomialDecay(0.0, warmup, end_learning_rate=peak)
    return RisingWarmUp(peak, warmup, without_warm_up())


def reductions(accuracies: Iterable[float], patience: int, max_reductions: int) -> int:
    """How often the validation accuracies, one per epoch, had no new maximum for `patience` epochs, as in `Schedule`.

    Each reduction restarts the count of epochs; the maximum remains.
    """
    best, waited, count = -float("inf"), 0, 0
    for accuracy in accuracies:
        best, waited = (accuracy, 0) if accuracy > best else (best, waited + 1)
        if waited == patience:
            count, waited = min(count + 1, max_reductions), 0
    return count


class Plateau(keras.callbacks.Callback):
    """Reduces the learning rate when the top-1 accuracy, or mAP, that decides has stopped increasing.

    The learning rate depends on the accuracies so far and on nothing else. A resumed training passes them in from its
    history.

    Args:
        recipe: with the schedule "plateau".
        accuracies: top-1 accuracies, or mAPs, of the main classifier after each epoch so far, see `deciding_accuracy`.

    Example:
        >>> model.fit(x, y, validation_data=(x_val, y_val), callbacks=[Plateau(recipe)])
    """

    def __init__(self, recipe: Recipe, accuracies: Sequence[float] = ()):
        super().__init__()
        self.schedule, self.peak = recipe.schedule, recipe.peak_learning_rate
        self.accuracies = list(map(np.float32, accuracies))

    def on_train_begin(self, logs=None):
        # A checkpoint may have been written before or after the learning rate was changed.
        if self.accuracies:
            self._set_rate()

    def on_epoch_end(self, epoch, logs=None):
        self.accuracies.append(_main_accuracy(logs, "the schedule 'plateau'"))
        self._set_rate()

    def _set_rate(self) -> None:
        times = reductions(self.accuracies, self.schedule.patience, self.schedule.max_reductions)
        self.model.optimizer.learning_rate = self.peak * self.schedule.factor**times


class EarlyStopping(keras.callbacks.Callback):
    """Stops when the accuracy, or mAP, that decides has had no new maximum for some epochs.

    It depends on the accuracies so far and on nothing else, so that a resumed training stops after the same epoch.

    Args:
        patience: the number of epochs.
        accuracies: as for `Plateau`.

    Example:
        >>> model.fit(x, y, validation_data=(x_val, y_val), callbacks=[EarlyStopping(5)])
    """

    def __init__(self, patience: int, accuracies: Sequence[float] = ()):
        super().__init__()
        self.patience, self.accuracies = patience, list(map(np.float32, accuracies))

    def on_train_begin(self, logs=None):
        self._stop_if_due()

    def on_epoch_end(self, epoch, logs=None):
        self.accuracies.append(_main_accuracy(logs, "early stopping"))
        self._stop_if_due()

    def _stop_if_due(self) -> None:
        if reductions(self.accuracies, self.patience, max_reductions=1):
            self.model.stop_training = True


def _main_accuracy(logs: Mapping[str, float] | None, reader: str) -> np.float32:
    """The main classifier's accuracy, or mAP, that decides after an epoch."""
    name = deciding_accuracy(logs or {})
    if name is None:
        raise InputError(f"{reader} needs the validation accuracy; give fit validation data.")
    # The text in the history file rounds to the value that Keras computed in float32.
    return np.float32(logs[name])
