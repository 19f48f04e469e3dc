"""Fine-tuning in one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerascnn.applications import registry
from kerascnn.data.dataset import DataSet
from kerascnn.training.fine_tuning.pretrained import with_weights
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.trainer import Run, train


def finetune(
    weights: str | Path,
    data: DataSet | str,
    *,
    model: str | None = None,
    recipe: Recipe | str = "finetune",
    **options: Any,
) -> Run:
    """Trains a network from pretrained weights on other classes.

    The classifier is new. With the recipe `finetune` it is trained alone first; stages are then unfrozen from the top
    down, and lower stages use smaller learning rates. Pixels are scaled as they were for the weights.

    Args:
        weights: a run folder, a weight file, or a name that the network's builder takes, such as "imagenet".
        data: a data set, or its source.
        model: the network's name; None for the run's, or else the recipe's.
        recipe: a recipe, or the name of one.
        options: those of `train`.

    Raises:
        InputError: the weights are another network's, or as for `train`.

    Example:
        >>> run = finetune("runs/resnet20-digits-20261120-101500", "photos")
        >>> run = finetune("imagenet", "photos", model="resnet50")
    """
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    network = registry.canonical(model) if model else None
    return train(with_weights(recipe, str(weights), network), data, **options)
