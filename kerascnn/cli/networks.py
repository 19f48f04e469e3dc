"""`kerascnn models`, `describe` and `compare`: lists the networks and analyzes their costs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from kerascnn.cli.arguments import Subcommands, add_image_options, positive
from kerascnn.cli.loading import model_file, print_json, print_message, print_result, start_tensorflow
from kerascnn.errors import InputError, refused
from kerascnn.image_shape import RGB, ImageSize


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds `models`, `describe` and `compare`."""
    models = subcommands.add(
        "models",
        _run_models,
        "list the networks",
        "kerascnn models",
        "kerascnn models --weights",
        "kerascnn models --json",
    )
    models.add_argument("--weights", action="store_true", help="list the public weights of the networks instead")
    describe = subcommands.add(
        "describe",
        _run_describe,
        "show the cost of a network, layer by layer",
        "kerascnn describe vgg16",
        "kerascnn describe resnet50 --image-size 128 --classes 10",
        "kerascnn describe googlenet --image-size 240x320 --channels 1",
        "kerascnn describe runs/resnet20-digits-20261120-101500/model.keras --json",
        "kerascnn describe googlenet --markdown > googlenet.md",
    )
    text = "a network, see 'kerascnn models', or a .keras file or run folder"
    describe.add_argument("model", metavar="NAME|FILE", help=text)
    describe.output_formats.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    add_image_options(describe, default="the paper's")
    describe.add_argument("--classes", type=positive, metavar="N", help="number of classes (default: the paper's)")
    compare = subcommands.add(
        "compare",
        _run_compare,
        "compare the cost and accuracy of networks",
        "kerascnn compare vgg16 googlenet resnet50",
        "kerascnn compare alexnetv2 vgg16 googlenet resnet50 resnet152 --plot accuracy.png",
    )
    compare.add_argument("models", nargs="+", metavar="NAME", help="see 'kerascnn models'")
    text = "plot accuracy against operations (.png, .svg or .pdf)"
    compare.add_argument("--plot", type=Path, metavar="FILE", help=text)


def _run_models(options: argparse.Namespace) -> int:
    from kerascnn.applications import registry
    from kerascnn.console import table

    if options.weights:
        return _list_weights(options)
    columns = ("model", "paper", "input", "parameters", "top-1 accuracy", "top-5 accuracy", "measured with")
    optional = ("measured with", "parameters", "input")
    networks = table(*columns, text_columns=2, padding=(0, 1), optional=optional)
    networks.columns[0].no_wrap, networks.columns[6].justify = True, "left"
    for name, entry in registry.REGISTRY.items():
        first = entry.accuracies[0] if entry.accuracies else None
        numbers = ((entry.published_parameters, "M"), (first and first.top1, " %"), (first and first.top5, " %"))
        texts = ("–" if number is None else f"{number:g}{unit}" for number, unit in numbers)
        how = f"{entry.data}{', ' if first.protocol else ''}{first.protocol}" if first else ""
        networks.add_row(name, f"{entry.paper.partition(',')[0]} {entry.year}", f"{entry.input_size}", *texts, how)
    values = [{"name": name, **entry.to_dict()} for name, entry in registry.REGISTRY.items()]
    return print_result(options, values, networks)


def _list_weights(options: argparse.Namespace) -> int:
    from kerascnn.applications import registry
    from kerascnn.applications.weights.public import WEIGHTS
    from kerascnn.console import table

    columns = ("model", "weights", "top-1", "top-5", "pixels", "crop")
    listed = table(*columns, text_columns=2, padding=(0, 1), optional=("pixels", "crop", "top-5"))
    listed.columns[0].no_wrap = listed.columns[1].no_wrap = True
    origins: dict[str, list[str]] = {}
    # The files without the classifier belong to those with it.
    for file in (file for file in WEIGHTS if file.include_top):
        name = registry.canonical(file.network)
        normalized = " (batch_norm)" if file.arguments.get("batch_norm") else ""
        numbers = (f"{file.top1:g} %", f"{file.top5:g} %", f"{file.input_size}", f"{100 * file.crop_fraction:.4g} %")
        listed.add_row(name, f"{file.name}{normalized}", *numbers)
        origin = f"license {file.license}; resampling {file.resampling}; source {file.source}"
        origins.setdefault(f"{file.name.partition('/')[0]}: {origin}", []).append(name)
    lines = (f"{', '.join(dict.fromkeys(names))} of {origin}" for origin, names in origins.items())
    return print_result(options, [file.to_dict() for file in WEIGHTS], listed, *lines)


def _run_describe(options: argparse.Namespace) -> int:
    from kerascnn.applications import registry

    file = _keras_file(options.model)
    name = None if file else registry.canonical(options.model)
    if file and (options.image_size or options.channels or options.classes):
        raise InputError(
            f"--image-size, --channels and --classes apply to networks given by name, and {file} is a model file."
        )
    start_tensorflow()
    from kerascnn.complexity import analyze, analyze_by_name, published, tables
    from kerascnn.console import output
    from kerascnn.evaluation.keras_models import load_keras
    from kerascnn.layers import channels_first

    arguments: dict[str, Any] = {"classes": options.classes} if options.classes else {}
    if options.image_size or options.channels:
        size = ImageSize.of(options.image_size or registry.info(name).input_size)
        channels = options.channels or RGB
        arguments["input_shape"] = (channels, *size) if channels_first() else (*size, channels)
    if file:
        model = load_keras(file)
        # Models of others may be any.
        with refused(f"{file} cannot be described"):
            report = analyze(model)
    else:
        report = analyze_by_name(name, **arguments)
    # Published numbers are for the paper's image size and classes.
    numbers = published.published_numbers(name, report) if name and not arguments else []
    if options.json:
        print_json({**report.to_dict(), "published": [number.to_dict() for number in numbers]})
    elif options.markdown:
        print("\n\n".join([report.to_markdown(), *published.to_markdown(numbers)]))
    else:
        console = output()
        console.print(tables.description(report, numbers, console))
    return 0


def _run_compare(options: argparse.Namespace) -> int:
    from kerascnn.applications import registry
    from kerascnn.complexity import diagram

    names = list(dict.fromkeys(registry.canonical(name) for name in options.models))
    if options.plot:
        diagram.check(options.plot, names)
    start_tensorflow()
    from kerascnn.complexity import analyze_by_name, published, tables
    from kerascnn.console import track

    reports = {name: analyze_by_name(name) for name in track(names, len(names), "analyzing")}
    found = (number for name in names for number in published.published_numbers(name, reports[name]))
    numbers = [number for number in found if number.subject in names]
    rows = []
    for name, info in ((name, registry.info(name)) for name in names):
        published_here = [number.to_dict() for number in numbers if number.subject == name]
        accuracies = {"data": info.data, "accuracies": [one._asdict() for one in info.accuracies]}
        rows.append({"name": name, **reports[name].totals.to_dict(), "published": published_here, **accuracies})
    print_result(options, rows, tables.comparison(reports, numbers))
    if options.plot:
        print_message(*diagram.draw(reports, options.plot), f"plot: {options.plot}")
    return 0


def _keras_file(text: str) -> Path | None:
    """The file that `text` names; None if it can only be the name of a network."""
    from kerascnn.applications import registry

    path = Path(text)
    looks_like_a_path = path.suffix or len(path.parts) > 1 or path.exists()
    if not looks_like_a_path or text in registry.REGISTRY:
        return None
    file = model_file(path, "a network's name, a .keras file or a run folder")
    if file.suffix != ".keras":
        raise InputError(f"{path} is not a .keras file; the layers of other formats are unknown.")
    return file
