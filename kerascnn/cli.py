"""The `kerascnn` command: one thin function a verb.

Nothing heavy is imported here; each verb imports what it needs, so that `--help` is instant.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import kerascnn
from kerascnn.errors import InputError

if TYPE_CHECKING:
    from kerascnn.data import DataSet
    from kerascnn.export import Export
    from kerascnn.training import Recipe, Run, RunFolder

DEFAULT_MODEL = "resnet20"

SOURCES = (
    "'digits', a folder with one subfolder a class, the path or URL of a .zip or .tar of one, "
    "a folder of TFRecord shards, 'keras:NAME' or 'tfds:NAME'"
)

# Said here as well, because `--help` does not wait for what exports.
FORMATS = ("savedmodel", "tflite")
QUANTIZATIONS = ("none", "float16", "dynamic", "int8", "int16x8")

INTERRUPTED = 130
EXPORT_DISAGREES = 1
MISTAKE = 2


class Parser(argparse.ArgumentParser):
    """argparse, with one sentence for a mistake instead of the usage."""

    def error(self, message: str) -> NoReturn:
        """Ends the program with status 2."""
        raise InputError(f"{message}; see '{self.prog} --help'.")


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and ends the process with its status."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        options = _parser().parse_args(arguments)
        # A scheduler's request to stop is treated as the user's.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        status = options.run(options)
    except InputError as error:
        print(f"kerascnn: {error}", file=sys.stderr)
        status = MISTAKE
    except KeyboardInterrupt:
        print("kerascnn: stopped.", file=sys.stderr)
        status = INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left, as `head` does; nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 0
    sys.exit(status)


def run_models(options: argparse.Namespace) -> int:
    """`kerascnn models`."""
    from kerascnn.applications import registry
    from kerascnn.console import models_table, output

    if options.json:
        _print_json([{"name": name, **entry.to_dict()} for name, entry in registry.REGISTRY.items()])
    else:
        output().print(models_table(registry.REGISTRY))
    return 0


def run_describe(options: argparse.Namespace) -> int:
    """`kerascnn describe`."""
    from kerascnn.applications import registry

    if options.json and options.markdown:
        raise InputError("--json and --markdown exclude each other; say one of them.")
    file = _keras_file(options.model)
    name = None if file else registry.canonical(options.model)
    if file and (options.image_size or options.classes):
        raise InputError(f"--image-size and --classes are for networks by name; {file} has its own.")
    _start_tensorflow()
    from kerascnn.complexity import analyze, analyze_by_name, published, tables
    from kerascnn.console import output
    from kerascnn.evaluation.predictors import load_keras

    arguments = _builder_arguments(options)
    report = analyze(load_keras(file)) if file else analyze_by_name(name, **arguments)
    # What is published is of the paper's own image size and classes.
    figures = published.figures(name, report) if name and not arguments else []
    if options.json:
        _print_json({**report.to_dict(), "published": [figure.to_dict() for figure in figures]})
    elif options.markdown:
        print("\n\n".join([report.to_markdown(), *published.to_markdown(figures)]))
    else:
        console = output()
        console.print(tables.description(report, figures, console))
    return 0


def run_compare(options: argparse.Namespace) -> int:
    """`kerascnn compare`."""
    from kerascnn.applications import registry
    from kerascnn.complexity import picture

    names = list(dict.fromkeys(registry.canonical(name) for name in options.models))
    if options.plot:
        picture.check(options.plot, names)
    _start_tensorflow()
    from kerascnn.complexity import analyze_by_name, published, tables
    from kerascnn.console import messages, output, track

    reports = {name: analyze_by_name(name) for name in track(names, len(names), "analysing")}
    figures = [figure for name in names for figure in published.figures(name, reports[name]) if figure.subject == name]
    if options.json:
        _print_json(
            [
                {
                    "name": name,
                    **reports[name].totals.to_dict(),
                    "published": [figure.to_dict() for figure in figures if figure.subject == name],
                    "data": registry.info(name).data,
                    "errors": [error._asdict() for error in registry.info(name).errors],
                }
                for name in names
            ]
        )
    else:
        output().print(tables.comparison(reports, figures))
    if options.plot:
        for note in [*picture.draw(reports, options.plot), f"picture in {options.plot}"]:
            messages().print(note, highlight=False, markup=False, soft_wrap=True)
    return 0


def _builder_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """What the options ask for that is not the builder's default."""
    from kerascnn.layers import channels_first

    arguments: dict[str, Any] = {"classes": options.classes} if options.classes else {}
    if options.image_size:
        size = (options.image_size, options.image_size)
        arguments["input_shape"] = (3, *size) if channels_first() else (*size, 3)
    return arguments


