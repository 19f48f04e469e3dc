"""`kerascnn recipes` and `train`: a training from its recipe to a proven export."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.cli.arguments import Parser, Subcommands, add_data_options, at_least_zero, positive, span
from kerascnn.cli.exit_codes import INTERRUPTED, WORKER_LOST
from kerascnn.cli.exporting import export_report, export_status, export_with_progress
from kerascnn.cli.loading import load, print_json, print_json_line, start_tensorflow
from kerascnn.cli.recipe_options import add_recipe_options, recipe_of
from kerascnn.cli.workers import join, run_workers, starts_workers
from kerascnn.errors import InputError
from kerascnn.native_output import jpeg_damage_discarded

if TYPE_CHECKING:
    from kerascnn.data import DataSet
    from kerascnn.training import Recipe, Run, RunConfig, RunFolder
    from kerascnn.training.fine_tuning.gradual_unfreezing import PlanRow
    from kerascnn.training.strategy import Devices


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds them to the command."""
    subcommands.add("recipes", run_recipes, "list the recipes", "kerascnn recipes", "kerascnn recipes --json")
    train = subcommands.add(
        "train",
        run_train,
        "train a network, export it and prove the export",
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
    _train_options(train)


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
    # A mistake in a name or a value is told before TensorFlow's seconds of start-up.
    recipe = None if options.resume else recipe_of(options)
    if not options.print_recipe and starts_workers(options):
        return run_workers(options)
    start_tensorflow()
    from kerascnn.training.strategy import WorkerLostError

    devices = join(options)
    try:
        return _train(recipe, devices, options) if recipe else _resume(devices, options)
    except WorkerLostError as lost:
        print(f"kerascnn: {lost}", file=sys.stderr)
        if lost.folder:
            print(_go_on(lost.folder, options), file=sys.stderr)
        return WORKER_LOST


def _train(recipe: Recipe, devices: Devices, options: argparse.Namespace) -> int:
    from kerascnn import training

    # What is unpacked or checked for the first time is so by the chief.
    with devices.in_turn():
        data = load(options.data, options.limit)
    resolved = training.resolved(recipe, data)
    if options.print_recipe:
        print_json(resolved.to_dict()) if options.json else print(resolved.to_yaml(), end="")
        return 0
    devices.share(resolved.batch_size)
    steps = resolved.epochs * training.steps_per_epoch(resolved, data)
    if options.profile and options.profile[0] > steps:
        raise InputError(f"--profile begins with step {options.profile[0]}, and the training has {steps}.")
    if devices.chief:
        _say_what_runs(recipe, resolved, data, devices)
    more = {"run_config": _conduct(options, training.RunConfig()), "devices": devices, "profile": options.profile}
    return _finish(
        lambda callbacks: training.train(
            recipe, data, runs=options.out / "runs", limit=options.limit, callbacks=callbacks, **more
        ),
        resolved,
        data,
        options,
        devices,
    )


def _conduct(options: argparse.Namespace, before: RunConfig) -> RunConfig:
    """How the training is run: as before, but for what the options say."""
    given = {
        "checkpoint_minutes": options.checkpoint_every,
        "best": options.keep_best,
        "deterministic": options.deterministic or None,
        "cache": options.cache,
    }
    return replace(before, **{name: value for name, value in given.items() if value is not None})


def _resume(devices: Devices, options: argparse.Namespace) -> int:
    from kerascnn import training
    from kerascnn.console import messages

    def tell(sentence: str) -> None:
        messages().print(sentence, highlight=False, markup=False, soft_wrap=True)

    folder = training.RunFolder.open(options.resume)
    recipe, source, limit, _ = folder.read_recipe()
    with devices.in_turn():
        data = load(source, limit)
    options.out = Path(os.path.relpath(folder.path.resolve().parent.parent))
    run_config = _conduct(options, folder.read_run_config())
    more = {"run_config": run_config, "tell": tell, "devices": devices, "profile": options.profile}
    return _finish(
        lambda callbacks: training.resume(folder, recipe, data, callbacks=callbacks, **more),
        recipe,
        data,
        options,
        devices,
    )


def _go_on(folder: RunFolder, options: argparse.Namespace) -> str:
    """The command that goes on with a run, on devices as before."""
    workers = f" --workers {options.workers}" if options.workers else ""
    devices = f" --devices {options.devices}" if options.devices != "auto" else ""
    return f"Go on with: kerascnn train --resume {folder.path}{workers}{devices}"


def _finish(
    start: Callable[[list], Run], recipe: Recipe, data: DataSet, options: argparse.Namespace, devices: Devices
) -> int:
    """Trains, then does what comes after every training."""
    from kerascnn import evaluation, training
    from kerascnn.cli.tables import plan_table, verification_table
    from kerascnn.console import messages, track
    from kerascnn.evaluation.run_report import report_run
    from kerascnn.training.callbacks.progress_bar import JsonLines, LiveProgress, PlanReporter

    steps = training.steps_per_epoch(recipe, data)
    live = LiveProgress(recipe.epochs, steps, recipe.batch_size, messages())
    shown = [JsonLines(recipe.epochs) if options.json else live]
    if recipe.fine_tuning.weights:
        tell = _plan_line if options.json else lambda rows: messages().print(plan_table(rows))
        shown.insert(0, PlanReporter(recipe.fine_tuning, tell))
    try:
        run = start(shown if devices.chief else [])
    except training.TrainingInterruptedError as stopped:
        if devices.chief:
            print(f"kerascnn: {stopped}\n{_go_on(stopped.folder, options)}", file=sys.stderr)
        return INTERRUPTED
    if not devices.chief:
        return 0
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


def _plan_line(rows: list[PlanRow]) -> None:
    print_json_line({"event": "fine_tuning", "stages": [row._asdict() for row in rows]})


def _say_what_runs(recipe: Recipe, resolved: Recipe, data: DataSet, devices: Devices) -> None:
    from kerascnn.cli.recipe_tables import format_learning_rate, format_pixels
    from kerascnn.console import messages
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
        lines.append(f"the recipe is not meant for {resolved.model} but for {', '.join(resolved.about.networks)}")
    if resolved.batch_size < recipe.batch_size:
        lines.append(f"batches of {resolved.batch_size}: there are no more training images")
    if resolved.class_weights == "balanced":
        weights = sorted(zip(data.class_weights(), data.class_names, strict=True))
        (least, frequent), (greatest, rare) = weights[0], weights[-1]
        lines.append(f"class weights from {least:.2f} ({frequent}) to {greatest:.2f} ({rare})")
    if recipe.augmentation.flip and not resolved.augmentation.flip:
        lines.append(f"no mirroring: a mirrored image of {data.name} is of no class")
    for line in lines:
        messages().print(line, highlight=False, soft_wrap=True)


def _train_options(parser: Parser) -> None:
    add_data_options(parser, default="digits", more=" (default: digits, which come with the package)")
    add_recipe_options(parser)
    parser.add_argument("--print-recipe", action="store_true", help="print what would run, as YAML, and end")
    parser.add_argument(
        "--cache",
        choices=("none", "memory", "disk"),
        help="keep decoded images, so that each is read once (default: none); three bytes a pixel",
    )
    parser.add_argument(
        "--devices",
        default="auto",
        metavar="DEVICES",
        help="auto (default): every GPU, else the processor; or cpu, cpu:N, gpu, gpu:0,1",
    )
    parser.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="start N workers on this machine that train together; other machines: see docs/distributed.md",
    )
    parser.add_argument(
        "--profile", type=span, metavar="A:B", help="run TensorFlow's profiler over steps A to B, counted from 1"
    )
    parser.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="gets runs/ and saved_models/")
    parser.add_argument(
        "--resume", type=Path, metavar="RUN", help="go on with a run that was stopped, from its newest state"
    )
    parser.add_argument(
        "--checkpoint-every",
        type=at_least_zero(float, "number"),
        metavar="MINUTES",
        help="write the state within long epochs, too (default: 10; 0 is after every step)",
    )
    parser.add_argument(
        "--keep-best",
        type=at_least_zero(int, "whole number"),
        metavar="K",
        help="keep the models of the K epochs with the best validation accuracy beside the last (default: 1)",
    )
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="the same weights to the bit every time on a GPU too, where it costs speed; a processor does so anyway",
    )
