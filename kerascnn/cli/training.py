"""`kerascnn recipes` and `train`: a training from its recipe to a proven export."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.errors import InputError

from .arguments import Parser, Verbs, add_data_options, positive, span
from .exporting import export_report, export_status, export_with_progress
from .loading import load, print_json, print_json_line, start_tensorflow
from .statuses import INTERRUPTED

if TYPE_CHECKING:
    from kerascnn.data import DataSet
    from kerascnn.training import Recipe, Run

DEFAULT_MODEL = "resnet20"


def add_verbs(verbs: Verbs) -> None:
    """Adds them to the command."""
    verbs.add("recipes", run_recipes, "list the recipes", "kerascnn recipes", "kerascnn recipes --json")
    train = verbs.add(
        "train",
        run_train,
        "train a network, export it and prove the export",
        "kerascnn train",
        "kerascnn train --model googlenet --data photos/ --epochs 30",
        "kerascnn train --data pets.zip --image-size 64 --limit 200",
        "kerascnn train --recipe cifar_resnet --set optimizer.learning_rate=0.05 --set epochs=3",
        "kerascnn train --model resnet50 --recipe resnet50 --print-recipe",
        "kerascnn train --resume runs/resnet20-digits-20261120-101500",
    )
    _train_options(train)


def run_recipes(options: argparse.Namespace) -> int:
    """`kerascnn recipes`."""
    from kerascnn.console import output
    from kerascnn.training import recipes

    from .recipes_in_words import recipes_table

    if options.json:
        print_json([{"name": name, **recipe.to_dict()} for name, recipe in recipes().items()])
    else:
        output().print(recipes_table(recipes()))
    return 0


def run_train(options: argparse.Namespace) -> int:
    """`kerascnn train`: train, evaluate, export."""
    if options.resume:
        return _resume(options)
    # A mistake in a name or a value is told before TensorFlow's seconds of start-up.
    recipe = _recipe(options)
    start_tensorflow()
    from kerascnn import training

    data = load(options.data, options.limit)
    resolved = training.resolved(recipe, data)
    if options.print_recipe:
        print_json(resolved.to_dict()) if options.json else print(resolved.to_yaml(), end="")
        return 0
    steps = resolved.epochs * training.steps_per_epoch(resolved, data)
    if options.profile and options.profile[0] > steps:
        raise InputError(f"--profile begins with step {options.profile[0]}, and the training has {steps}.")
    _say_what_runs(recipe, resolved, data)
    return _finish(
        lambda callbacks: training.train(
            recipe,
            data,
            runs=options.out / "runs",
            limit=options.limit,
            callbacks=callbacks,
            profile=options.profile,
        ),
        resolved,
        data,
        options,
    )


def _recipe(options: argparse.Namespace) -> Recipe:
    """The recipe that the options name, with what they change in it."""
    from kerascnn.applications import registry
    from kerascnn.training import Recipe

    model = registry.canonical(options.model) if options.model else None
    recipe = Recipe.load(options.recipe) if options.recipe else Recipe.for_model(model or DEFAULT_MODEL)
    recipe = recipe.with_values(
        model=model,
        image_size=options.image_size,
        epochs=options.epochs,
        batch_size=options.batch_size,
        seed=options.seed,
        precision=options.precision,
    )
    return recipe.with_settings(options.set)


def _resume(options: argparse.Namespace) -> int:
    start_tensorflow()
    from kerascnn import training

    folder = training.RunFolder.open(options.resume)
    recipe, source, limit, _ = folder.read_recipe()
    data = load(source, limit)
    options.out = Path(os.path.relpath(folder.path.resolve().parent.parent))
    return _finish(
        lambda callbacks: training.resume(folder, recipe, data, callbacks=callbacks, profile=options.profile),
        recipe,
        data,
        options,
    )


def _finish(start: Callable[[list], Run], recipe: Recipe, data: DataSet, options: argparse.Namespace) -> int:
    """Trains, then does what comes after every training."""
    from kerascnn import evaluation, training
    from kerascnn.console import messages, track
    from kerascnn.evaluation.run_report import report_run
    from kerascnn.training.progress import JsonLines, LiveProgress

    from .tables import verification_table

    steps = training.steps_per_epoch(recipe, data)
    live = LiveProgress(recipe.epochs, steps, recipe.batch_size, messages())
    try:
        run = start([JsonLines(recipe.epochs) if options.json else live])
    except training.Interrupted as stopped:
        print(
            f"kerascnn: {stopped}\nGo on with: kerascnn train --resume {stopped.folder.path}",
            file=sys.stderr,
        )
        return INTERRUPTED
    predictor = evaluation.KerasPredictor(run.model, run.folder.model_file)
    scores = evaluation.evaluate(predictor, data, track=track)
    report_run(run.folder, scores, f"{recipe.model} on {data.name}", data.validation, predictor.facts)
    name = f"{recipe.model}-{data.name}"
    exported = export_with_progress(run.folder.model_file, data, options.out / "saved_models" / name, run.folder)
    report = {
        "event": "report",
        "run": str(run.folder.path),
        "training_seconds": round(run.seconds, 1),
        "validation_accuracy": scores.accuracy(),
        **export_report(exported),
    }
    if options.json:
        print_json_line(report)
    else:
        messages().print(
            f"trained in {run.seconds:.0f} s; run folder {run.folder.path}; "
            f"watch it with: tensorboard --logdir {run.folder.path.parent}",
            soft_wrap=True,
        )
        verification_table(exported)
    return export_status(exported)


def _say_what_runs(recipe: Recipe, resolved: Recipe, data: DataSet) -> None:
    from kerascnn.console import messages
    from kerascnn.training import choose_precision

    from .recipes_in_words import learning_rate_in_words

    lines = [f"{resolved.model} at {resolved.image_size} x {resolved.image_size} pixels, seed {resolved.seed}"]
    lines.append(f"precision {resolved.precision}: {choose_precision(recipe.precision).reason}")
    lines.append(learning_rate_in_words(resolved))
    if resolved.about.networks and resolved.model not in resolved.about.networks:
        lines.append(f"the recipe is not meant for {resolved.model} but for {', '.join(resolved.about.networks)}")
    if resolved.batch_size < recipe.batch_size:
        lines.append(f"batches of {resolved.batch_size}: there are no more training pictures")
    if recipe.augmentation.flip and not resolved.augmentation.flip:
        lines.append(f"no mirroring: a mirrored picture of {data.name} is of no class")
    for line in lines:
        messages().print(line, highlight=False, soft_wrap=True)


def _train_options(parser: Parser) -> None:
    parser.add_argument("--model", metavar="NAME", help="see 'kerascnn models' (default: resnet20)")
    add_data_options(parser, default="digits", more=" (default: digits, which come with the package)")
    parser.add_argument(
        "--recipe", metavar="NAME|FILE", help="see 'kerascnn recipes', or a YAML file (default: the model's for few)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change a field of the recipe; repeatable"
    )
    parser.add_argument("--print-recipe", action="store_true", help="print what would run, as YAML, and end")
    parser.add_argument("--image-size", type=positive, metavar="PIXELS", help="height and width (default: the paper's)")
    parser.add_argument("--epochs", type=positive, metavar="N", help="passes over the training pictures")
    parser.add_argument("--batch-size", type=positive, metavar="N", help="pictures a step")
    parser.add_argument("--seed", type=int, metavar="N", help="of everything random (default: 0)")
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "mixed_float16", "mixed_bfloat16"),
        help="of the computation (default: auto); exports are float32 always",
    )
    parser.add_argument(
        "--profile", type=span, metavar="A:B", help="run TensorFlow's profiler over steps A to B, counted from 1"
    )
    parser.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="gets runs/ and saved_models/")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with a run that was stopped")
