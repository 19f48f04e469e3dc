"""The options that choose a recipe and change its fields."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kerascnn.cli.arguments import Parser, positive

if TYPE_CHECKING:
    from kerascnn.training import Recipe

DEFAULT_MODEL = "resnet20"
# The recipe if weights are given and no recipe is.
FINE_TUNING = "finetune"


def add_recipe_options(parser: Parser) -> None:
    """Adds `--model`, `--weights`, `--recipe`, `--set` and the options for single fields."""
    add = parser.add_argument
    add("--model", metavar="NAME", help="see 'kerascnn models' (default: resnet20, or that of the run of --weights)")
    add(
        "--weights",
        metavar="RUN|FILE|NAME",
        help="fine-tune: a run folder, a .keras or weight file, or a name such as imagenet",
    )
    add(
        "--recipe",
        metavar="NAME|FILE",
        help="see 'kerascnn recipes', or a YAML file (default: the model's for few images; with --weights, finetune)",
    )
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="change a field of the recipe; repeatable")
    add("--image-size", type=positive, metavar="PIXELS", help="height and width (default: the paper's)")
    add("--epochs", type=positive, metavar="N", help="passes over the training images")
    add("--batch-size", type=positive, metavar="N", help="images per step")
    add("--seed", type=int, metavar="N", help="of everything random (default: 0)")
    add(
        "--precision",
        choices=("auto", "float32", "mixed_float16", "mixed_bfloat16"),
        help="of the computation (default: auto); exports are always float32",
    )
    add(
        "--class-weights",
        choices=("none", "balanced"),
        help="balanced: every class has the same weight in the loss, however many images it has (default: none)",
    )


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe that the options choose, with their changes."""
    from kerascnn.applications import registry
    from kerascnn.training import Recipe
    from kerascnn.training.fine_tuning.pretrained import find_weights, with_weights

    model = registry.canonical(options.model) if options.model else None
    name = options.recipe or (FINE_TUNING if options.weights else None)
    recipe = Recipe.load(name) if name else Recipe.for_model(model or DEFAULT_MODEL)
    if options.weights:
        recipe = with_weights(recipe, options.weights, model)
    fields = ("image_size", "epochs", "batch_size", "seed", "precision", "class_weights")
    recipe = recipe.with_values(model=model, **{field: getattr(options, field) for field in fields})
    recipe = recipe.with_settings(options.set)
    find_weights(recipe, f"the recipe '{name}'" if name else "the recipe")
    return recipe
