"""What the subcommands that train take to name a recipe and to change it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kerascnn.cli.arguments import Parser, positive

if TYPE_CHECKING:
    from kerascnn.training import Recipe

DEFAULT_MODEL = "resnet20"
# The recipe where weights are named and no recipe is.
FINE_TUNING = "finetune"


def add_recipe_options(parser: Parser) -> None:
    """`--model`, `--weights`, `--recipe`, `--set` and the fields that have options of their own."""
    parser.add_argument(
        "--model", metavar="NAME", help="see 'kerascnn models' (default: resnet20, or that of the run of --weights)"
    )
    parser.add_argument(
        "--weights",
        metavar="RUN|FILE|NAME",
        help="fine-tune: a run folder, a .keras or weight file, or a name such as imagenet",
    )
    parser.add_argument(
        "--recipe",
        metavar="NAME|FILE",
        help="see 'kerascnn recipes', or a YAML file (default: the model's for few; with --weights, finetune)",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change a field of the recipe; repeatable"
    )
    parser.add_argument("--image-size", type=positive, metavar="PIXELS", help="height and width (default: the paper's)")
    parser.add_argument("--epochs", type=positive, metavar="N", help="passes over the training images")
    parser.add_argument("--batch-size", type=positive, metavar="N", help="images a step")
    parser.add_argument("--seed", type=int, metavar="N", help="of everything random (default: 0)")
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "mixed_float16", "mixed_bfloat16"),
        help="of the computation (default: auto); exports are float32 always",
    )
    parser.add_argument(
        "--class-weights",
        choices=("none", "balanced"),
        help="balanced: every class counts the same in the loss, however many images it has (default: none)",
    )


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe that the options name, with what they change in it."""
    from kerascnn.applications import registry
    from kerascnn.training import Recipe
    from kerascnn.training.fine_tuning.pretrained import find_weights, with_weights

    model = registry.canonical(options.model) if options.model else None
    name = options.recipe or (FINE_TUNING if options.weights else None)
    recipe = Recipe.load(name) if name else Recipe.for_model(model or DEFAULT_MODEL)
    if options.weights:
        recipe = with_weights(recipe, options.weights, model)
    recipe = recipe.with_values(
        model=model,
        image_size=options.image_size,
        epochs=options.epochs,
        batch_size=options.batch_size,
        seed=options.seed,
        precision=options.precision,
        class_weights=options.class_weights,
    )
    recipe = recipe.with_settings(options.set)
    find_weights(recipe, f"the recipe '{name}'" if name else "the recipe")
    return recipe
