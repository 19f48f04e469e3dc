"""`kerascnn recipes` and `kerascnn train`, which also starts workers on this machine or connects to others."""

from __future__ import annotations

import argparse
import itertools
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.cli import arguments
from kerascnn.cli.arguments import INTERRUPTED, NO_TRIAL_SUCCEEDED, WORKER_LOST
from kerascnn.cli.datasets import load
from kerascnn.cli.exporting import export_report, export_run, export_status
from kerascnn.cli.loading import print_json, print_message, print_result, start_tensorflow
from kerascnn.cli.stopping import stopping_between
from kerascnn.errors import InputError, check_installed
from kerascnn.files.secret_urls import concealed
from kerascnn.image_shape import GRAY, ImageSize, Size
from kerascnn.native_output import discarded_stderr, jpeg_damage_discarded
from kerascnn.terminal_encoding import print_error
from kerascnn.training.strategy import choose_devices, find_cluster

if TYPE_CHECKING:
    from keras.callbacks import Callback

    from kerascnn.data import DataSet
    from kerascnn.files.progress import Track
    from kerascnn.training import Machine, Recipe, Run, RunConfig, RunFolder
    from kerascnn.training.fine_tuning.gradual_unfreezing import PlanRow
    from kerascnn.training.strategy import Devices


# The options that may differ when a run is resumed; and those of the recipe that the user can have changed then.
OF_RESUME = (
    *("--resume", "--devices", "--workers", "--checkpoint-every", "--keep-best", "--cache", "--deterministic"),
    *("--profile", "--log", "--export", "--verbose", "--json", "--data", "--val-data", "--accept-changes", "--debug"),
)
OF_CHANGES = (
    *("--set", "--epochs", "--early-stopping", "--plateau", "--batch-size", "--seed", "--precision", "--sampling"),
    "--class-weights",
)

# Of an accuracy: validation images whose interval is wider are too few to choose between models.
WIDE_INTERVAL = 0.08


def add_subcommands(subcommands: arguments.Subcommands) -> None:
    """Adds `recipes` and `train`."""
    subcommands.add("recipes", _run_recipes, "list the recipes", "kerascnn recipes", "kerascnn recipes --json")
    train = subcommands.add(
        "train",
        _run_train,
        "train a network, export it and verify the export",
        "kerascnn train",
        "kerascnn train --model googlenet --data photos/ --epochs 30",
        "kerascnn train --data pets.zip --image-size 64 --limit 200",
        "kerascnn train --data scans/ --image-size 240x320 --channels 1",
        "kerascnn train --model resnet50 --weights imagenet --data photos/",
        "kerascnn train --weights runs/resnet50-photos-20261120-101500 --data others/ --epochs 8",
        "kerascnn train --model inceptionv3 --weights imagenet --data photos/ --recipe probe --cut auto",
        "kerascnn train --data photos/ --class-weights balanced --cache memory",
        "kerascnn train --model resnet20 --data photos/ --teacher resnet56-photos@best",
        "kerascnn train --model resnet20 --data photos/ --teacher runs/last --hints conv3_2_relu=conv3_5_relu",
        "kerascnn train --recipe cifar_resnet --set optimizer.learning_rate=0.05 --set epochs=3",
        "kerascnn train --model resnet50 --recipe resnet50 --print-recipe",
        "kerascnn train --data photos/ --folds 5",
        "kerascnn train --workers 2",
        "kerascnn train --resume runs/resnet20-digits-20261120-101500",
    )
    text = " (default: digits, which are part of the package); with --resume, where the data are now"
    arguments.add_data_options(train, default=None, more=text)
    add_recipe_options(train)
    add = train.add_argument
    add("--print-recipe", action="store_true", help="print the resolved recipe as YAML, and do not train")
    text = "cache decoded images, three bytes per pixel, so that each is read once (default: none)"
    add("--cache", choices=("none", "memory", "disk"), help=text)
    text = "auto (default): all GPUs, or the CPU if there is none; or cpu, cpu:N, gpu, gpu:0,1"
    add("--devices", default="auto", metavar="DEVICES", help=text)
    text = "start N workers on this machine that train together; for other machines see docs/distributed.md"
    add("--workers", type=arguments.positive, metavar="N", help=text)
    text = "run TensorFlow's profiler over steps A to B, counted from 1"
    add("--profile", type=arguments.step_range, metavar="A:B", help=text)
    text = "also log the recipe and every epoch to wandb (Weights & Biases) or mlflow; both separated by a comma"
    add("--log", action="extend", type=arguments.some_of("wandb", "mlflow"), default=[], metavar="SERVICE", help=text)
    text = "train N times, each time with another of N parts held out; reports mean and standard deviation"
    add("--folds", type=arguments.positive, metavar="N", help=text)
    add("--out", type=Path, default=Path(), metavar="FOLDER", help="gets runs/ and saved_models/")
    add("--verbose", action="store_true", help="also explain the export's table, and list the files' operations")
    text = "the epoch whose model is exported: the last, or the one of the highest validation accuracy (default: last)"
    add("--export", choices=("last", "best"), default="last", help=text)
    add("--resume", type=arguments.run_path, metavar="RUN", help="resume a stopped run from its newest checkpoint")
    text = "with --resume, go on although images or fields of the recipe have changed; they are named"
    add("--accept-changes", action="store_true", help=text)
    text = "also write checkpoints within long epochs (default: 10; 0 is after every step)"
    add("--checkpoint-every", type=arguments.non_negative_number, metavar="MINUTES", help=text)
    text = "also save the models of the K epochs with the best validation accuracy (default: 1)"
    add("--keep-best", type=arguments.non_negative_integer, metavar="K", help=text)
    text = "train bit-exact on a GPU too, which is slower; on a CPU training always is"
    add("--deterministic", action="store_true", help=text)


