"""Fills in what a recipe leaves open: values that depend on network, data, machine and pretrained weights."""

from __future__ import annotations

import math
from dataclasses import replace

import keras

from kerascnn.applications import registry
from kerascnn.data.dataset import DataSet
from kerascnn.errors import InputError
from kerascnn.image_shape import RGB, ImageSize
from kerascnn.training.assembly import probe_of
from kerascnn.training.distillation.teacher import check_teacher
from kerascnn.training.fine_tuning.pretrained import Pretrained, resolve_pretrained
from kerascnn.training.fine_tuning.probe import ProbeResult
from kerascnn.training.multi_label import MULTI_LABEL, SINGLE_LABEL
from kerascnn.training.precision import choose_precision
from kerascnn.training.recipe.fields import BEST, FineTuning
from kerascnn.training.recipe.recipe import Recipe


def named_recipe(name: str) -> Recipe:
    """The default recipe of a network, or else the recipe of that name; InputError if there is none."""
    return Recipe.for_model(registry.canonical(name)) if registry.is_known(name) else Recipe.load(name)


def resolved(recipe: Recipe, data: DataSet, model: keras.Model | None = None) -> Recipe:
    """The recipe with every value that depends on the network, the data or the pretrained weights filled in.

    Args:
        recipe: with the values that are known.
        data: to be trained on.
        model: as for `train`.

    The place of a cut "auto" is chosen by a linear probe, which is computed once and then read from the cache.

    Raises:
        InputError: the pretrained weights cannot be read or are missing, the caller's own network is to be fine-tuned,
            or a teacher cannot be read or has other classes.
    """
    return resolve(recipe, data, model)[0]


def linear_probe(recipe: Recipe, data: DataSet) -> ProbeResult | None:
    """The linear probe of a resolved recipe, see `kerascnn.training.fine_tuning.probe`; None if it has none.

    It is computed once and then read from the cache. InputError as for `train`.

    Example:
        >>> recipe = resolved(with_weights(Recipe.load("probe"), "imagenet", "resnet50"), data)
        >>> linear_probe(recipe, data).chosen.accuracy
        0.947
    """
    pretrained = resolve_pretrained(recipe) if recipe.fine_tuning.probe else None
    return probe_of(recipe, data, pretrained) if pretrained else None


def resolve(recipe: Recipe, data: DataSet, model: keras.Model | None) -> tuple[Recipe, Pretrained | None]:
    """As `resolved`, with the pretrained weights that were found."""
    if model and recipe.fine_tuning != FineTuning():
        raise InputError(f"{model.name} brings its own weights; fine_tuning is for networks that recipes name.")
    recipe = check_teacher(recipe, data)
    pretrained = resolve_pretrained(recipe)
    recipe = pretrained.complete(recipe) if pretrained else recipe
    batch_size = min(recipe.batch_size, len(data.training))
    epochs = recipe.epochs
    if recipe.iterations:
        epochs = math.ceil(recipe.iterations / (len(data.training) // batch_size)) + recipe.fine_tuning.probe
    size = ImageSize(*model.input_shape[1:3]).plain if model else None
    channels = recipe.channels or (model.input_shape[3] if model else RGB)
    if recipe.sampling == "balanced" and data.multi_label:
        raise InputError(
            "sampling 'balanced' needs one class per image; of multi-label data set class_weights instead."
        )
    augmentation = recipe.augmentation.for_images(len(data.training))
    recipe = replace(
        recipe,
        task=task_of(recipe, data),
        image_size=recipe.image_size or size or registry.info(recipe.model).input_size,
        channels=channels,
        pixels=recipe.pixels.for_channels(channels),
        batch_size=batch_size,
        epochs=epochs,
        precision=choose_precision(recipe.precision).policy,
        augmentation=replace(augmentation, flip=augmentation.flip and data.allows_horizontal_flip),
    )
    if recipe.fine_tuning.cut == BEST and pretrained:
        place = probe_of(recipe, data, pretrained).chosen.place
        recipe = replace(recipe, fine_tuning=replace(recipe.fine_tuning, cut=place))
    return recipe, pretrained


def task_of(recipe: Recipe, data: DataSet) -> str:
    """Whether the data are "single-label" or "multi-label"; raises InputError if the recipe is for the other."""
    task = MULTI_LABEL if data.multi_label else SINGLE_LABEL
    if recipe.task not in ("auto", task):
        raise InputError(f"the recipe's task is {recipe.task}, but {data.source} is {task} data; set task to auto.")
    return task
