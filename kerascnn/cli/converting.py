"""`kerascnn convert`: weights for other programs, and theirs for this one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.cli.arguments import Subcommands, positive
from kerascnn.cli.loading import print_json, start_tensorflow
from kerascnn.errors import InputError

if TYPE_CHECKING:
    import keras

# Said here as well, because `--help` does not wait for what converts.
LAYOUTS = ("torchvision", "keras", "kerascnn")


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds it to the command."""
    convert = subcommands.add(
        "convert",
        run_convert,
        "write weights in the layout of torchvision, of keras.applications or of this package",
        "kerascnn convert runs/resnet18-pets-20261120-101500 --to mine.safetensors",
        "kerascnn convert googlenet-1378be20.pth --model googlenet --to googlenet.keras",
        "kerascnn convert vgg16.weights.h5 --model vgg16 --to vgg16.h5 --layout keras",
    )
    convert.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="run folder, .keras or .weights.h5 file; keras.applications' .h5; torchvision's .safetensors, .pth or .pt",
    )
    convert.add_argument(
        "--to",
        type=Path,
        required=True,
        metavar="FILE",
        help="ending in .safetensors (torchvision), .h5 (keras), .weights.h5 or .keras (kerascnn)",
    )
    convert.add_argument("--model", metavar="NAME", help="see 'kerascnn models'; needed where FILE holds weights alone")
    convert.add_argument("--layout", choices=LAYOUTS, help="of the new file (default: what its name ends in)")
    convert.add_argument(
        "--image-size",
        type=positive,
        metavar="PIXELS",
        help="height and width, where FILE holds weights alone (default: the paper's)",
    )


def run_convert(options: argparse.Namespace) -> int:
    """`kerascnn convert`."""
    from kerascnn.applications import registry

    source = options.file / "model.keras" if options.file.is_dir() else options.file
    name = registry.canonical(options.model) if options.model else None
    if not source.is_file():
        raise InputError(
            f"there are no weights at {options.file}; give a file of weights, a .keras file or a run folder."
        )
    start_tensorflow()
    from kerascnn.applications.weights import conversion
    from kerascnn.console import messages

    layout = conversion.layout_of(options.to, options.layout)
    name, model = _network(source, name, layout, options.image_size)
    network = registry.info(name).builder
    numbers = conversion.write(network, model, options.to, layout)
    if options.json:
        print_json({"file": str(options.to), "model": name, "layout": layout, "numbers": numbers})
    else:
        print(f"{options.to}: {numbers:,} numbers of {network} in the layout of {layout}")
    for note in _left_out(model, layout):
        messages().print(note, highlight=False, markup=False, soft_wrap=True)
    return 0


def _network(source: Path, name: str | None, layout: str, image_size: int | None) -> tuple[str, keras.Model]:
    """The model that a file holds, or whose weights it holds, with its name."""
    from kerascnn.applications import registry
    from kerascnn.applications.weights import conversion
    from kerascnn.evaluation.predictors import load_keras

    if source.suffix == ".keras":
        if image_size:
            raise InputError(f"--image-size is for files of weights alone; {source} has its own.")
        model = load_keras(source)
        try:
            return name or registry.canonical(model.name), model
        except InputError:
            raise InputError(f"{source} calls its network '{model.name}'; say which it is with --model NAME.") from None
    if name is None:
        raise InputError(f"{source} holds weights alone; say whose they are with --model NAME.")
    return name, conversion.network_with(name, source, target=layout, image_size=image_size)


def _left_out(model: keras.Model, layout: str) -> list[str]:
    """What a model has that a layout has no place for, in sentences."""
    from kerascnn.applications.weights.keras_layouts import AUXILIARY
    from kerascnn.applications.weights.load import PREPROCESSING

    if layout == "kerascnn":
        return []
    names = {layer.name for layer in model.layers}
    notes = []
    if PREPROCESSING in names:
        notes.append("left out: how pixels are scaled, and the class names, for which the layout has no place")
    if layout == "keras" and any(name.startswith(AUXILIARY) for name in names):
        notes.append("left out: the auxiliary heads, which keras.applications does not have")
    return notes