def add_recipe_options(parser: arguments.Parser) -> None:
    """Adds `--model`, `--weights`, `--teacher`, `--recipe`, `--set` and the options for single fields."""
    add = parser.add_argument
    text = "see 'kerascnn models' (default: chosen for the images and this machine, or that of the run of --weights)"
    add("--model", metavar="NAME", help=text)
    text = "fine-tune: a run folder, a .keras or weight file, or a name such as imagenet"
    add("--weights", type=arguments.weights_location, metavar="RUN|FILE|NAME", help=text)
    text = "learn from a trained network too: a run folder or a .keras file of one (docs/distillation.md)"
    add("--teacher", type=arguments.run_path, metavar="RUN|FILE", help=text)
    text = "with --teacher, first have a layer learn to predict one of the teacher's; repeatable"
    add("--hints", action="append", type=arguments.layers, metavar="STUDENT_LAYER=TEACHER_LAYER", help=text)
    text = "see 'kerascnn recipes', or a YAML file (default: the model's for few images; with --weights, finetune)"
    add("--recipe", metavar="NAME|FILE", help=text)
    text = "end the network at a stage (C4) or a layer, or where a probe is the most accurate (auto), or not (none)"
    add("--cut", metavar="STAGE|auto", help=text)
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="change a field of the recipe; repeatable")
    arguments.add_image_options(parser, default="the paper's; without --model, chosen with the network")
    add("--epochs", type=arguments.positive, metavar="N", help="passes over the training images")
    text = "stop when the validation accuracy has had no new maximum for N epochs (default: never)"
    add("--early-stopping", type=arguments.positive, metavar="N", help=text)
    text = "reduce the learning rate when the validation accuracy has had no new maximum for N epochs"
    add("--plateau", type=arguments.positive, metavar="N", help=text)
    add("--batch-size", type=arguments.positive, metavar="N", help="images per step")
    add("--seed", type=int, metavar="N", help="of everything random (default: 0)")
    text = "of the computation (default: auto); exports are always float32"
    add("--precision", choices=("auto", "float32", "mixed_float16", "mixed_bfloat16"), help=text)
    text = "balanced: as many images of every class per epoch, those of small classes several times (default: uniform)"
    add("--sampling", choices=("uniform", "balanced"), help=text)
    text = "balanced: every class has the same weight in the loss, however many images it has (default: none)"
    add("--class-weights", choices=("none", "balanced"), help=text)


