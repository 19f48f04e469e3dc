"""Keras optimizers with L2 weight decay, a learning rate per layer, weight averages and bounded filters.

Two methods override private ones that Keras' `apply` calls and that no argument replaces: `_apply_weight_decay` and
`_update_model_variables_moving_average`. All other private names stand in `kerascnn.keras_internals`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras

from kerascnn.errors import InputError
from kerascnn.keras_internals import all_layers, is_decayed, optimized_weights, weight_averages, weight_index
from kerascnn.training import fused_updates, schedules

if TYPE_CHECKING:
    from kerascnn.training.recipe.fields import Optimizer
    from kerascnn.training.recipe.recipe import Recipe


class _RecipeRules:
    """A mixin for Keras optimizers, with the rules of recipes that Keras lacks.

    `l2` is the fraction of each weight that is added to its gradient, after clipping; `lr_multipliers` of the learning
    rate are one per weight, in the order in which the optimizer is built, or none if all are 1.
    """

    def __init__(self, l2: float = 0.0, lr_multipliers: Sequence[float] = (), **arguments):
        super().__init__(**arguments)
        self.l2 = l2
        self.lr_multipliers = tuple(lr_multipliers)

    def update_step(self, gradient, variable, learning_rate):
        decays = is_decayed(self, variable)
        if self.lr_multipliers:
            multiplier = self.lr_multipliers[weight_index(self, variable)]
            learning_rate = keras.ops.cast(learning_rate, variable.dtype) * multiplier
            if self.weight_decay and decays:
                self.assign_sub(variable, keras.ops.convert_to_tensor(variable) * self.weight_decay * learning_rate)
        if self.l2 and decays:
            gradient = keras.ops.cast(gradient, variable.dtype) + self.l2 * keras.ops.convert_to_tensor(variable)
        super().update_step(gradient, variable, learning_rate)

    def _apply_weight_decay(self, variables):
        # With a learning rate per weight, `update_step` decays each with its own.
        if not self.lr_multipliers:
            super()._apply_weight_decay(variables)

    def finalize_variable_values(self, var_list):
        """Sets all weights to their averages, not only those that are trained in the last epoch."""
        super().finalize_variable_values(optimized_weights(self))

    def _update_model_variables_moving_average(self, trainable_variables):
        """Keras' average, of which after n steps at most n/(n+9) is kept."""
        if not self.use_ema:
            return
        done = keras.ops.cast(self.iterations, "float32")
        keep = keras.ops.minimum(self.ema_momentum, done / (done + 9.0))
        for variable, average in zip(trainable_variables, weight_averages(self), strict=True):
            weight = keras.ops.cast(keep, variable.dtype)
            average.assign(weight * average + (1 - weight) * keras.ops.convert_to_tensor(variable))

    def get_config(self):
        return {**super().get_config(), "l2": self.l2, "lr_multipliers": list(self.lr_multipliers)}


@keras.saving.register_keras_serializable(package="kerascnn")
class SGD(_RecipeRules, fused_updates.SGD):
    """SGD with AlexNet's rule (2012, section 5): v = momentum x v - learning rate x (gradient + l2 x weight).

    With `initial_momentum`, momentum rises from it linearly over `momentum_steps` (Sutskever et al., 2013).
    """

    def __init__(self, initial_momentum: float | None = None, momentum_steps: int = 1, **arguments):
        super().__init__(**arguments)
        self.initial_momentum, self.momentum_steps = initial_momentum, momentum_steps

    @property
    def momentum_now(self):
        if self.initial_momentum is None:
            return self.momentum
        risen = keras.ops.minimum(keras.ops.cast(self.iterations, "float32") / self.momentum_steps, 1.0)
        return self.initial_momentum + (self.momentum - self.initial_momentum) * risen

    def get_config(self):
        own = {"initial_momentum": self.initial_momentum, "momentum_steps": self.momentum_steps}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kerascnn")
class RMSprop(_RecipeRules, fused_updates.RMSprop):
    """RMSProp of gradient + l2 x weight; its mean square starts at 0, that of the Inceptions' program at 1."""


