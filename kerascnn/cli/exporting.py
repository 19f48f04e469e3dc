"""The command `kerascnn export`: writes and verifies files for phones and servers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascnn.cli.arguments import (
    EXPORT_DISAGREES,
    Subcommands,
    add_data_options,
    add_model_options,
    given,
    model_options,
    run_path,
    share,
    some_of,
)
from kerascnn.cli.datasets import load, load_all
from kerascnn.cli.loading import data_of, model_file, print_json, print_message, start_tensorflow
from kerascnn.cli.stopping import stopping_between
from kerascnn.native_output import jpeg_damage_discarded
from kerascnn.terminal_encoding import print_error

if TYPE_CHECKING:
    from kerascnn.data import DataSet, LabeledImages
    from kerascnn.export import Export
    from kerascnn.training import RunFolder

# Repeated here, because `--help` does not import the export.
FORMATS = ("savedmodel", "tflite", "onnx", "keras")
QUANTIZATIONS = ("none", "float16", "dynamic", "int8", "int16x8")
QUANTIZERS = ("tensorflow", "litert")
PIXEL_TYPES = ("uint8", "int8", "float32")


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds the subcommand."""
    export = subcommands.add(
        "export",
        _run_export,
        "export a trained model to SavedModel, TFLite and ONNX and verify the files",
        "kerascnn export runs/resnet20-digits-20261120-101500",
        "kerascnn export model.h5 --data photos/ --labels labels.txt --scaling unit --to exported/mine",
        "kerascnn export runs/googlenet-pets-20261120-101500 --formats tflite --quantize none,float16,int8",
    )
    export.add_argument("model", type=run_path, metavar="MODEL", help="run folder, .keras or .h5 file")
    add_data_options(export, default=None, more=" (default: the training data of the run)")
    add = export.add_argument
    add(
        "--to",
        type=Path,
        metavar="FOLDER",
        help="target folder (default: saved_models/RUN, or saved_models/<file>-<data>)",
    )
    default = ",".join(FORMATS[:2])
    text = f"of {', '.join(FORMATS)}, separated by commas (default: {default}); onnx needs kerascnn[onnx]"
    add("--formats", type=some_of(*FORMATS), default=FORMATS[:2], metavar="LIST", help=text)
    text = f"of {', '.join(QUANTIZATIONS)}, separated by commas: one .tflite file each (default: none)"
    add("--quantize", type=some_of(*QUANTIZATIONS), default=QUANTIZATIONS[:1], metavar="LIST", help=text)
    text = "litert needs kerascnn[litert] (default: tensorflow)"
    add("--quantizer", choices=QUANTIZERS, default=QUANTIZERS[0], help=text)
    text = "data whose training images calibrate int8 and int16x8 (default: --data)"
    add("--calibrate", type=given, metavar="SOURCE", help=text)
    text = "input type of .tflite files; int8 only for --quantize int8 (default: uint8 if quantized, else float32)"
    add("--pixels", choices=PIXEL_TYPES, help=text)
    add("--author", metavar="NAME", help="of the model, for .tflite files and the model card")
    add("--license", metavar="TERMS", help="of the model, for .tflite files and the model card")
    text = "of a multi-label model, from which probability an image counts as having a class (default: the model's own)"
    add("--threshold", type=share, metavar="P", help=text)
    text = (
        "allowed share of predictions of a quantized file that differ from the float32 network "
        "(default: 0.005 float16, 0.01 int16x8, 0.03 dynamic and int8)"
    )
    add("--verbose", action="store_true", help="also explain the table's columns, and list the files' operations")
    add("--max-mismatch-rate", type=share, metavar="RATE", help=text)
    add_model_options(export)


@jpeg_damage_discarded()
def _run_export(options: argparse.Namespace) -> int:
    source, limit, data_options = data_of(options, options.model)
    model, said = model_file(options.model), model_options(options)
    start_tensorflow()
    from kerascnn.cli.tables import verification_table
    from kerascnn.console import track
    from kerascnn.data import DataOptions
    from kerascnn.data.ingestion.sources import normalized
    from kerascnn.evaluation.trained_on import was_trained_on
    from kerascnn.export import Tolerance
    from kerascnn.training import RunFolder

    output = options.to or Path("saved_models")
    if was_trained_on(options.model, normalized(source)) is False:
        # None of its images was trained on, so the files are run on all of them.
        data: DataSet | LabeledImages = load_all(source, data_options, output=output)
    else:
        data = load(source, limit, data_options, output)
    run = RunFolder.around(model)
    names = ("formats", "quantize", "quantizer", "pixels", "author", "license", "threshold")
    given = {name: getattr(options, name) for name in names}
    calibration = load(options.calibrate, None, DataOptions()) if options.calibrate else None
    tolerance = Tolerance(max_mismatch_rate=options.max_mismatch_rate)
    given |= {"calibration": calibration, "tolerance": tolerance, **vars(said)}
    with stopping_between(track) as stoppable:
        if run and not options.to:
            exported = export_run(model, data, run, output, track=stoppable, **given)
        else:
            target = options.to or output / f"{model.stem}-{data.name}"
            exported = export_of_run(model, data, target, run, track=stoppable, **given)
    if options.json:
        print_json({"layout": data.layout, **export_report(exported)})
    else:
        verification_table(exported, options.verbose)
    return export_status(exported)


def export_run(model: Path, data: DataSet | LabeledImages, run: RunFolder, exports: Path, **options: Any) -> Export:
    """Exports a run's model to the run's folder in `exports`, which links lead to, and prints these."""
    from kerascnn.export.export_links import link_exports

    name = f"{run.read_recipe()[0].model}-{data.name}"
    exported = export_of_run(model, data, exports / run.path.name, run, name=name, **options)
    if exported.folder and exported.folder.name.startswith(f"{name}-"):
        links = link_exports(exported.folder, name)
        if links:
            print_message(f"{' and '.join(map(str, links))} lead{'s' if len(links) == 1 else ''} to {exported.folder}")
    return exported


def export_of_run(
    model: Path, data: DataSet | LabeledImages, target: Path, run: RunFolder | None, **options: Any
) -> Export:
    """Exports a model, and describes it by its run's recipe."""
    from kerascnn.export import export
    from kerascnn.training.recipe.files import read_yaml

    origin = read_yaml(run.recipe_file) if run else None
    return export(model, data, target, origin=origin, **options)


def export_report(exported: Export) -> dict[str, Any]:
    """Returns the values that `--json` prints of an export."""
    return {"export": str(exported.folder) if exported.folder else None, **exported.verification.to_dict()}


def export_status(exported: Export) -> int:
    """Prints an export's failures and returns its exit status."""
    for failure in exported.verification.failures:
        print_error(f"kerascnn: {failure} Nothing was published.")
    return EXPORT_DISAGREES if exported.verification.failures else 0