def _keras_file(text: str) -> Path | None:
    """The file that `text` names; None where it can only be the name of a network."""
    from kerascnn.applications import registry

    path = Path(text)
    looks_like_a_path = path.suffix or len(path.parts) > 1 or path.exists()
    if not looks_like_a_path or text in registry.REGISTRY:
        return None
    file = path / "model.keras" if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"there is no model at {path}; give a network's name, a .keras file or a run folder.")
    if file.suffix != ".keras":
        raise InputError(f"{path} is no .keras file, and the layers of other forms are not known.")
    return file


def run_recipes(options: argparse.Namespace) -> int:
    """`kerascnn recipes`."""
    from kerascnn.console import output, recipes_table
    from kerascnn.training import recipes

    if options.json:
        _print_json([{"name": name, **recipe.to_dict()} for name, recipe in recipes().items()])
    else:
        output().print(recipes_table(recipes()))
    return 0


def run_ingest(options: argparse.Namespace) -> int:
    """`kerascnn ingest`."""
    from kerascnn import data
    from kerascnn.console import output, track, track_bytes
    from kerascnn.console_ingestion import show

    found = data.ingest(
        options.source,
        to=options.to,
        on_bad=options.on_bad,
        sha256=options.sha256,
        track=track,
        track_bytes=track_bytes,
    )
    records = data.write_records(found.data, options.tfrecord, track=track) if options.tfrecord else None
    if options.json:
        _print_json({**found.to_dict(), "records": records and str(records)})
    else:
        show(output(), found, records)
    return 0


