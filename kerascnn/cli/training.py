"""`kerascnn recipes` and `kerascnn train`: from a recipe to a verified export."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.cli import arguments
from kerascnn.cli.exit_codes import INTERRUPTED, WORKER_LOST
from kerascnn.cli.exporting import export_report, export_status, export_with_progress
from kerascnn.cli.loading import load, print_json, print_json_line, print_message, start_tensorflow
from kerascnn.cli.recipe_options import add_recipe_options, recipe_of
from kerascnn.cli.workers import connect, run_workers, starts_workers
from kerascnn.errors import InputError
from kerascnn.native_output import jpeg_damage_discarded

if TYPE_CHECKING:
    from kerascnn.data import DataSet
    from kerascnn.training import Recipe, Run, RunConfig, RunFolder
    from kerascnn.training.fine_tuning.gradual_unfreezing import PlanRow
    from kerascnn.training.strategy import Devices


def add_subcommands(subcommands: arguments.Subcommands) -> None:
    """Adds `recipes` and `train`."""
    subcommands.add("recipes", run_recipes, "list the recipes", "kerascnn recipes", "kerascnn recipes --json")
    train = subcommands.add(
        "train",
        run_train,
        "train a network, export it and verify the export",
        "kerascnn train",
        "kerascnn train --model googlenet --data photos/ --epochs 30",
        "kerascnn train --data pets.zip --image-size 64 --limit 200",
        "kerascnn train --model resnet50 --weights imagenet --data photos/",
        "kerascnn train --weights runs/resnet50-photos-20261120-101500 --data others/ --epochs 8",
        "kerascnn train --data photos/ --class-weights balanced --cache memory",
        "kerascnn train --recipe cifar_resnet --set optimizer.learning_rate=0.05 --set epochs=3",
        "kerascnn train --model resnet50 --recipe resnet50 --print-recipe",
        "kerascnn train --workers 2",
        "kerascnn train --resume runs/resnet20-digits-20261120-101500",
    )
    arguments.add_data_options(train, default="digits", more=" (default: digits, which are part of the package)")
    add_recipe_options(train)
    add = train.add_argument
    add("--print-recipe", action="store_true", help="print the resolved recipe as YAML, and do not train")
    cache_help = "cache decoded images, three bytes per pixel, so that each is read once (default: none)"
    add("--cache", choices=("none", "memory", "disk"), help=cache_help)
    devices_help = "auto (default): all GPUs, or the CPU if there is none; or cpu, cpu:N, gpu, gpu:0,1"
    add("--devices", default="auto", metavar="DEVICES", help=devices_help)
    workers_help = "start N workers on this machine that train together; for other machines see docs/distributed.md"
    add("--workers", type=arguments.positive, metavar="N", help=workers_help)
    profile_help = "run TensorFlow's profiler over steps A to B, counted from 1"
    add("--profile", type=arguments.step_range, metavar="A:B", help=profile_help)
    add("--out", type=Path, default=Path(), metavar="FOLDER", help="gets runs/ and saved_models/")
    add("--resume", type=Path, metavar="RUN", help="resume a stopped run from its newest checkpoint")
    checkpoint_help = "also write checkpoints within long epochs (default: 10; 0 is after every step)"
    add("--checkpoint-every", type=arguments.non_negative_number, metavar="MINUTES", help=checkpoint_help)
    best_help = "also save the models of the K epochs with the best validation accuracy (default: 1)"
    add("--keep-best", type=arguments.non_negative_integer, metavar="K", help=best_help)
    deterministic_help = "train bit-exact on a GPU too, which is slower; on a CPU training always is"
    add("--deterministic", action="store_true", help=deterministic_help)


def run_recipes(options: argparse.Namespace) -> int:
    """`kerascnn recipes`."""
    from kerascnn.cli.recipe_tables import recipes_table
    from kerascnn.console import output
    from kerascnn.training import recipes

    if options.json:
        print_json([{"name": name, **recipe.to_dict()} for name, recipe in recipes().items()])
    else:
        output().print(recipes_table(recipes()))
    return 0


@jpeg_damage_discarded()
def run_train(options: argparse.Namespace) -> int:
    """`kerascnn train`: train, evaluate, export."""
    # Errors in names and values are reported before TensorFlow's seconds of start-up.
    recipe = None if options.resume else recipe_of(options)
    if not options.print_recipe and starts_workers(options):
        return run_workers(options)
    start_tensorflow()
    from kerascnn.training.strategy import WorkerLostError

    devices = connect(options)
    try:
        return _train(recipe, devices, options) if recipe else _resume(devices, options)
    except WorkerLostError as lost:
        print(f"kerascnn: {lost}", file=sys.stderr)
        if lost.folder:
            print(_resume_command(lost.folder, options), file=sys.stderr)
        return WORKER_LOST


def _train(recipe: Recipe, devices: Devices, options: argparse.Namespace) -> int:
    from kerascnn import training

    # The chief alone unpacks and checks new data.
    with devices.chief_first():
        data = load(options.data, options.limit)
    resolved = training.resolved(recipe, data)
    if options.print_recipe:
        print_json(resolved.to_dict()) if options.json else print(resolved.to_yaml(), end="")
        return 0
    devices.share(resolved.batch_size)
    steps = resolved.epochs * training.steps_per_epoch(resolved, data)
    if options.profile and options.profile[0] > steps:
        raise InputError(f"--profile begins with step {options.profile[0]}, but the training has {steps} steps.")
    if devices.chief:
        _report_choices(recipe, resolved, data, devices)
    run_config = _run_config(options, training.RunConfig())
    start = partial(training.train, recipe, data, runs=options.out / "runs", limit=options.limit, run_config=run_config)
    return _finish(start, resolved, data, options, devices)


def _resume(devices: Devices, options: argparse.Namespace) -> int:
    from kerascnn import training

    folder = training.RunFolder.open(options.resume)
    recipe, source, limit, _ = folder.read_recipe()
    with devices.chief_first():
        data = load(source, limit)
    options.out = Path(os.path.relpath(folder.path.resolve().parent.parent))
    run_config = _run_config(options, folder.read_run_config())
    start = partial(training.resume, folder, recipe, data, run_config=run_config, warn=print_message)
    return _finish(start, recipe, data, options, devices)


def _run_config(options: argparse.Namespace, before: RunConfig) -> RunConfig:
    given = {
        "checkpoint_minutes": options.checkpoint_every,
        "best": options.keep_best,
        "deterministic": options.deterministic or None,
        "cache": options.cache,
    }
    return replace(before, **{name: value for name, value in given.items() if value is not None})


def _resume_command(folder: RunFolder, options: argparse.Namespace) -> str:
    workers = f" --workers {options.workers}" if options.workers else ""
    devices = f" --devices {options.devices}" if options.devices != "auto" else ""
    return f"Resume with: kerascnn train --resume {folder.path}{workers}{devices}"


def _finish(
    start: Callable[..., Run], recipe: Recipe, data: DataSet, options: argparse.Namespace, devices: Devices
) -> int:
    """Trains, and on the chief evaluates, exports and reports."""
    from kerascnn import evaluation, training
    from kerascnn.cli.tables import verification_table
    from kerascnn.console import track
    from kerascnn.evaluation.run_report import report_run

    try:
        callbacks = _progress(recipe, data, options.json) if devices.chief else []
        run = start(callbacks=callbacks, devices=devices, profile=options.profile)
    except training.TrainingInterruptedError as stopped:
        if devices.chief:
            print(f"kerascnn: {stopped}\n{_resume_command(stopped.folder, options)}", file=sys.stderr)
        return INTERRUPTED
    if not devices.chief:
        return 0
    predictor = evaluation.KerasPredictor(run.model, run.folder.model_file)
    scores = evaluation.evaluate(predictor, data, track=track)
    report_run(run.folder, scores, f"{recipe.model} on {data.name}", data.validation, predictor.metadata)
    target = options.out / "saved_models" / f"{recipe.model}-{data.name}"
    exported = export_with_progress(run.folder.model_file, data, target, run.folder)
    if options.json:
        report = {
            "event": "report",
            "run": str(run.folder.path),
            "training_seconds": round(run.seconds, 1),
            "validation_accuracy": scores.accuracy(),
        }
        print_json_line({**report, **export_report(exported)})
    else:
        print_message(
            f"trained in {run.seconds:.0f} s; run folder {run.folder.path}; "
            f"watch it with: tensorboard --logdir {run.folder.path.parent}"
        )
        verification_table(exported)
    return export_status(exported)


def _progress(recipe: Recipe, data: DataSet, as_json: bool) -> list:
    """The callbacks that show a training's progress."""
    from kerascnn.cli.tables import plan_table
    from kerascnn.console import messages
    from kerascnn.training import steps_per_epoch
    from kerascnn.training.callbacks.progress_bar import JsonLines, LiveProgress, PlanReporter

    def report_plan(rows: list[PlanRow]) -> None:
        if as_json:
            print_json_line({"event": "fine_tuning", "stages": [row._asdict() for row in rows]})
        else:
            messages().print(plan_table(rows))

    live = LiveProgress(recipe.epochs, steps_per_epoch(recipe, data), recipe.batch_size, messages())
    plan = [PlanReporter(recipe.fine_tuning, report_plan)] if recipe.fine_tuning.weights else []
    return [*plan, JsonLines(recipe.epochs) if as_json else live]


