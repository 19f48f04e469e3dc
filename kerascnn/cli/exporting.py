"""`kerascnn export`: the files for phones and servers, and what proves them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascnn.cli.arguments import Parser, Subcommands, add_data_options, share, some_of
from kerascnn.cli.exit_codes import EXPORT_DISAGREES
from kerascnn.cli.loading import data_of, load, print_json, start_tensorflow
from kerascnn.errors import InputError
from kerascnn.native_output import jpeg_damage_discarded

if TYPE_CHECKING:
    from kerascnn.data import DataSet
    from kerascnn.export import Export
    from kerascnn.training import RunFolder

# Said here as well, because `--help` does not wait for what exports.
FORMATS = ("savedmodel", "tflite", "onnx")
QUANTIZATIONS = ("none", "float16", "dynamic", "int8", "int16x8")
QUANTIZERS = ("tensorflow", "litert")
PIXEL_TYPES = ("uint8", "int8", "float32")


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds it to the command."""
    export = subcommands.add(
        "export",
        run_export,
        "export a trained model to SavedModel, TFLite and ONNX and prove the files right",
        "kerascnn export runs/resnet20-digits-20261120-101500",
        "kerascnn export model.keras --data photos/ --to exported/mine",
        "kerascnn export runs/googlenet-pets-20261120-101500 --formats tflite --quantize none,float16,int8",
    )
    export.add_argument("model", type=Path, metavar="MODEL", help="run folder or .keras file")
    add_data_options(export, default=None, more=" (default: what the run was trained on)")
    _export_options(export)


@jpeg_damage_discarded()
def run_export(options: argparse.Namespace) -> int:
    """`kerascnn export`."""
    source, limit = data_of(options, options.model)
    model = options.model / "model.keras" if options.model.is_dir() else options.model
    if not model.is_file():
        raise InputError(f"there is no model at {options.model}; give a .keras file or a run folder.")
    start_tensorflow()
    from kerascnn.cli.tables import verification_table
    from kerascnn.export import Tolerance
    from kerascnn.training import RunFolder

    data = load(source, limit)
    folder = RunFolder.around(model)
    if options.to:
        target = options.to
    elif folder:
        target = Path("saved_models") / f"{folder.read_recipe()[0].model}-{data.name}"
    else:
        target = Path("saved_models") / f"{model.stem}-{data.name}"
    exported = export_with_progress(
        model,
        data,
        target,
        folder,
        formats=options.formats,
        quantize=options.quantize,
        quantizer=options.quantizer,
        calibration=load(options.calibrate, None) if options.calibrate else None,
        pixels=options.pixels,
        author=options.author,
        license=options.license,
        tolerance=Tolerance(max_mismatch_rate=options.max_mismatch_rate),
    )
    if options.json:
        print_json(export_report(exported))
    else:
        verification_table(exported)
    return export_status(exported)


def export_with_progress(model: Path, data: DataSet, target: Path, folder: RunFolder | None, **options: Any) -> Export:
    """Exports, with a progress bar and what the model's run folder says of it."""
    from kerascnn.console import track
    from kerascnn.export import export
    from kerascnn.training.recipe.files import read_yaml

    origin = read_yaml(folder.recipe_file) if folder else None
    return export(model, data, target, origin=origin, track=track, **options)


def export_report(exported: Export) -> dict[str, Any]:
    """What `--json` says of an export."""
    return {"export": str(exported.folder) if exported.folder else None, **exported.verification.to_dict()}


def export_status(exported: Export) -> int:
    """The exit status of an export, after its failures are told."""
    for failure in exported.verification.failures:
        print(f"kerascnn: {failure} Nothing was published.", file=sys.stderr)
    return EXPORT_DISAGREES if exported.verification.failures else 0


def _export_options(parser: Parser) -> None:
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="where to (default: saved_models/<model>-<data>)")
    parser.add_argument(
        "--formats",
        type=some_of(*FORMATS),
        default=FORMATS[:2],
        metavar="LIST",
        help=f"of {', '.join(FORMATS)}, with commas (default: {','.join(FORMATS[:2])}); onnx needs kerascnn[onnx]",
    )
    parser.add_argument(
        "--quantize",
        type=some_of(*QUANTIZATIONS),
        default=QUANTIZATIONS[:1],
        metavar="LIST",
        help=f"of {', '.join(QUANTIZATIONS)}, with commas: a .tflite file each (default: none)",
    )
    parser.add_argument(
        "--quantizer",
        choices=QUANTIZERS,
        default=QUANTIZERS[0],
        help="what quantizes; litert needs kerascnn[litert] (default: tensorflow)",
    )
    parser.add_argument(
        "--calibrate",
        metavar="SOURCE",
        help="data whose training images calibrate int8 and int16x8 (default: --data)",
    )
    parser.add_argument(
        "--pixels",
        choices=PIXEL_TYPES,
        help="what .tflite files take; int8 is for the form int8 (default: uint8, and float32 for the form none)",
    )
    parser.add_argument("--author", metavar="NAME", help="of the model, for .tflite files and the model card")
    parser.add_argument("--license", metavar="TERMS", help="of the model, for .tflite files and the model card")
    parser.add_argument(
        "--max-mismatch-rate",
        type=share,
        metavar="RATE",
        help="of the images that a quantized file may name otherwise "
        "(default: 0.005 float16, 0.01 int16x8, 0.03 dynamic and int8)",
    )