def run_train(options: argparse.Namespace) -> int:
    """`kerascnn train`: train, evaluate, export."""
    if options.resume:
        return _resume(options)
    # A mistake in a name or a value is told before TensorFlow's seconds of start-up.
    recipe = _recipe(options)
    _start_tensorflow()
    from kerascnn import training

    data = _load(options.data, options.limit)
    resolved = training.resolved(recipe, data)
    if options.print_recipe:
        _print_json(resolved.to_dict()) if options.json else print(resolved.to_yaml(), end="")
        return 0
    _say_what_runs(recipe, resolved, data)
    return _finish(
        lambda callbacks: training.train(
            recipe, data, runs=options.out / "runs", limit=options.limit, callbacks=callbacks
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
    _start_tensorflow()
    from kerascnn import training

    folder = training.RunFolder.open(options.resume)
    recipe, source, limit, _ = folder.read_recipe()
    data = _load(source, limit)
    options.out = Path(os.path.relpath(folder.path.resolve().parent.parent))
    return _finish(lambda callbacks: training.resume(folder, recipe, data, callbacks=callbacks), recipe, data, options)


def _finish(start: Callable[[list], Run], recipe: Recipe, data: DataSet, options: argparse.Namespace) -> int:
    """Trains, then does what comes after every training."""
    from kerascnn import evaluation, training
    from kerascnn.console import messages, track, verification_table
    from kerascnn.evaluation.run_report import report_run
    from kerascnn.training.progress import LiveProgress

    steps = training.steps_per_epoch(recipe, data)
    try:
        run = start([LiveProgress(recipe.epochs, steps, recipe.batch_size, messages())])
    except training.Interrupted as stopped:
        print(
            f"kerascnn: {stopped}\nGo on with: kerascnn train --resume {stopped.folder.path}",
            file=sys.stderr,
        )
        return INTERRUPTED
    scores = evaluation.evaluate(evaluation.KerasPredictor(run.model, run.folder.model_file), data, track=track)
    report_run(run.folder, scores, f"{recipe.model} on {data.name}")
    name = f"{recipe.model}-{data.name}"
    exported = _export(run.folder.model_file, data, options.out / "saved_models" / name, run.folder)
    report = {
        "run": str(run.folder.path),
        "training_seconds": round(run.seconds, 1),
        "validation_accuracy": scores.accuracy(),
        **_export_report(exported),
    }
    if options.json:
        _print_json(report)
    else:
        messages().print(
            f"trained in {run.seconds:.0f} s; run folder {run.folder.path}; "
            f"watch it with: tensorboard --logdir {run.folder.path.parent}",
            soft_wrap=True,
        )
        verification_table(exported)
    return _export_status(exported)


def run_evaluate(options: argparse.Namespace) -> int:
    """`kerascnn evaluate`."""
    source, limit = _data_of(options)
    _start_tensorflow()
    from kerascnn import evaluation
    from kerascnn.console import output, scores_table, track

    predictor = evaluation.open_predictor(options.model)
    data = _load(source, limit)
    scores = evaluation.evaluate(predictor, data, track=track)
    if options.json:
        _print_json(
            {
                "model": str(options.model),
                "data": data.source,
                "pictures": len(scores.labels),
                "top1_error": 1 - scores.accuracy(),
                "top5_error": 1 - scores.accuracy(5),
                "class_names": scores.class_names,
                "confusion": scores.confusion().tolist(),
            }
        )
    else:
        output().print(scores_table(scores, f"{predictor.kind} on {data.name}, {len(scores.labels)} pictures"))
    return 0


def run_export(options: argparse.Namespace) -> int:
    """`kerascnn export`."""
    source, limit = _data_of(options)
    model = options.model / "model.keras" if options.model.is_dir() else options.model
    if not model.is_file():
        raise InputError(f"there is no model at {options.model}; give a .keras file or a run folder.")
    _start_tensorflow()
    from kerascnn.console import verification_table
    from kerascnn.export import Tolerance
    from kerascnn.training import RunFolder

    data = _load(source, limit)
    folder = RunFolder(model.parent) if (model.parent / "recipe.yaml").is_file() else None
    if options.to:
        target = options.to
    elif folder:
        target = Path("saved_models") / f"{folder.read_recipe()[0].model}-{data.name}"
    else:
        target = Path("saved_models") / f"{model.stem}-{data.name}"
    exported = _export(
        model,
        data,
        target,
        folder,
        formats=options.formats,
        quantize=options.quantize,
        calibration=_load(options.calibrate, None) if options.calibrate else None,
        pixels=options.pixels,
        tolerance=Tolerance(changed=options.tolerance),
    )
    if options.json:
        _print_json(_export_report(exported))
    else:
        verification_table(exported)
    return _export_status(exported)


def run_predict(options: argparse.Namespace) -> int:
    """`kerascnn predict`."""
    from kerascnn.data.pictures import read_picture

    pictures = [read_picture(path) for path in options.images]
    _start_tensorflow()
    from kerascnn.console import output, prediction_table
    from kerascnn.data.pipeline import views_of
    from kerascnn.evaluation import open_predictor

    predictor = open_predictor(options.model)
    facts = predictor.facts
    probabilities = predictor.probabilities(views_of(pictures, facts.image_size, facts.crop_fraction))
    predictions = []
    for path, row in zip(options.images, probabilities, strict=True):
        best = row.argsort()[::-1][: options.top]
        top = [{"label": facts.class_names[index], "probability": float(row[index])} for index in best]
        predictions.append({"image": str(path), "top": top})
    if options.json:
        _print_json(predictions)
    else:
        output().print(prediction_table(predictions))
    return 0


def _start_tensorflow() -> None:
    """Imports TensorFlow without what it has to say about this processor."""
    from kerascnn.native_output import discarded_stderr

    with discarded_stderr():
        import tensorflow  # noqa: F401


def _load(source: str, limit: int | None) -> DataSet:
    from kerascnn import data
    from kerascnn.console import messages, track, track_bytes
    from kerascnn.console_ingestion import say
    from kerascnn.data.dataset import shortened

    found = data.ingest(source, track=track, track_bytes=track_bytes)
    loaded = shortened(found.data, limit)
    say(messages(), found, loaded)
    return loaded


def _say_what_runs(recipe: Recipe, resolved: Recipe, data: DataSet) -> None:
    from kerascnn.console import learning_rate_in_words, messages
    from kerascnn.training import choose_precision

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


def _data_of(options: argparse.Namespace) -> tuple[str, int | None]:
    """The data that were asked for, or those the model's run folder names."""
    if not options.model.exists():
        raise InputError(f"there is no model at {options.model}.")
    if options.data:
        return options.data, options.limit
    for path in (options.model, options.model.parent):
        if (path / "recipe.yaml").is_file():
            _start_tensorflow()
            from kerascnn.training import RunFolder

            _, source, limit, _ = RunFolder.open(path).read_recipe()
            return source, options.limit or limit
    raise InputError(f"{options.model} lies in no run folder that names its data; say --data SOURCE.")


def _export(model: Path, data: DataSet, target: Path, folder: RunFolder | None, **options: Any) -> Export:
    from kerascnn.console import track
    from kerascnn.export import export
    from kerascnn.training.recipe_files import read_yaml

    origin = read_yaml(folder.recipe_file) if folder else None
    return export(model, data, target, origin=origin, track=track, **options)


def _export_report(exported: Export) -> dict[str, Any]:
    return {"export": str(exported.folder) if exported.folder else None, **exported.verification.to_dict()}


def _export_status(exported: Export) -> int:
    for failure in exported.verification.failures:
        print(f"kerascnn: {failure} Nothing was published.", file=sys.stderr)
    return EXPORT_DISAGREES if exported.verification.failures else 0


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not '{text}'")
    return number


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not '{text}'")
    return share


def _some_of(*known: str) -> Callable[[str], tuple[str, ...]]:
    """Reads some of these words, with commas between them."""

    def read(text: str) -> tuple[str, ...]:
        words = tuple(dict.fromkeys(text.split(",")))
        for word in words:
            if word not in known:
                raise argparse.ArgumentTypeError(f"takes some of {', '.join(known)}, not '{word}'")
        return words

    return read


def _parser() -> Parser:
    parser = Parser(
        prog="kerascnn",
        description="Classic image networks: train on your pictures, watch, evaluate, export, predict.",
        epilog="Example: kerascnn train --model googlenet --data pets.zip",
    )
    parser.add_argument("--version", action="version", version=f"kerascnn {kerascnn.__version__}")
    verbs = parser.add_subparsers(title="verbs", dest="verb", required=True, metavar="VERB")

    def verb(name: str, run: Callable, summary: str, examples: str) -> Parser:
        added = verbs.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(run=run)
        added.add_argument("--json", action="store_true", help="print JSON for machines instead of tables")
        return added

    verb("models", run_models, "list the networks", "  kerascnn models\n  kerascnn models --json")
    verb("recipes", run_recipes, "list the recipes", "  kerascnn recipes\n  kerascnn recipes --json")
    _describe_options(
        verb(
            "describe",
            run_describe,
            "show what a network costs, layer by layer",
            "  kerascnn describe vgg16\n"
            "  kerascnn describe resnet50 --image-size 128 --classes 10\n"
            "  kerascnn describe runs/resnet20-digits-20261120-101500/model.keras --json\n"
            "  kerascnn describe googlenet --markdown > googlenet.md",
        )
    )
    compare = verb(
        "compare",
        run_compare,
        "show what networks cost and how accurate they are, side by side",
        "  kerascnn compare vgg16 googlenet resnet50\n"
        "  kerascnn compare alexnetv2 vgg16 googlenet resnet50 resnet152 --plot accuracy.png",
    )
    compare.add_argument("models", nargs="+", metavar="NAME", help="see 'kerascnn models'")
    compare.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw accuracy against operations (.png, .svg or .pdf)"
    )
    _ingest_options(
        verb(
            "ingest",
            run_ingest,
            "check every file of a data set, and say what is in it",
            "  kerascnn ingest photos/\n"
            "  kerascnn ingest pets.zip --to pets && kerascnn train --data pets\n"
            "  kerascnn ingest https://example.org/flowers.tar.gz --to flowers --sha256 6a6d3c…\n"
            "  kerascnn ingest photos/ --on-bad move --json\n"
            "  kerascnn ingest photos/ --tfrecord shards && kerascnn train --data shards",
        )
    )
    _train_options(
        verb(
            "train",
            run_train,
            "train a network, export it and prove the export",
            "  kerascnn train\n"
            "  kerascnn train --model googlenet --data photos/ --epochs 30\n"
            "  kerascnn train --data pets.zip --image-size 64 --limit 200\n"
            "  kerascnn train --recipe cifar_resnet --set optimizer.learning_rate=0.05 --set epochs=3\n"
            "  kerascnn train --model resnet50 --recipe resnet50 --print-recipe\n"
            "  kerascnn train --resume runs/resnet20-digits-20261120-101500",
        )
    )
    evaluate = verb(
        "evaluate",
        run_evaluate,
        "score a model on the validation pictures of a data set",
        "  kerascnn evaluate runs/resnet20-digits-20261120-101500\n"
        "  kerascnn evaluate saved_models/googlenet-pets/googlenet-pets.tflite --data pets.zip",
    )
    export = verb(
        "export",
        run_export,
        "export a trained model to SavedModel and TFLite and prove the files right",
        "  kerascnn export runs/resnet20-digits-20261120-101500\n"
        "  kerascnn export model.keras --data photos/ --to exported/mine\n"
        "  kerascnn export runs/googlenet-pets-20261120-101500 --formats tflite --quantize none,float16,int8",
    )
    _export_options(export)
    for added, what in ((evaluate, "run folder, .keras, .tflite or SavedModel"), (export, "run folder or .keras file")):
        added.add_argument("model", type=Path, metavar="MODEL", help=what)
        _data_options(added, default=None, more=" (default: what the run was trained on)")
    predict = verb(
        "predict",
        run_predict,
        "name what is on pictures",
        "  kerascnn predict saved_models/googlenet-pets/googlenet-pets.tflite cat.jpg dog.webp\n"
        "  kerascnn predict runs/googlenet-pets-20261120-101500 cat.jpg --json",
    )
    predict.add_argument("model", type=Path, metavar="MODEL", help="run folder, .keras, .tflite or SavedModel")
    predict.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="picture files")
    predict.add_argument("--top", type=_positive, default=5, metavar="K", help="how many classes (default: 5)")
    return parser


