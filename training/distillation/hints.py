"""The first stage of FitNets: layers of the student learn to predict the maps of its teacher.

Source: Romero et al., "FitNets: Hints for Thin Deep Nets" (2014), section 2.2; the regressors follow the authors'
program (adri-romsor/FitNets, scripts/fitnets_training.py).

Differences from the source:
    The paper's loss is half the squared norm of the difference; here it is its mean over all values, for which the
    learning rates of SGD in recipes fit. The authors' program sums over one axis and averages over the others. Several
    hints are learned together, and by the authors' program one after the other. A regressor's weights begin as Glorot
    and Bengio's and are not bounded; the authors' are uniform within 0.05, and bounded by a norm of 0.9.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import keras

from kerascnn.applications.deep import functional
from kerascnn.applications.network import dtype_policy_scope
from kerascnn.applications.stages import HEAD, stages
from kerascnn.errors import InputError, closest
from kerascnn.keras_internals import producing_node
from kerascnn.training.distillation.teacher import seen_by
from kerascnn.training.optimizers import optimizer_for, with_factors
from kerascnn.training.recipe.fields import Averaging, FineTuning, Schedule
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.strategy import choose_xla, prepare

HINTS = "hints"  # The name of this stage's model, and of its folder in the run folder

# Layers behind which an output still has the nonlinearity of the layer before them.
PASSING = (
    *(keras.layers.MaxPooling2D, keras.layers.AveragePooling2D, keras.layers.GlobalMaxPooling2D),
    *(keras.layers.GlobalAveragePooling2D, keras.layers.Dropout, keras.layers.ZeroPadding2D, keras.layers.Flatten),
)


class Pair(NamedTuple):
    """A guided layer's output of the student, and its hint of the teacher: maps, or features (batch, width)."""

    guided: keras.KerasTensor
    hint: keras.KerasTensor

    @property
    def kernel(self) -> tuple[int, ...]:
        """The sides of the convolution without padding that makes maps of the hint's size; () for features."""
        sides = zip(self.guided.shape[1:-1], self.hint.shape[1:-1], strict=True)
        return tuple(guided - hint + 1 for guided, hint in sides)


def stage_recipe(recipe: Recipe) -> Recipe:
    """The recipe of this stage: the epochs of the hints, and no rule that waits for an accuracy."""
    schedule = Schedule("constant") if recipe.schedule.name == "plateau" else recipe.schedule
    length = {"epochs": recipe.distillation.hint_epochs, "iterations": None, "early_stopping": 0}
    return replace(recipe, schedule=schedule, averaging=Averaging(), fine_tuning=FineTuning(), **length)


def paired(student: keras.Model, teacher: keras.Model, hints: Mapping[str, str]) -> list[Pair]:
    """The outputs that hints name; InputError if there is no such layer, or no regressor for the two."""
    pairs = []
    for guided_name, hint_name in hints.items():
        pair = Pair(_output(student, guided_name, "student"), _output(teacher, hint_name, "teacher"))
        shapes = [tuple(tensor.shape[1:]) for tensor in pair]
        if len({*map(len, shapes)} | {1, 3}) > 2 or len(shapes[0]) != len(shapes[1]):
            raise InputError(f"the hint {guided_name}={hint_name} is of outputs of {shapes[0]} and {shapes[1]}.")
        if any(side < 1 for side in pair.kernel):
            raise InputError(
                f"the student's {guided_name} has maps of {shapes[0][:2]}, smaller than those of the teacher's "
                f"{hint_name}, {shapes[1][:2]}; name a lower layer of the student, or a higher one of the teacher."
            )
        if not functional(student.inputs[0], pair.guided).trainable_weights:
            raise InputError(
                f"the student's {guided_name} depends on no weights that could learn the hint; name a higher layer."
            )
        pairs.append(pair)
    return pairs


def _output(model: keras.Model, name: str, whose: str) -> keras.KerasTensor:
    names = [layer.name for layer in model.layers]
    if name in names:
        return model.get_layer(name).output
    ends = [layers[-1].name for stage, layers in stages(model).items() if stage != HEAD]
    known = names if difflib.get_close_matches(name.lower(), names, cutoff=0.6) else ends
    raise InputError(f"the {whose} {model.name} has no layer '{name}' for a hint; {closest(name, known)}")


def learner(student: keras.Model, teacher: keras.Model, recipe: Recipe, steps_per_epoch: int) -> keras.Model:
    """The compiled model of this stage: the student's layers up to the guided ones, shared, with regressors.

    Args:
        student, teacher: with the layers that the hints name.
        recipe: of `stage_recipe`.
        steps_per_epoch: as for `compile_for`.
    """
    pairs = paired(student, teacher, recipe.distillation.hints)
    with dtype_policy_scope(recipe.precision):
        guesses = [_regressed(pair, f"hint_{number}", recipe.seed) for number, pair in enumerate(pairs, start=1)]
        model = functional(student.inputs[0], guesses, name=HINTS)
    maps = functional(teacher.inputs[0], [pair.hint for pair in pairs])
    trained, of_student = model.trainable_variables, student.trainable_variables
    factors = dict(zip(map(id, of_student), with_factors((), of_student, recipe.optimizer), strict=False))
    multipliers = [factors.get(id(weight), 1.0) for weight in trained] if factors else []
    optimizer = optimizer_for(recipe, trained, steps_per_epoch, multipliers)
    model.compile(optimizer=optimizer, jit_compile=choose_xla()[0])
    model.optimizer.build(trained)
    squares = keras.losses.MeanSquaredError()

    def loss(x=None, y=None, y_pred=None, sample_weight=None, training=True):
        # Of one output, Keras returns no list.
        hints, guesses = map(keras.tree.flatten, (maps(seen_by(maps, x), training=False), y_pred))
        return sum(0.5 * squares(hint, guess) for hint, guess in zip(hints, guesses, strict=True))

    model.compute_loss = loss
    prepare(model)
    return model


def _regressed(pair: Pair, name: str, seed: int) -> keras.KerasTensor:
    """The guided output in the hint's shape, with its nonlinearity; as it is if it has that shape.

    A convolution without padding, or for features a dense layer.
    """
    if pair.guided.shape == pair.hint.shape:
        return pair.guided
    activation, pieces = _nonlinearity(pair.hint)
    width, outputs = pair.hint.shape[-1], []
    for piece in range(1, pieces + 1):
        options = {"activation": activation, "name": f"{name}_{piece}"}
        options["kernel_initializer"] = keras.initializers.GlorotUniform(seed + piece)
        if pair.kernel:
            layer = keras.layers.Conv2D(width, pair.kernel, data_format="channels_last", **options)
        else:
            layer = keras.layers.Dense(width, **options)
        outputs.append(layer(pair.guided))
    return keras.layers.Maximum(name=name)(outputs) if pieces > 1 else outputs[0]


def _nonlinearity(tensor: keras.KerasTensor) -> tuple[str | None, int]:
    """The activation of the layer that made a map, and of how many linear maps it is the maximum (maxout)."""
    node = producing_node(tensor)
    while isinstance(node.operation, PASSING):
        node = producing_node(node.input_tensors[0])
    layer = node.operation
    if isinstance(layer, keras.layers.Maximum):
        return None, len(node.input_tensors)
    relu = isinstance(layer, keras.layers.ReLU) or getattr(layer, "activation", None) is keras.activations.relu
    return "relu" if relu else None, 1
