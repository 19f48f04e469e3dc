"""Networks built without giving their weights values: what they report, and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import keras

from kerascnn.applications import registry
from kerascnn.complexity import analyze
from kerascnn.training.assembly import MAIN
from kerascnn.training.recipe.recipe import Recipe


class DryBuild(NamedTuple):
    """A network as its recipe wants it.

    Attributes:
        outputs: the names of its classifiers; None where it has but one, without a name.
        parameters: of the form that is used in the end, with the main classifier alone.
        macs: that form's multiply-adds for one image.
    """

    outputs: tuple[str, ...] | None
    parameters: int
    macs: int


def draft(recipe: Recipe, classes: int) -> DryBuild:
    """The recipe's network, built in a moment and on no device.

    Raises:
        InputError: the builder refuses an argument's value or the image size.

    Example:
        >>> draft(Recipe.for_model("googlenet"), 10).outputs
        ('main', 'aux_4a', 'aux_4d')
    """
    entry = registry.info(recipe.model)
    size = recipe.image_size or entry.input_size
    arguments: dict[str, Any] = {"input_shape": (size, size, 3), "classes": classes, **recipe.model_arguments}
    if entry.aux_heads:
        arguments.setdefault("aux_heads", recipe.auxiliary_heads.use)

    def build() -> DryBuild:
        model = registry.create(recipe.model, **arguments)
        several = isinstance(model.output, dict)
        main = keras.Model(model.input, model.output[MAIN]) if several else model
        totals = analyze(main).totals
        return DryBuild(tuple(model.output) if several else None, totals.parameters, totals.macs)

    return _without_weights(build)


def _without_weights(build: Callable[[], DryBuild]) -> DryBuild:
    def work() -> DryBuild:
        with keras.StatelessScope(initialize_variables=False):
            return build()

    # Keras keeps a list of variables that wait for their values, and makes up for it at its next occasion; the list is
    # a thread's own and ends with it.
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(work).result()