def _ingest_options(parser: Parser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=SOURCES)
    parser.add_argument(
        "--to",
        type=Path,
        metavar="FOLDER",
        help="gets the unpacked pictures of an archive, the manifest, the quarantine",
    )
    parser.add_argument(
        "--on-bad",
        choices=("skip", "fail", "move"),
        default="skip",
        help="files that cannot be read as images: leave out (default), refuse the source, or move to a quarantine",
    )
    parser.add_argument("--sha256", metavar="HEX", help="what the archive's SHA-256 must be")
    parser.add_argument(
        "--tfrecord", type=Path, metavar="FOLDER", help="write the pictures there as TFRecord shards with an index"
    )


def _export_options(parser: Parser) -> None:
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="where to (default: saved_models/<model>-<data>)")
    parser.add_argument(
        "--formats",
        type=_some_of(*FORMATS),
        default=FORMATS,
        metavar="LIST",
        help=f"of {', '.join(FORMATS)}, with commas (default: both)",
    )
    parser.add_argument(
        "--quantize",
        type=_some_of(*QUANTIZATIONS),
        default=QUANTIZATIONS[:1],
        metavar="LIST",
        help=f"of {', '.join(QUANTIZATIONS)}, with commas: a .tflite file each (default: none)",
    )
    parser.add_argument(
        "--calibrate",
        metavar="SOURCE",
        help="data whose training pictures calibrate int8 and int16x8 (default: --data)",
    )
    parser.add_argument(
        "--pixels", choices=("uint8", "int8"), default="uint8", help="what an int8 file takes (default: uint8)"
    )
    parser.add_argument(
        "--tolerance",
        type=_share,
        metavar="SHARE",
        help="of the pictures that a quantized file may name otherwise "
        "(default: 0.005 float16, 0.01 int16x8, 0.03 dynamic and int8)",
    )


