"""Gradual unfreezing: trains the classifier first, then one stage after another from the top down."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import keras

from kerascnn.applications.stages import HEAD, stages
from kerascnn.errors import InputError
from kerascnn.keras_internals import all_layers
from kerascnn.training.recipe.fields import FineTuning


class PlanRow(NamedTuple):
    """When and how fast a stage of a network is trained."""

    # stage, first, last: its name, and its first and its last layer with weights.
    stage: str
    first: str
    last: str
    # layers, parameters: the number of its layers with weights, and of their parameters without moving statistics.
    layers: int
    parameters: int
    frozen: int  # how many of the parameters are never trained
    from_epoch: int | None  # the first epoch that trains the others, counted from 1; None if there are none
    lr_multiplier: float


class _Stage(NamedTuple):
    """A stage, its layers that are trained from `epoch` (counted from 0) on, and its learning rate."""

    name: str
    layers: tuple[keras.layers.Layer, ...]
    trained: tuple[keras.layers.Layer, ...]
    epoch: int
    lr_multiplier: float


def plan(model: keras.Model, tuning: FineTuning) -> list[PlanRow]:
    """When and how fast each stage of a model without frozen layers is trained, from the classifier down to the image.

    Raises InputError if `frozen` matches no layer of the network, or all of its classifier.

    Example:
        >>> [(row.stage, row.from_epoch) for row in plan(ResNet50(classes=2), Recipe.load("finetune").fine_tuning)]
        [('head', 1), ('C5', 3), ('C4', 4), ('C3', 5), ('C2', 6), ('C1', 7)]
    """
    rows = []
    for name, layers, trained, epoch, lr_multiplier in _stages(model, tuning):
        parameters = _parameters(layers)
        frozen, start = parameters - _parameters(trained), epoch + 1 if trained else None
        ends = layers[0].name, layers[-1].name
        rows.append(PlanRow(name, *ends, len(layers), parameters, frozen, start, lr_multiplier))
    return rows


def lr_multipliers(model: keras.Model, tuning: FineTuning) -> list[float]:
    """The multiplier of the learning rate for each trainable variable of the model; empty if all are 1."""
    if tuning.layer_lr_decay == tuning.head_lr == 1:
        return []
    found = _stages(model, tuning)
    multipliers = {id(weight): one.lr_multiplier for one in found for layer in one.layers for weight in layer.weights}
    return [multipliers[id(weight)] for weight in model.trainable_variables]


class GradualUnfreezing(keras.callbacks.Callback):
    """Freezes and unfreezes stages at the beginning of each epoch.

    Which layers are frozen depends on the epoch alone, so a resumed training needs no state for it. Frozen layers get
    no gradients: a step that trains only the classifier takes little more time than a forward pass. The optimizer is
    built for all weights.

    Args:
        tuning: the recipe's.

    Example:
        >>> model.fit(x, y, epochs=12, callbacks=[GradualUnfreezing(Recipe.load("finetune").fine_tuning)])
    """

    def __init__(self, tuning: FineTuning):
        super().__init__()
        self.tuning = tuning

    def on_train_begin(self, logs=None):
        self._stages = _stages(self.model, self.tuning)

    def on_epoch_begin(self, epoch, logs=None):
        changed = False
        for stage in self._stages:
            for layer in stage.layers:
                trained = epoch >= stage.epoch and layer in stage.trained
                changed |= trained != layer.trainable
                layer.trainable = trained
        if changed:
            self.model.make_train_function(force=True)

    def on_train_end(self, logs=None):
        # Freezing belongs to the training, not to the model.
        for stage in self._stages:
            for layer in stage.layers:
                layer.trainable = True
        self.model.make_train_function(force=True)


@contextlib.contextmanager
def all_trainable(model: keras.Model) -> Iterator[None]:
    """Unfreezes the model within the context, so that its file fits the optimizer's state, which is of all weights."""
    frozen = [layer for layer in all_layers(model) if not layer.trainable]
    for layer in frozen:
        layer.trainable = True
    try:
        yield
    finally:
        for layer in frozen:
            layer.trainable = False


def _stages(model: keras.Model, tuning: FineTuning) -> list[_Stage]:
    """The stages from the top down; without a classifier the last stage is treated as one."""
    found = []
    for depth, (name, layers) in enumerate(reversed(stages(model).items())):
        keep_norms = tuning.freeze_batch_norm and name != HEAD
        kept = (layer for layer in layers if not (tuning.frozen and re.search(tuning.frozen, layer.name)))
        trained = tuple(one for one in kept if not (keep_norms and isinstance(one, keras.layers.BatchNormalization)))
        epoch = tuning.head_epochs + tuning.stage_epochs * (depth - 1) if depth else 0
        multiplier = tuning.layer_lr_decay**depth if depth else tuning.head_lr
        found.append(_Stage(name, layers, trained, epoch, multiplier))
    if tuning.frozen and not any(re.search(tuning.frozen, layer.name) for one in found for layer in one.layers):
        names = ", ".join(one.layers[0].name for one in reversed(found))
        raise InputError(
            f"fine_tuning.frozen '{tuning.frozen}' matches no layer of {model.name}, whose stages begin with {names}."
        )
    if tuning.frozen and not found[0].trained:
        raise InputError(f"fine_tuning.frozen '{tuning.frozen}' freezes all of {model.name}'s classifier.")
    return found


def _parameters(layers: Iterable[keras.layers.Layer]) -> int:
    return sum(math.prod(weight.shape) for layer in layers for weight in layer.weights if weight.trainable)
