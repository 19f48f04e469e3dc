"""The loss of a student that learns from its teacher's probabilities (Hinton et al., 2015)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras

from kerascnn.keras_internals import cached_logits
from kerascnn.training.distillation.hints import paired
from kerascnn.training.distillation.teacher import load_teacher, seen_by
from kerascnn.training.losses import LEAST, SoftLabels, SoftTargets
from kerascnn.training.multi_label import MULTI_LABEL
from kerascnn.training.schedules import steps_of

if TYPE_CHECKING:
    import tensorflow as tf

    from kerascnn.training.recipe.recipe import Recipe


MAIN = "main"  # The output that is kept for inference, of a model with auxiliary classifiers


def teach(model: keras.Model, recipe: Recipe, steps_per_epoch: int | None) -> None:
    """Adds the teacher's part to the training loss of a compiled model, see `Distillation`.

    The teacher sees the images of each step, in inference mode, and is no part of the model. Evaluations measure the
    labels' loss alone, so that it can be compared with that of other trainings. Class weights count in both parts.

    Args:
        model: compiled, and prepared for its devices, in whose scope this is.
        recipe: with a teacher.
        steps_per_epoch: as for `compile_for`.

    Raises:
        InputError: the teacher cannot be opened, a hint names no layer or does not fit, or a weight in epochs of
            unknown length.
    """
    settings, teacher = recipe.distillation, load_teacher(recipe)
    paired(model, teacher, settings.hints)
    several = recipe.task == MULTI_LABEL
    soft = (SoftLabels if several else SoftTargets)(settings.temperature)
    decay_steps = _decay_steps(recipe, steps_per_epoch)
    compute_loss = model.compute_loss

    def logits(answers: tf.Tensor | dict[str, tf.Tensor]) -> tf.Tensor:
        return logits_of(answers[MAIN] if isinstance(answers, dict) else answers, several)

    def weight() -> tf.Tensor:
        share = keras.ops.minimum(keras.ops.cast(model.optimizer.iterations, "float32") / decay_steps, 1.0)
        return settings.weight + (settings.final_weight - settings.weight) * share

    def loss(x=None, y=None, y_pred=None, sample_weight=None, training=True):
        of_labels = compute_loss(x, y, y_pred, sample_weight, training)
        # Without images, Keras creates the metrics.
        if not training or x is None:
            return of_labels
        answers = teacher(seen_by(teacher, x), training=False)
        taught = soft(logits(answers), logits(y_pred), sample_weight)
        return settings.label_weight * of_labels + weight() * taught

    loss.teacher = teacher
    model.compute_loss = loss


def teacher_of(model: keras.Model) -> keras.Model:
    """The teacher of a model after `teach`; as an attribute of its own it would be a part of the model."""
    return model.compute_loss.teacher


def _decay_steps(recipe: Recipe, steps_per_epoch: int | None) -> int:
    """Over how many steps the teacher's weight changes."""
    settings = recipe.distillation
    if settings.weight == settings.final_weight:
        return 1
    if recipe.iterations and not settings.decay_epochs:
        return recipe.iterations
    epochs = settings.decay_epochs or recipe.epochs
    return max(steps_of(epochs, steps_per_epoch, "distillation.decay_epochs"), 1)


def logits_of(probabilities: tf.Tensor, several: bool) -> tf.Tensor:
    """The logits of probabilities, of softmax except for a constant: those they were made of, or else computed.

    `several` probabilities are of a sigmoid per class.
    """
    logits = cached_logits(probabilities)
    if logits is not None:
        return logits
    logarithms = keras.ops.log(keras.ops.maximum(probabilities, LEAST))
    return logarithms - keras.ops.log(keras.ops.maximum(1.0 - probabilities, LEAST)) if several else logarithms