def _report_choices(recipe: Recipe, resolved: Recipe, data: DataSet, devices: Devices) -> None:
    """Prints the values that were chosen automatically, with the reasons."""
    from kerascnn.cli.recipe_tables import format_learning_rate, format_pixels
    from kerascnn.training import choose_precision
    from kerascnn.training.strategy import choose_xla

    lines = [f"{resolved.model} at {resolved.image_size} x {resolved.image_size} pixels, seed {resolved.seed}"]
    lines.append(f"precision {resolved.precision}: {choose_precision(recipe.precision).reason}")
    with devices.scope():
        lines.append(str(choose_xla()))
    lines.append(format_learning_rate(resolved))
    if resolved.fine_tuning.weights:
        lines.append(f"begins with {resolved.fine_tuning.weights}; pixels {format_pixels(resolved)}")
    if resolved.about.networks and resolved.model not in resolved.about.networks:
        lines.append(f"the recipe is for {', '.join(resolved.about.networks)}, not for {resolved.model}")
    if resolved.batch_size < recipe.batch_size:
        lines.append(f"batches of {resolved.batch_size}: there are no more training images")
    if resolved.class_weights == "balanced":
        weights = sorted(zip(data.class_weights(), data.class_names, strict=True))
        (least, frequent), (greatest, rare) = weights[0], weights[-1]
        lines.append(f"class weights from {least:.2f} ({frequent}) to {greatest:.2f} ({rare})")
    if recipe.augmentation.flip and not resolved.augmentation.flip:
        lines.append(f"horizontal flips are disabled: a mirrored image of {data.name} is of no class")
    for line in lines:
        print_message(line)
