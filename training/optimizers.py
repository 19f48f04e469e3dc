"""From a recipe's optimizer to Keras': the papers' weight decay, rates by layer, averages, bounded filters."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.schedules import learning_rate


class _PaperRules:
    """What a recipe may ask of an optimizer that Keras' own do not do, for classes to come before Keras' own.

    Args:
        l2: the share of each weight that is added to its gradient, after clipping.
        lr_multipliers: for each weight, what the learning rate is multiplied by, in the order in which the optimizer
            is built; empty for 1 everywhere.
        arguments: those of the Keras class.
    """

    def __init__(self, l2: float = 0.0, lr_multipliers: Sequence[float] = (), **arguments):
        super().__init__(**arguments)
        self.l2 = l2
        self.lr_multipliers = tuple(lr_multipliers)

    def update_step(self, gradient, variable, learning_rate):
        if self.lr_multipliers:
            factor = self.lr_multipliers[self._get_variable_index(variable)]
            learning_rate = keras.ops.cast(learning_rate, variable.dtype) * factor
            self._decay_decoupled(variable, learning_rate)
        if self.l2 and self._use_weight_decay(variable):
            gradient = keras.ops.cast(gradient, variable.dtype) + self.l2 * keras.ops.convert_to_tensor(variable)
        super().update_step(gradient, variable, learning_rate)

    def _apply_weight_decay(self, variables):
        # Where every weight has a rate of its own, its decay has it too, and is done beside the step.
        if not self.lr_multipliers:
            super()._apply_weight_decay(variables)

    def _decay_decoupled(self, variable, learning_rate):
        if self.weight_decay and self._use_weight_decay(variable):
            self.assign_sub(variable, keras.ops.convert_to_tensor(variable) * self.weight_decay * learning_rate)

    def finalize_variable_values(self, var_list):
        """Ends with the averages of all weights, not only of those that are trained at the end."""
        super().finalize_variable_values(self._trainable_variables)

    def _update_model_variables_moving_average(self, trainable_variables):
        """Keras' average, which keeps less while there is little to keep: n/(n+9) after n steps at most."""
        if not self.use_ema:
            return
        done = keras.ops.cast(self.iterations, "float32")
        keep = keras.ops.minimum(self.ema_momentum, done / (done + 9.0))
        for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
            weight = keras.ops.cast(keep, variable.dtype)
            average.assign(weight * average + (1 - weight) * keras.ops.convert_to_tensor(variable))

    def get_config(self):
        return {**super().get_config(), "l2": self.l2, "lr_multipliers": list(self.lr_multipliers)}


@keras.saving.register_keras_serializable(package="kerascnn")
class SGD(_PaperRules, keras.optimizers.SGD):
    """Stochastic gradient descent with momentum v = momentum x v - rate x (gradient + l2 x weight).

    It is AlexNet's rule (Krizhevsky et al., 2012, section 5).
    """


@keras.saving.register_keras_serializable(package="kerascnn")
class RMSprop(_PaperRules, keras.optimizers.RMSprop):
    """RMSProp of gradient + l2 x weight; its mean square begins at 0, that of the Inceptions' program at 1."""


@keras.saving.register_keras_serializable(package="kerascnn")
class Adam(_PaperRules, keras.optimizers.Adam):
    """Adam of gradient + l2 x weight."""


def optimizer_for(
    recipe: Recipe,
    weights: list[keras.Variable],
    steps_per_epoch: int | None,
    lr_multipliers: Sequence[float] = (),
) -> keras.Optimizer:
    """The recipe's optimizer for these weights, not yet built.

    Keras' own classes are used wherever they do what the recipe says: all but L2 weight decay, averages and rates by
    layer.

    Args:
        recipe: the source of every number.
        weights: what is trained.
        steps_per_epoch: see `schedules.learning_rate`.
        lr_multipliers: for each of the weights, what the learning rate is multiplied by; empty for 1 everywhere.

    Raises:
        InputError: the schedule counts epochs, and their length is not known.

    Example:
        >>> optimizer = optimizer_for(Recipe.load("inceptionv3"), model.trainable_variables, steps_per_epoch=800)
    """
    settings, decay = recipe.optimizer, recipe.averaging.decay
    l2 = settings.weight_decay if settings.weight_decay_form == "l2" else 0.0
    arguments = {
        "learning_rate": learning_rate(recipe, steps_per_epoch),
        "weight_decay": None if l2 else settings.weight_decay or None,
        "global_clipnorm": settings.clip_norm,
    }
    own = bool(l2 or decay or lr_multipliers)
    if own:
        arguments.update(l2=l2, lr_multipliers=lr_multipliers, use_ema=bool(decay), ema_momentum=decay)
    if settings.name == "sgd":
        kind = SGD if own else keras.optimizers.SGD
        arguments.update(momentum=settings.momentum, nesterov=settings.nesterov)
    elif settings.name == "rmsprop":
        kind = RMSprop if own else keras.optimizers.RMSprop
        arguments.update(momentum=settings.momentum, rho=settings.rho, epsilon=settings.epsilon)
    else:
        kind = Adam if own else keras.optimizers.Adam
        arguments.update(epsilon=settings.epsilon)
    optimizer = kind(**arguments)
    if settings.weight_decay:
        spared = [weight for weight in weights if weight.name in settings.weight_decay_exclude]
        optimizer.exclude_from_weight_decay(var_list=spared)
    return optimizer


class FilterNorm(keras.constraints.Constraint):
    """Scales down each filter whose root mean square exceeds a radius (Zeiler and Fergus, 2013, section 3).

    Args:
        rms: the radius.

    Shapes:
        A convolution's kernel, (height, width, channels, filters), to the same.
    """

    def __init__(self, rms: float):
        self.rms = rms

    def __call__(self, w):
        w = keras.ops.convert_to_tensor(w)
        rms = keras.ops.sqrt(keras.ops.mean(keras.ops.square(w), axis=(0, 1, 2), keepdims=True))
        return w * (self.rms / keras.ops.maximum(rms, self.rms))

    def get_config(self):
        return {"rms": self.rms}


def bound_filters(model: keras.Model, rms: float) -> None:
    """Has every step of the training keep the convolutions' filters within a radius; see `FilterNorm`."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.constraint = FilterNorm(rms)
