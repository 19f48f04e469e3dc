"""The command `kerascnn convert`: weights for other programs, and weights of other programs for this one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.cli.arguments import Subcommands, image_size
from kerascnn.cli.loading import model_file, print_message, print_result, start_tensorflow
from kerascnn.errors import InputError
from kerascnn.image_shape import Size

if TYPE_CHECKING:
    import keras

# Repeated here, because `--help` does not import the conversion.
LAYOUTS = ("torchvision", "keras", "kerascnn")


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds the subcommand."""
    convert = subcommands.add(
        "convert",
        _run_convert,
        "write weights in the layout of torchvision, of keras.applications or of this package",
        "kerascnn convert runs/resnet18-pets-20261120-101500 --to mine.safetensors",
        "kerascnn convert googlenet-1378be20.pth --model googlenet --to googlenet.keras",
        "kerascnn convert vgg16.weights.h5 --model vgg16 --to vgg16.h5 --layout keras",
    )
    add = convert.add_argument
    text = "run folder, .keras or .weights.h5 file; keras.applications' .h5; PyTorch's .safetensors, .pth, .pt or .th"
    add("file", type=Path, metavar="FILE", help=text)
    text = "new file: .safetensors (torchvision), .h5 (keras), .weights.h5 or .keras (kerascnn)"
    add("--to", type=Path, required=True, metavar="FILE", help=text)
    add("--model", metavar="NAME", help="see 'kerascnn models'; needed if FILE holds only weights")
    add("--layout", choices=LAYOUTS, help="of the new file (default: from its suffix)")
    text = "one number, or HEIGHTxWIDTH such as 240x320, if FILE holds only weights (default: the paper's)"
    add("--image-size", type=image_size, metavar="PIXELS", help=text)


def _run_convert(options: argparse.Namespace) -> int:
    from kerascnn.applications import registry

    name = registry.canonical(options.model) if options.model else None
    source = model_file(options.file, "a file of weights, a .keras file or a run folder")
    start_tensorflow()
    from kerascnn.applications.weights import conversion
    from kerascnn.applications.weights.keras_layouts import AUXILIARY
    from kerascnn.applications.weights.load import PREPROCESSING

    layout = conversion.layout_of(options.to, options.layout)
    name, model = _load_network(source, name, layout, options.image_size)
    network = registry.info(name).builder
    count = conversion.write(network, model, options.to, layout)
    values = {"file": str(options.to), "model": name, "layout": layout, "values": count}
    print_result(options, values, f"{options.to}: {count:,} values of {network} in the layout of {layout}")
    names = {layer.name for layer in model.layers}
    if layout != "kerascnn" and PREPROCESSING in names:
        print_message("left out, because the layout cannot store them: pixel scaling and class names")
    if layout == "keras" and any(name.startswith(AUXILIARY) for name in names):
        print_message("left out: the auxiliary heads, which keras.applications does not have")
    return 0


def _load_network(source: Path, name: str | None, layout: str, size: Size | None) -> tuple[str, keras.Model]:
    """The name and the model of a .keras file, or of a file of weights."""
    from kerascnn.applications import registry
    from kerascnn.applications.weights import conversion
    from kerascnn.evaluation.keras_models import load_keras

    if source.suffix == ".keras":
        if size:
            raise InputError(f"--image-size is for files of weights; {source} has an image size.")
        model = load_keras(source)
        try:
            return name or registry.canonical(model.name), model
        except InputError:
            raise InputError(f"{source} has the unknown network '{model.name}'; give it as --model NAME.") from None
    if name is None:
        raise InputError(f"{source} holds only weights; give their network as --model NAME.")
    return name, conversion.build_for_weights(name, source, target=layout, image_size=size)
