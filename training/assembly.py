"""From recipe and data to a model that is ready for `fit`."""

from __future__ import annotations

import keras
import numpy as np

from kerascnn.applications import registry
from kerascnn.applications.deep import functional
from kerascnn.data.dataset import DataSet
from kerascnn.data.pipeline import evaluation_batches
from kerascnn.layers import ClassLabels, Preprocessing

from .recipe import Recipe, Schedule

# Enough pictures for a mean to be good to a grey level, few enough to wait for.
MEAN_SAMPLE = 2000

# The head that is kept for inference.
MAIN = "main"


def assemble(recipe: Recipe, data: DataSet) -> keras.Model:
    """The recipe's network between a preprocessing layer and the class names.

    The model takes pixels in [0, 255] and is complete: it knows how they are scaled and what its classes are called.

    Args:
        recipe: with its image size resolved.
        data: whose class names and, where the recipe says so, mean pixels the model gets.

    Raises:
        InputError: the network cannot take the image size or an argument.
    """
    entry = registry.info(recipe.model)
    size = recipe.image_size
    arguments = dict(recipe.model_arguments)
    if entry.aux_heads:
        arguments.setdefault("aux_heads", recipe.auxiliary_heads.use)
    mean_shape = {"pixel": (size, size, 3), "channel": (3,), "none": ()}[recipe.pixels.mean]
    pixels = keras.Input((size, size, 3), name="pixels")
    preprocessing = Preprocessing(mean_shape, recipe.pixels.std, recipe.pixels.crop_fraction, name="preprocessing")
    network = registry.create(
        recipe.model, input_tensor=preprocessing(pixels), classes=len(data.class_names), **arguments
    )
    if recipe.pixels.mean != "none":
        mean = _mean_picture(recipe, data)
        preprocessing.set_mean(mean if recipe.pixels.mean == "pixel" else mean.mean(axis=(0, 1)))
    labels = ClassLabels(data.class_names, dtype="float32", name="labels")
    if isinstance(network.output, dict):
        outputs = {**network.output, MAIN: labels(network.output[MAIN])}
    else:
        outputs = labels(network.output)
    return functional(network.input, outputs, name=network.name)


def _mean_picture(recipe: Recipe, data: DataSet) -> np.ndarray:
    """The mean of the training pictures' evaluation views, (size, size, 3)."""
    examples = data.training
    if len(examples) > MEAN_SAMPLE:
        examples = examples.take(np.linspace(0, len(examples) - 1, MEAN_SAMPLE).astype(int))
    batches = evaluation_batches(
        examples,
        classes=len(data.class_names),
        size=recipe.image_size,
        crop_fraction=recipe.pixels.crop_fraction,
        batch_size=64,
    )
    return sum(images.numpy().astype(np.float64).sum(axis=0) for images, _ in batches) / len(examples)


def compile_for(model: keras.Model, recipe: Recipe, steps_per_epoch: int) -> None:
    """Compiles a model with the recipe's optimizer, losses and metrics.

    Every classifier reports its `top1` accuracy, and `top5` where there are more than five classes; auxiliary
    classifiers' losses are weighted as the recipe says. Labels are one-hot.

    Args:
        model: with one output, or a dict of `main` and auxiliary ones.
        recipe: the source of every number.
        steps_per_epoch: what the schedule's epochs are long.
    """
    heads = list(model.output) if isinstance(model.output, dict) else [None]
    losses = {head: keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing) for head in heads}
    weights = {head: 1.0 if head in (None, MAIN) else recipe.auxiliary_heads.weight for head in heads}
    single = heads == [None]
    classes = (model.output if single else model.output[MAIN]).shape[-1]
    metrics = {head: _metrics(classes) for head in heads}
    model.compile(
        optimizer=_optimizer(recipe, steps_per_epoch),
        loss=losses[None] if single else losses,
        loss_weights=None if single else weights,
        metrics=metrics[None] if single else metrics,
        # XLA halves training speed on processors.
        jit_compile=False,
    )
    model.optimizer.build(model.trainable_variables)


def _metrics(classes: int) -> list[keras.metrics.Metric]:
    metrics = [keras.metrics.CategoricalAccuracy(name="top1")]
    if classes > 5:
        metrics.append(keras.metrics.TopKCategoricalAccuracy(5, name="top5"))
    return metrics


def _optimizer(recipe: Recipe, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    settings = recipe.optimizer
    common = {
        "learning_rate": _learning_rate(recipe.schedule, settings.learning_rate, recipe.epochs, steps_per_epoch),
        "weight_decay": settings.weight_decay or None,
        "global_clipnorm": settings.clip_norm,
    }
    if settings.name == "sgd":
        optimizer = keras.optimizers.SGD(momentum=settings.momentum, nesterov=settings.nesterov, **common)
    elif settings.name == "rmsprop":
        optimizer = keras.optimizers.RMSprop(momentum=settings.momentum, **common)
    else:
        optimizer = keras.optimizers.Adam(**common)
    if settings.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _learning_rate(schedule: Schedule, peak: float, epochs: int, steps_per_epoch: int):
    total = epochs * steps_per_epoch
    warmup = min(round(schedule.warmup_epochs * steps_per_epoch), total - 1)
    if schedule.name == "cosine":
        return keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else peak,
            decay_steps=total - warmup,
            warmup_target=peak if warmup else None,
            warmup_steps=warmup,
        )
    if warmup:
        return keras.optimizers.schedules.PolynomialDecay(0.0, warmup, end_learning_rate=peak)
    return peak
