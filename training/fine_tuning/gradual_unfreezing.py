"""What of a network is trained when: the classifier first, then stage by stage from the top."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import keras

from kerascnn.applications.stages import HEAD, stages
from kerascnn.errors import InputError
from kerascnn.training.recipe.fields import FineTuning


class PlanRow(NamedTuple):
    """A stage of a network in a fine-tuning.

    Attributes:
        stage: its name.
        first, last: its first and its last layer with weights.
        layers, parameters: how many of them there are; moving statistics are not counted.
        frozen: how many of the parameters are never trained.
        from_epoch: the first epoch that trains the others, counted from 1; None where there are none.
        lr_multiplier: what the learning rate is multiplied by.
    """

    stage: str
    first: str
    last: str
    layers: int
    parameters: int
    frozen: int
    from_epoch: int | None
    lr_multiplier: float


class _Part(NamedTuple):
    """A stage with what a fine-tuning does to it; `epoch`, in which it is first trained, is counted from 0."""

    stage: str
    layers: tuple[keras.layers.Layer, ...]
    trained: tuple[keras.layers.Layer, ...]
    epoch: int
    lr_multiplier: float


def plan(model: keras.Model, tuning: FineTuning) -> list[PlanRow]:
    """What is trained of each stage, from which epoch on and how fast, from the classes down to the image.

    Args:
        model: with a classifier, and with nothing frozen now.
        tuning: what is trained when.

    Raises:
        InputError: `frozen` means no layer of the network, or all of its classifier.

    Example:
        >>> [(row.stage, row.from_epoch) for row in plan(ResNet50(classes=2), Recipe.load("finetune").fine_tuning)]
        [('head', 1), ('C5', 3), ('C4', 4), ('C3', 5), ('C2', 6), ('C1', 7)]
    """
    return [
        PlanRow(
            part.stage,
            part.layers[0].name,
            part.layers[-1].name,
            len(part.layers),
            _parameters(part.layers),
            _parameters(part.layers) - _parameters(part.trained),
            part.epoch + 1 if part.trained else None,
            part.lr_multiplier,
        )
        for part in _parts(model, tuning)
    ]


def lr_multipliers(model: keras.Model, tuning: FineTuning) -> list[float]:
    """What the learning rate of each trainable variable of the model is multiplied by; none where all are equal."""
    if tuning.layer_lr_decay == 1:
        return []
    factors = {
        id(weight): part.lr_multiplier
        for part in _parts(model, tuning)
        for layer in part.layers
        for weight in layer.weights
    }
    return [factors[id(weight)] for weight in model.trainable_variables]


class GradualUnfreezing(keras.callbacks.Callback):
    """Trains in every epoch what belongs to it, and nothing else.

    What is frozen is a function of the epoch alone, so a training that goes on needs no state of it. Layers that are
    not `trainable` are left out of the gradients, so that a step that trains the classifier only costs little more than
    the network's answer. The optimizer was built for all weights, and keeps its state of those that wait.

    Args:
        tuning: what belongs to which epoch.

    Example:
        >>> model.fit(x, y, epochs=12, callbacks=[GradualUnfreezing(Recipe.load("finetune").fine_tuning)])
    """

    def __init__(self, tuning: FineTuning):
        super().__init__()
        self.tuning = tuning

    def on_train_begin(self, logs=None):
        self._parts = _parts(self.model, self.tuning)

    def on_epoch_begin(self, epoch, logs=None):
        changed = False
        for part in self._parts:
            for layer in part.layers:
                trained = epoch >= part.epoch and layer in part.trained
                changed |= trained != layer.trainable
                layer.trainable = trained
        if changed:
            self.model.make_train_function(force=True)

    def on_train_end(self, logs=None):
        # What is frozen belongs to the training, not to the model.
        for part in self._parts:
            for layer in part.layers:
                layer.trainable = True
        self.model.make_train_function(force=True)


@contextlib.contextmanager
def all_trainable(model: keras.Model) -> Iterator[None]:
    """Within it nothing of the model is frozen: its file fits the optimizer's state, which is of all weights."""
    frozen = [layer for layer in model._flatten_layers() if not layer.trainable]
    for layer in frozen:
        layer.trainable = True
    try:
        yield
    finally:
        for layer in frozen:
            layer.trainable = False


def _parts(model: keras.Model, tuning: FineTuning) -> list[_Part]:
    """The stages from the top; a network without a classifier has its last stage in the place of one.

    Raises:
        InputError: as for `plan`.
    """
    found = []
    for depth, stage in enumerate(reversed(stages(model))):
        spared = tuning.freeze_batch_norm and stage.name != HEAD
        trained = tuple(layer for layer in stage.layers if not _is_frozen(layer, tuning.frozen, spared))
        epoch = tuning.head_epochs + tuning.stage_epochs * (depth - 1) if depth else 0
        found.append(_Part(stage.name, stage.layers, trained, epoch, tuning.layer_lr_decay**depth))
    _check_pattern(found, model, tuning.frozen)
    return found


def _is_frozen(layer: keras.layers.Layer, pattern: str, normalization: bool) -> bool:
    if pattern and re.search(pattern, layer.name):
        return True
    return normalization and isinstance(layer, keras.layers.BatchNormalization)


def _check_pattern(parts: list[_Part], model: keras.Model, pattern: str) -> None:
    if not pattern:
        return
    if not any(re.search(pattern, layer.name) for part in parts for layer in part.layers):
        names = ", ".join(part.layers[0].name for part in reversed(parts))
        raise InputError(
            f"fine_tuning.frozen '{pattern}' matches no layer of {model.name}, whose stages begin with {names}."
        )
    if not parts[0].trained:
        raise InputError(f"fine_tuning.frozen '{pattern}' leaves nothing of {model.name}'s classifier to train.")


def _parameters(layers: Iterable[keras.layers.Layer]) -> int:
    return sum(math.prod(weight.shape) for layer in layers for weight in layer.weights if weight.trainable)