def recipe_of(options: argparse.Namespace, network: str = "resnet20", image_size: Size | None = None) -> Recipe:
    """The recipe that the options choose, with their changes; `network` and `image_size` if they name none."""
    from kerascnn.applications import registry
    from kerascnn.training import Recipe
    from kerascnn.training.distillation.teacher import find_teacher, with_teacher
    from kerascnn.training.fine_tuning.pretrained import find_weights, with_weights

    model = registry.canonical(options.model) if options.model else None
    name = options.recipe or ("finetune" if options.weights else None)
    recipe = Recipe.load(name) if name else Recipe.for_model(model or network).with_values(image_size=image_size)
    if options.weights:
        recipe = with_weights(recipe, options.weights, model)
    recipe = _with_fields(recipe.with_values(model=model), options)
    if options.teacher:
        recipe = with_teacher(recipe, options.teacher, _hints(options.hints) if options.hints else None)
    if find_teacher(recipe) is None and (
        options.hints or any(one.strip().startswith("distillation") for one in options.set)
    ):
        raise InputError("hints and distillation are of a student with a teacher; name one with --teacher RUN.")
    find_weights(recipe, f"the recipe '{name}'" if name else "the recipe")
    return recipe


def _hints(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The teacher's layers by the student's; InputError for a layer of the student that is to learn two of them."""
    hints: dict[str, str] = {}
    for student, teacher in pairs:
        if hints.setdefault(student, teacher) != teacher:
            raise InputError(
                f"--hints has {student}={hints[student]} and {student}={teacher}: a layer learns to predict one of the "
                "teacher's; leave out one of them."
            )
    return hints


def _with_fields(recipe: Recipe, options: argparse.Namespace) -> Recipe:
    """The recipe with the fields that the options change."""
    fields = ("image_size", "channels", "epochs", "early_stopping", "batch_size", "seed", "precision")
    fields += ("class_weights", "sampling")
    recipe = recipe.with_values(**{field: getattr(options, field) for field in fields})
    if options.plateau:
        plateau = {"name": "plateau", "patience": options.plateau, "warmup_epochs": 0, "warmup_steps": 0}
        recipe = recipe.with_values(schedule=plateau)
    if options.cut:
        recipe = recipe.with_values(fine_tuning={"cut": options.cut})
    return recipe.with_settings(options.set)


def recipe_for(options: argparse.Namespace, data: DataSet, machine: Machine) -> Recipe:
    """As `recipe_of`; options that name no network get one for the images and the machine, which is printed."""
    named = options.model or options.recipe or options.weights
    if named or any(setting.partition("=")[0].strip() == "model" for setting in options.set):
        return recipe_of(options)
    from kerascnn.applications import registry
    from kerascnn.training.default_network import PHOTOGRAPHS, choose_network

    epochs, size = recipe_of(options, PHOTOGRAPHS).epochs, recipe_of(options).image_size
    images, classes = len(data.training), len(data.class_names)
    choice = choose_network(data.median_size, images, classes, machine, epochs=epochs, image_size=size)
    print_message(f"{choice.model} is chosen, because {choice.reason}; choose with --model and --image-size")
    if registry.list_weights(choice.model):
        print_message("it learns from these images alone; --weights imagenet begins with public weights")
    return recipe_of(options, choice.model, choice.image_size)


def _run_recipes(options: argparse.Namespace) -> int:
    from kerascnn.cli.recipe_tables import recipes_table
    from kerascnn.training import recipes

    found = recipes()
    values = [{"name": name, **recipe.to_dict()} for name, recipe in found.items()]
    return print_result(options, values, recipes_table(found))


@jpeg_damage_discarded()
def _run_train(options: argparse.Namespace) -> int:
    # Errors in names and values are reported before TensorFlow's seconds of start-up.
    for service in options.log:
        check_installed(f"--log {service}", service, service)
    if options.folds:
        _check_folds(options)
    if options.accept_changes and not options.resume:
        raise InputError("--accept-changes is for a run that is resumed; give --resume RUN, or leave it out.")
    if not options.resume:
        options.data = options.data or "digits"
    recipe = _resumed_recipe(options) if options.resume else recipe_of(options)
    if not options.print_recipe and _starts_workers(options):
        recipe.check_devices(options.workers)
        return _run_workers(options)
    start_tensorflow()
    from kerascnn.training.strategy import WorkerLostError

    devices = _connect(options)
    recipe.check_devices(devices.replicas)
    try:
        if options.folds:
            return _train_folds(devices, options)
        return _resume(devices, options) if options.resume else _train(devices, options)
    except WorkerLostError as lost:
        print_error(f"kerascnn: {lost}")
        if lost.folder:
            print_error(_resume_command(lost.folder, options))
        return WORKER_LOST


def _resumed_recipe(options: argparse.Namespace) -> Recipe:
    """The run's; InputError for an option that resuming a run cannot change, or if there is no such run."""
    from kerascnn.training.run_folder import RunFolder

    given = [word.partition("=")[0] for word in options.arguments if word.startswith("--")]
    allowed = (*OF_RESUME, *OF_CHANGES) if options.accept_changes else OF_RESUME
    fixed = next((word for word in given if not any(option.startswith(word) for option in allowed)), None)
    if fixed:
        changeable = any(option.startswith(fixed) for option in OF_CHANGES)
        accept = "change it for the rest of the run with --accept-changes, " if changeable else ""
        raise InputError(
            f"--resume continues {options.resume} as it began, so {fixed} cannot be changed; leave it out, {accept}or "
            f"begin a new training from its weights with --weights {options.resume}."
        )
    # Before TensorFlow's seconds of start-up, too.
    return RunFolder.open(options.resume).read_recipe()[0]


def _starts_workers(options: argparse.Namespace) -> bool:
    """Whether this process starts workers instead of being one; `--workers` must not contradict TF_CONFIG or Slurm."""
    cluster = find_cluster()
    if cluster and options.workers not in (None, len(cluster.addresses)):
        raise InputError(
            f"{cluster.source} names {len(cluster.addresses)} workers, but --workers is {options.workers}; "
            "leave one of them out."
        )
    return cluster is None and (options.workers or 1) > 1


def _run_workers(options: argparse.Namespace) -> int:
    """Runs the command once per worker on this machine; returns the status of the first worker that failed."""
    from kerascnn.training.strategy.local_workers import LocalWorkers

    workers = LocalWorkers([sys.executable, "-m", "kerascnn", *options.arguments], options.workers)
    statuses = workers.wait()
    first = workers.first_failed
    if first is None:
        return 0
    status = statuses[first]
    if status in (INTERRUPTED, -signal.SIGTERM) and workers.stop_requested:
        return INTERRUPTED
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    others = "the other was" if len(statuses) == 2 else "the others were"
    print_error(f"kerascnn: worker {first} of {len(statuses)} {how}; {others} stopped.")
    if status >= 0:
        return status
    print_error("Resume from the last checkpoint, if there is one, with --resume RUN.")
    return WORKER_LOST


def _connect(options: argparse.Namespace) -> Devices:
    """Waits for other workers, chooses the devices of `--devices`, and reports them on standard error."""
    cluster = find_cluster()
    if cluster:
        others = ", ".join(address for number, address in enumerate(cluster.addresses) if number != cluster.worker)
        print_message(f"waiting for {others}")
    with discarded_stderr():
        devices = choose_devices(options.devices)
    print_message(str(devices))
    return devices


def _train(devices: Devices, options: argparse.Namespace) -> int:
    from kerascnn import training

    # The chief alone unpacks and checks new data.
    with devices.chief_first():
        data = load(options.data, options.limit, arguments.data_options(options), options.out / "runs")
    machine = training.Machine.of(devices.name, devices.replicas, devices.workers)
    recipe = recipe_for(options, data, machine)
    with devices.chief_first():
        resolved = training.resolved(recipe, data)
    if options.print_recipe:
        print_json(resolved.to_dict()) if options.json else print(resolved.to_yaml(), end="")
        return 0
    devices.share(resolved.batch_size)
    steps = (resolved.epochs - resolved.fine_tuning.probe) * training.steps_per_epoch(resolved, data)
    if options.profile and options.profile[0] > steps:
        raise InputError(f"--profile begins with step {options.profile[0]}, but the training has {steps} steps.")
    if devices.chief:
        _report_choices(recipe, resolved, data, devices)
        _report_probe(resolved, data, options.json)
    run_config = _run_config(options, training.RunConfig())
    start = partial(
        training.train, recipe, data, runs=options.out / "runs", limit=options.limit, run_config=run_config, verbose=0
    )
    return _finish(start, resolved, data, options, devices)


def _check_folds(options: argparse.Namespace) -> None:
    """Raises InputError if other options contradict `--folds`."""
    if options.folds < 2:
        raise InputError(f"--folds must be at least 2, not {options.folds}.")
    given = arguments.data_options(options)
    others = [("--resume", options.resume), ("--profile", options.profile), ("--workers", (options.workers or 1) > 1)]
    others.append((", ".join(given.validation_options), given.chooses_validation))
    for name, is_given in others:
        if is_given:
            hint = "; repeat the command to resume it" if name == "--resume" else ""
            raise InputError(f"--folds {options.folds} and {name} exclude each other{hint}.")


def _train_folds(devices: Devices, options: argparse.Namespace) -> int:
    """Trains each fold in turn, or takes its completed run, and prints the table of all."""
    from kerascnn import training
    from kerascnn.cli.tables import folds_table
    from kerascnn.data.ingestion.ingest import load as load_silently
    from kerascnn.experiments.folds import train_folds

    if devices.workers > 1:
        raise InputError("--folds trains on one machine; leave out the other workers.")
    parts = options.folds
    of_fold = [replace(arguments.data_options(options), fold=(part, parts)) for part in range(1, parts + 1)]
    first = load(options.data, options.limit, of_fold[0], options.out / "runs")
    recipe = recipe_for(options, first, training.Machine.of(devices.name, devices.replicas, devices.workers))
    resolved = training.resolved(recipe, first)
    if options.print_recipe:
        print_json(resolved.to_dict()) if options.json else print(resolved.to_yaml(), end="")
        return 0
    _report_choices(recipe, resolved, first, devices)
    others = (load_silently(options.data, limit=options.limit, options=one) for one in of_fold[1:])
    folder = options.out / "runs" / f"{recipe.model}-{first.name}-{parts}-folds"
    more = {"limit": options.limit, "devices": devices, "run_config": _run_config(options, training.RunConfig())}
    callbacks = partial(progress_callbacks, data=first, as_json=options.json, services=options.log)
    try:
        folds = train_folds(
            recipe, itertools.chain([first], others), folder, callbacks=callbacks, report=print_message, **more
        )
    except training.TrainingInterruptedError as stopped:
        command = shlex.join(["kerascnn", *map(concealed, options.arguments)])
        print_error(f"kerascnn: {stopped}\nResume with the same command: {command}")
        return INTERRUPTED
    if options.json:
        print_json({"event": "folds", "layout": first.layout, **folds.to_dict()}, indent=None)
    else:
        folds_table(folds)
    return NO_TRIAL_SUCCEEDED if any(fold.run.diverged for fold in folds.runs) else 0


def _resume(devices: Devices, options: argparse.Namespace) -> int:
    from kerascnn import training

    folder = training.RunFolder.open(options.resume)
    recipe, source, limit, _ = folder.read_recipe()
    recipe, loading = _with_fields(recipe, options), folder.read_data_options()
    if options.val_data:
        loading = replace(loading, validation_source=options.val_data)
    if not options.data and os.path.isabs(source) and not os.path.exists(source):
        raise InputError(f"the data of {folder.path} are not at {source} any more; name their place with --data.")
    with devices.chief_first():
        data = load(options.data or source, limit, loading)
    options.out = Path(os.path.relpath(folder.path.resolve().parent.parent))
    run_config = _run_config(options, folder.read_run_config())
    how = {"run_config": run_config, "warn": print_message, "verbose": 0, "accept_changes": options.accept_changes}
    start = partial(training.resume, folder, recipe, data, **how)
    return _finish(start, recipe, data, options, devices)


def _run_config(options: argparse.Namespace, before: RunConfig) -> RunConfig:
    given = {"checkpoint_minutes": options.checkpoint_every, "best": options.keep_best, "cache": options.cache}
    given["deterministic"] = options.deterministic or None
    return replace(before, **{name: value for name, value in given.items() if value is not None})


def _resume_command(folder: RunFolder, options: argparse.Namespace) -> str:
    workers = f" --workers {options.workers}" if options.workers else ""
    devices = f" --devices {options.devices}" if options.devices != "auto" else ""
    log = f" --log {','.join(options.log)}" if options.log else ""
    return f"Resume with: kerascnn train --resume {folder.path}{workers}{devices}{log}"


def _finish(
    start: Callable[..., Run], recipe: Recipe, data: DataSet, options: argparse.Namespace, devices: Devices
) -> int:
    """Trains, and on the chief evaluates, exports and reports."""
    from kerascnn import training
    from kerascnn.console import track

    try:
        callbacks = progress_callbacks(recipe, data, options.json, options.log) if devices.chief else []
        run = start(callbacks=callbacks, devices=devices, profile=options.profile)
        if not devices.chief:
            return 0
        try:
            with stopping_between(track) as stoppable:
                return _export_and_report(run, recipe, data, options, stoppable)
        except KeyboardInterrupt:
            raise training.TrainingInterruptedError(run.folder, run.position) from None
    except training.TrainingInterruptedError as stopped:
        if devices.chief:
            print_error(f"kerascnn: {stopped}\n{_resume_command(stopped.folder, options)}")
        return INTERRUPTED


def _export_and_report(run: Run, recipe: Recipe, data: DataSet, options: argparse.Namespace, track: Track) -> int:
    from kerascnn import evaluation
    from kerascnn.cli.tables import verification_table
    from kerascnn.evaluation.keras_models import load_keras
    from kerascnn.evaluation.metrics import majority_baseline, top_accuracy
    from kerascnn.evaluation.multi_label import constant_baseline
    from kerascnn.evaluation.run_report import report_run

    file, choice = run.folder.epoch_model(options.export)
    model = run.model if file == run.folder.model_file else load_keras(file)
    predictor = evaluation.KerasPredictor(model, file)
    scores = evaluation.evaluate(predictor, data, track=track)
    baseline = constant_baseline(scores) if data.multi_label else majority_baseline(scores)
    report_run(run.folder, scores, f"{recipe.model} on {data.name}", data.validation, predictor.metadata)
    print_message(f"{choice}; verifying every file on {len(data.validation)} images")
    exported = export_run(file, data, run.folder, options.out / "saved_models", scores=scores, track=track)
    if options.json:
        report = {"event": "report", "run": str(run.folder.path), "training_seconds": round(run.seconds, 1)}
        report |= {"layout": data.layout}
        if data.multi_label:
            report |= {"map": baseline.map, "constant_baseline": baseline.to_dict()}
        else:
            report |= {**top_accuracy(scores).to_dict(), "majority_class": baseline and baseline.to_dict()}
        print_json({**report, **export_report(exported)}, indent=None)
    else:
        watch = f"watch it with: tensorboard --logdir {run.folder.path.parent}"
        print_message(f"trained in {run.seconds:.0f} s; run folder {run.folder.path}; {watch}")
        if baseline:
            print_message(f"validation: {baseline}")
            single = not (data.multi_label or options.resume)
            if single and baseline.model.high - baseline.model.low > WIDE_INTERVAL:
                images = len(data.training) + len(data.validation)
                hint = f"--folds 5 measures on all {images} images, and gives a narrower interval"
                print_message(
                    f"{len(data.validation)} images cannot tell models apart that differ by a few percent; {hint}"
                )
        verification_table(exported, options.verbose)
        print_message(f"{time.monotonic() - options.started:.0f} s in all")
    return export_status(exported)


def progress_callbacks(
    recipe: Recipe, data: DataSet, as_json: bool = False, services: Sequence[str] = ()
) -> list[Callback]:
    """The callbacks that show a training's progress, here and at the services of `--log`."""
    from kerascnn.cli.tables import plan_table
    from kerascnn.console import messages
    from kerascnn.training import steps_per_epoch
    from kerascnn.training.callbacks.loggers import LOGGERS
    from kerascnn.training.callbacks.progress_bar import JsonLines, LiveProgress, PlanReporter

    def report_plan(rows: list[PlanRow]) -> None:
        if as_json:
            print_json({"event": "fine_tuning", "stages": [row._asdict() for row in rows]}, indent=None)
        else:
            messages().print(plan_table(rows, recipe.epochs))

    live = LiveProgress(recipe.epochs, steps_per_epoch(recipe, data), recipe.batch_size, messages())
    tuning = recipe.fine_tuning
    planned = tuning.weights and recipe.epochs > tuning.probe and not tuning.tunes_after_probe
    plan = [PlanReporter(tuning, report_plan)] if planned else []
    loggers = [LOGGERS[service]() for service in dict.fromkeys(services)]
    return [*loggers, *plan, JsonLines(recipe.epochs) if as_json else live]


def _report_probe(recipe: Recipe, data: DataSet, as_json: bool) -> None:
    """Prints the table of the places where the network can be cut, if the recipe has a probe."""
    from kerascnn.cli.tables import probe_table
    from kerascnn.console import messages
    from kerascnn.training import linear_probe

    result = linear_probe(recipe, data)
    if result is None:
        return
    if as_json:
        print_json({"event": "probe", **result.to_dict()}, indent=None)
    else:
        messages().print(probe_table(result, data.multi_label))


def _report_choices(recipe: Recipe, resolved: Recipe, data: DataSet, devices: Devices) -> None:
    """Prints the values that were chosen automatically, with the reasons."""
    from kerascnn.applications import registry
    from kerascnn.cli.recipe_tables import format_learning_rate, format_pixels
    from kerascnn.training import choose_precision
    from kerascnn.training.distillation.teacher import describe_teacher
    from kerascnn.training.recipe.fields import BEST, WHOLE
    from kerascnn.training.strategy import choose_xla

    size, color = ImageSize.of(resolved.image_size), ", gray" if resolved.channels == GRAY else ""
    order = "" if size.height == size.width else " (height x width)"
    lines = [f"{resolved.model} at {size} pixels{order}{color}, seed {resolved.seed}"]
    lines.append(f"precision {resolved.precision}: {choose_precision(recipe.precision).reason}")
    with devices.scope():
        use, reason = choose_xla()
        lines.append(f"XLA {'on' if use else 'off'}: {reason}")
    if resolved.epochs > resolved.fine_tuning.probe:
        lines.append(format_learning_rate(resolved))
    if resolved.fine_tuning.weights:
        lines.append(f"begins with {resolved.fine_tuning.weights}; pixels {format_pixels(resolved)}")
    tuning = resolved.fine_tuning
    if recipe.fine_tuning.cut == WHOLE != tuning.cut:
        lines.append(f"the weights end at {tuning.cut}: the network is cut there, and gets a new classifier")
    if recipe.fine_tuning.cut == BEST and not tuning.probe:
        lines.append(f"cut at {tuning.cut}, where a linear probe is the most accurate; choose with --cut")
    if resolved.distillation.teacher:
        heads = bool(registry.info(resolved.model).aux_heads) and resolved.auxiliary_heads.use
        lines.append(describe_teacher(resolved, heads))
    if resolved.about.networks and resolved.model not in resolved.about.networks:
        lines.append(f"the recipe is for {', '.join(resolved.about.networks)}, not for {resolved.model}")
    if resolved.batch_size < recipe.batch_size:
        lines.append(f"batches of {resolved.batch_size}: there are no more training images")
    if data.multi_label:
        lines.append("any number of classes per image: sigmoid, binary cross-entropy, best epoch by mAP")
    if resolved.class_weights == "balanced":
        # Of multi-label data, those of the images with the class are last.
        weights = sorted(
            zip(data.class_weights().reshape(-1, len(data.class_names))[-1], data.class_names, strict=True)
        )
        (least, frequent), (greatest, rare) = weights[0], weights[-1]
        lines.append(f"class weights from {least:.2f} ({frequent}) to {greatest:.2f} ({rare})")
    if recipe.augmentation.mixes and not resolved.augmentation.mixes:
        fewest = f"fewer than augmentation.mix_from ({recipe.augmentation.mix_from})"
        lines.append(
            f"no mixup or cutmix: {len(data.training)} training images are {fewest}; 0 mixes them all the same"
        )
    if recipe.augmentation.flip and not resolved.augmentation.flip:
        lines.append(f"horizontal flips are disabled: a mirrored image of {data.name} can belong to another class")
    print_message(*lines)
