"""`kerascnn models`, `describe` and `compare`: lists the networks and analyzes their costs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from kerascnn.cli.arguments import Subcommands, positive
from kerascnn.cli.loading import print_json, start_tensorflow
from kerascnn.errors import InputError


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds `models`, `describe` and `compare`."""
    subcommands.add("models", run_models, "list the networks", "kerascnn models", "kerascnn models --json")
    describe = subcommands.add(
        "describe",
        run_describe,
        "show the cost of a network, layer by layer",
        "kerascnn describe vgg16",
        "kerascnn describe resnet50 --image-size 128 --classes 10",
        "kerascnn describe runs/resnet20-digits-20261120-101500/model.keras --json",
        "kerascnn describe googlenet --markdown > googlenet.md",
    )
    text = "a network, see 'kerascnn models', or a .keras file or run folder"
    describe.add_argument("model", metavar="NAME|FILE", help=text)
    describe.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    text = "height and width (default: the paper's)"
    describe.add_argument("--image-size", type=positive, metavar="PIXELS", help=text)
    describe.add_argument("--classes", type=positive, metavar="N", help="number of classes (default: the paper's)")
    compare = subcommands.add(
        "compare",
        run_compare,
        "compare the cost and accuracy of networks",
        "kerascnn compare vgg16 googlenet resnet50",
        "kerascnn compare alexnetv2 vgg16 googlenet resnet50 resnet152 --plot accuracy.png",
    )
    compare.add_argument("models", nargs="+", metavar="NAME", help="see 'kerascnn models'")
    text = "plot accuracy against operations (.png, .svg or .pdf)"
    compare.add_argument("--plot", type=Path, metavar="FILE", help=text)


def run_models(options: argparse.Namespace) -> int:
    """`kerascnn models`."""
    from kerascnn.applications import registry
    from kerascnn.cli.tables import models_table
    from kerascnn.console import output

    if options.json:
        print_json([{"name": name, **entry.to_dict()} for name, entry in registry.REGISTRY.items()])
    else:
        output().print(models_table(registry.REGISTRY))
    return 0


def run_describe(options: argparse.Namespace) -> int:
    """`kerascnn describe`."""
    from kerascnn.applications import registry

    if options.json and options.markdown:
        raise InputError("--json and --markdown exclude each other; give one of them.")
    file = _keras_file(options.model)
    name = None if file else registry.canonical(options.model)
    if file and (options.image_size or options.classes):
        raise InputError(f"--image-size and --classes apply to networks given by name, and {file} is a model file.")
    start_tensorflow()
    from kerascnn.complexity import analyze, analyze_by_name, published, tables
    from kerascnn.console import output
    from kerascnn.evaluation.predictors import load_keras

    arguments = _builder_arguments(options)
    report = analyze(load_keras(file)) if file else analyze_by_name(name, **arguments)
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


def run_compare(options: argparse.Namespace) -> int:
    """`kerascnn compare`."""
    from kerascnn.applications import registry
    from kerascnn.complexity import diagram

    names = list(dict.fromkeys(registry.canonical(name) for name in options.models))
    if options.plot:
        diagram.check(options.plot, names)
    start_tensorflow()
    from kerascnn.complexity import analyze_by_name, published, tables
    from kerascnn.console import output, track

    reports = {name: analyze_by_name(name) for name in track(names, len(names), "analyzing")}
    found = (number for name in names for number in published.published_numbers(name, reports[name]))
    numbers = [number for number in found if number.subject in names]
    if options.json:
        print_json(
            [
                {
                    "name": name,
                    **reports[name].totals.to_dict(),
                    "published": [number.to_dict() for number in numbers if number.subject == name],
                    "data": registry.info(name).data,
                    "errors": [error._asdict() for error in registry.info(name).errors],
                }
                for name in names
            ]
        )
    else:
        output().print(tables.comparison(reports, numbers))
    if options.plot:
        print(*diagram.draw(reports, options.plot), f"plot: {options.plot}", sep="\n", file=sys.stderr)
    return 0


def _builder_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """The options as arguments of a network's builder."""
    from kerascnn.layers import channels_first

    arguments: dict[str, Any] = {"classes": options.classes} if options.classes else {}
    if options.image_size:
        size = (options.image_size, options.image_size)
        arguments["input_shape"] = (3, *size) if channels_first() else (*size, 3)
    return arguments


def _keras_file(text: str) -> Path | None:
    """The file that `text` names; None if it can only be the name of a network."""
    from kerascnn.applications import registry

    path = Path(text)
    looks_like_a_path = path.suffix or len(path.parts) > 1 or path.exists()
    if not looks_like_a_path or text in registry.REGISTRY:
        return None
    file = path / "model.keras" if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"there is no model at {path}; give a network's name, a .keras file or a run folder.")
    if file.suffix != ".keras":
        raise InputError(f"{path} is not a .keras file; the layers of other formats are unknown.")
    return file
