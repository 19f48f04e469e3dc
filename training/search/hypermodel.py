"""Every network as a keras-tuner hypermodel, for searches in user code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner

from kerascnn.applications.network import dtype_policy_scope
from kerascnn.data.dataset import DataSet
from kerascnn.training.assembly import assemble, callbacks_for, compile_for
from kerascnn.training.batches import batches_for, steps_per_epoch
from kerascnn.training.checkpoints.files import Position
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.resolution import resolved
from kerascnn.training.search.space import Space
from kerascnn.training.strategy import choose_devices


class HyperModel(keras_tuner.HyperModel):
    """A recipe with a search space and a data set, for keras-tuner's own tuners.

    A model is the recipe's network with preprocessing, compiled as the recipe specifies. Every classifier reports
    `top1`, `top5` and the requested metrics; with auxiliary heads an objective is
    `keras_tuner.Objective("val_main_accuracy", "max")`.

    Args:
        recipe: of any network of the registry.
        data: the training and validation images.
        space: the search space; None for `Space.for_recipe`.
        metrics: Keras' names of additional metrics; None for "accuracy", or of multi-label data none.

    Raises:
        InputError: the values of a trial contradict each other.

    Example:
        >>> hypermodel = HyperModel(Recipe.for_model("googlenet"), kerascnn.data.load("photos"))
        >>> objective = keras_tuner.Objective("val_main_accuracy", "max")
        >>> tuner = keras_tuner.RandomSearch(hypermodel, objective, max_trials=5, directory="searches")
        >>> tuner.search()
        >>> print(hypermodel.recipe_of(tuner.get_best_hyperparameters()[0]).to_yaml())
    """

    def __init__(self, recipe: Recipe, data: DataSet, space: Space | None = None, metrics: Sequence[str] | None = None):
        super().__init__(name=recipe.model)
        default = () if data.multi_label else ("accuracy",)
        self.base, self.data, self.metrics = recipe, data, default if metrics is None else tuple(metrics)
        self.space = space or Space.for_recipe(recipe)

    def recipe_of(self, hp: keras_tuner.HyperParameters) -> Recipe:
        """The recipe with a trial's values, for `train` and for YAML."""
        return self.space.recipe(self.base, hp.values)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """A trial's compiled model; adds the search space to `hp`."""
        hp.merge(self.space.hyperparameters())
        recipe = resolved(self.recipe_of(hp), self.data)
        keras.utils.set_random_seed(recipe.seed)
        with dtype_policy_scope(recipe.precision):
            model = assemble(recipe, self.data)
        compile_for(model, recipe, steps_per_epoch(recipe, self.data), metrics=self.metrics)
        return model

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        """Trains as the recipe specifies, on the data set or on the data that `search` was called with.

        `epochs` and `initial_epoch` from Hyperband take precedence over the recipe's.
        """
        recipe = resolved(self.recipe_of(hp), self.data)
        kwargs.setdefault("epochs", recipe.epochs)
        kwargs.setdefault("verbose", 0)
        kwargs.setdefault("initial_epoch", int(recipe.fine_tuning.probe))
        start = kwargs["initial_epoch"]
        batches = batches_for(model, recipe, self.data, Position(start) if start else None, choose_devices())
        kwargs["callbacks"] = [*callbacks_for(recipe, batches.statistics), *kwargs.get("callbacks", ())]
        if args or "x" in kwargs:
            return model.fit(*args, **{"batch_size": recipe.batch_size, **kwargs})
        kwargs.setdefault("validation_data", batches.validation)
        return model.fit(batches.training, steps_per_epoch=batches.steps, **kwargs)