@keras.saving.register_keras_serializable(package="kerascnn")
class Adam(_RecipeRules, fused_updates.Adam):
    """Adam of gradient + l2 x weight."""


# The class, and the fields of `Optimizer` that it takes.
CLASSES = {
    "sgd": (SGD, ("momentum", "nesterov")),
    "rmsprop": (RMSprop, ("momentum", "rho", "epsilon")),
    "adam": (Adam, ("epsilon",)),
}


def optimizer_for(
    recipe: Recipe, weights: list[keras.Variable], steps_per_epoch: int | None, lr_multipliers: Sequence[float] = ()
) -> keras.Optimizer:
    """The recipe's optimizer for these weights, not yet built; arguments and errors as for `learning_rate`.

    `lr_multipliers` are the factors of a learning rate per weight, or none if all are 1.
    """
    settings, ema = recipe.optimizer, recipe.averaging.decay
    l2 = settings.weight_decay if settings.weight_decay_form == "l2" else 0.0
    optimizer_class, names = CLASSES[settings.name]
    rising = {}
    if settings.initial_momentum is not None:
        steps = schedules.steps_of(settings.momentum_epochs, steps_per_epoch, "optimizer.momentum_epochs")
        rising = {"initial_momentum": settings.initial_momentum, "momentum_steps": max(steps, 1)}
    optimizer = optimizer_class(
        learning_rate=schedules.learning_rate(recipe, steps_per_epoch),
        weight_decay=None if l2 else settings.weight_decay or None,
        global_clipnorm=settings.clip_norm,
        use_ema=bool(ema),
        ema_momentum=ema,
        l2=l2,
        lr_multipliers=lr_multipliers,
        **{name: getattr(settings, name) for name in names},
        **rising,
    )
    if settings.weight_decay:
        excluded = [weight for weight in weights if weight.name in settings.weight_decay_exclude]
        optimizer.exclude_from_weight_decay(var_list=excluded)
    return optimizer


class FilterNorm(keras.constraints.Constraint):
    """Scales down each filter of a kernel, (height, width, channels, filters), whose root mean square exceeds `rms`.

    Source: Zeiler and Fergus, 2013, section 3.
    """

    def __init__(self, rms: float):
        self.rms = rms

    def __call__(self, w):
        w = keras.ops.convert_to_tensor(w)
        rms = keras.ops.sqrt(keras.ops.mean(keras.ops.square(w), axis=(0, 1, 2), keepdims=True))
        return w * (self.rms / keras.ops.maximum(rms, self.rms))

    def get_config(self):
        return {"rms": self.rms}


def bound_filters(model: keras.Model, settings: Optimizer) -> None:
    """Bounds filters and units after every step, as `max_filter_rms` and `max_norms` say; InputError if one is of none.

    Where several are for a layer, the last counts.
    """
    layers = [layer for layer in all_layers(model) if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)]
    for layer in layers if settings.max_filter_rms else ():
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.constraint = FilterNorm(settings.max_filter_rms)
    for pattern, norm in settings.max_norms.items():
        found = [layer for layer in layers if re.search(pattern, layer.name)]
        if not found:
            raise InputError(f"optimizer.max_norms '{pattern}' matches no convolution or dense layer of {model.name}.")
        for layer in found:
            inputs = tuple(range(len(layer.kernel.shape) - 1))
            layer.kernel.constraint = keras.constraints.MaxNorm(norm, axis=inputs)


def with_factors(multipliers: Sequence[float], weights: list[keras.Variable], settings: Optimizer) -> list[float]:
    """Multipliers of the learning rate, one per weight or none, times the recipe's `lr_factors`.

    InputError if one of these matches no weight.
    """
    if not settings.lr_factors:
        return list(multipliers)
    factors = [1.0] * len(weights)
    for pattern, factor in settings.lr_factors.items():
        found = [number for number, weight in enumerate(weights) if re.search(pattern, weight.path)]
        if not found:
            raise InputError(f"optimizer.lr_factors '{pattern}' matches no weight of the network.")
        for number in found:
            factors[number] = factor
    return [one * other for one, other in zip(multipliers or [1.0] * len(weights), factors, strict=True)]