def _data_options(parser: Parser, default: str | None, more: str) -> None:
    parser.add_argument("--data", default=default, metavar="SOURCE", help=f"{SOURCES}{more}")
    parser.add_argument("--limit", type=_positive, metavar="N", help="use at most N pictures")


def _describe_options(parser: Parser) -> None:
    parser.add_argument("model", metavar="NAME|FILE", help="a network, see 'kerascnn models', or a .keras file or run")
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    parser.add_argument(
        "--image-size", type=_positive, metavar="PIXELS", help="height and width (default: the paper's)"
    )
    parser.add_argument("--classes", type=_positive, metavar="N", help="number of classes (default: the paper's)")


def _train_options(parser: Parser) -> None:
    parser.add_argument("--model", metavar="NAME", help="see 'kerascnn models' (default: resnet20)")
    _data_options(parser, default="digits", more=" (default: digits, which come with the package)")
    parser.add_argument(
        "--recipe", metavar="NAME|FILE", help="see 'kerascnn recipes', or a YAML file (default: the model's for few)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change a field of the recipe; repeatable"
    )
    parser.add_argument("--print-recipe", action="store_true", help="print what would run, as YAML, and end")
    parser.add_argument(
        "--image-size", type=_positive, metavar="PIXELS", help="height and width (default: the paper's)"
    )
    parser.add_argument("--epochs", type=_positive, metavar="N", help="passes over the training pictures")
    parser.add_argument("--batch-size", type=_positive, metavar="N", help="pictures a step")
    parser.add_argument("--seed", type=int, metavar="N", help="of everything random (default: 0)")
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "mixed_float16", "mixed_bfloat16"),
        help="of the computation (default: auto); exports are float32 always",
    )
    parser.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="gets runs/ and saved_models/")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with a run that was stopped")
