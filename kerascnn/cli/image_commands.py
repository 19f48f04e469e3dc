"""`kerascnn predict`, `explain` and `embed`: what a model says about images, in files, folders or standard input."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from kerascnn.cli.arguments import (
    IMAGES_SKIPPED,
    Parser,
    Subcommands,
    add_model_options,
    model_options,
    positive,
    run_path,
    share,
)
from kerascnn.cli.loading import json_text, print_result, start_tensorflow
from kerascnn.errors import InputError
from kerascnn.files.spreadsheets import RowWriter
from kerascnn.terminal_encoding import print_error

if TYPE_CHECKING:
    from kerascnn.evaluation import Embedding, Predictor
    from kerascnn.evaluation.prediction import ImagePrediction, LoadedImage

STDIN = "-"  # The argument that stands for standard input
TABLE_IMAGES = 64  # Images per table, whose columns are as wide as its contents
ROWS, NEAREST = 6, 5  # Default numbers of images whose neighbors are drawn, and of neighbors per image


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds `predict`, `explain` and `embed`."""
    predict = subcommands.add(
        "predict",
        _run_predict,
        "predict the labels of images",
        "kerascnn predict saved_models/googlenet-pets/googlenet-pets.tflite cat.jpg dog.webp",
        "kerascnn predict runs/googlenet-pets-20261120-101500 cat.jpg --json",
        "kerascnn predict saved_models/googlenet-pets holiday/ --top 1 --csv > holiday.csv",
        "kerascnn predict resnet50 https://example.org/cat.jpg",
    )
    _add_model_and_images(predict, "run folder, .keras, .h5, SavedModel, .tflite or .onnx")
    text = "number of classes (default: 5; of a multi-label model, all from the threshold on)"
    predict.add_argument("--top", type=positive, metavar="K", help=text)
    text = "of a multi-label model, the least probability of a class (default: the model's own)"
    predict.add_argument("--threshold", type=share, metavar="P", help=text)
    text = "print one line per class: image, rank, label, probability"
    predict.output_formats.add_argument("--csv", action="store_true", help=text)
    explain = subcommands.add(
        "explain",
        _run_explain,
        "explain predictions with Grad-CAM, the first layer's filters and feature maps",
        "kerascnn explain runs/googlenet-pets-20261120-101500 cat.jpg dog.webp",
        "kerascnn explain model.keras holiday/ --to explained --top 1 --layers 'inception_4*'",
    )
    _add_model_and_images(explain, "run folder, .keras or .h5 file")
    text = "folder for the written images (default: explanations)"
    explain.add_argument("--to", type=Path, default=Path("explanations"), metavar="FOLDER", help=text)
    explain.add_argument("--top", type=positive, default=3, metavar="K", help="number of classes (default: 3)")
    text = "draw feature maps of layers by name, with * and ? (default: the last of every size)"
    explain.add_argument("--layers", metavar="PATTERN", help=text)
    embed = subcommands.add(
        "embed",
        _run_embed,
        "save feature vectors of images and find similar images",
        "kerascnn embed runs/resnet50-pets-20261120-101500 pets/ --to features.npz",
        "kerascnn embed saved_models/resnet50-pets holiday/ cat.jpg --neighbors similar.png --of cat.jpg --nearest 8",
    )
    _add_model_and_images(embed, "run folder, .keras, .h5 or SavedModel")
    text = "file for the NumPy arrays 'features' and 'paths' (default: features.npz)"
    embed.add_argument("--to", type=Path, default=Path("features.npz"), metavar="FILE", help=text)
    embed.add_argument("--neighbors", type=Path, metavar="FILE", help="draw images with their most similar ones (.png)")
    text = f"number of neighbors per image (default: {NEAREST})"
    embed.add_argument("--nearest", type=positive, metavar="K", help=text)
    text = f"draw the neighbors of this image; repeatable (default: the first {ROWS})"
    embed.add_argument("--of", type=Path, action="append", default=[], metavar="IMAGE", help=text)


def _add_model_and_images(parser: Parser, formats: str) -> None:
    text = f"{formats}, or a network such as resnet50 for its public ImageNet weights"
    parser.add_argument("model", type=run_path, metavar="MODEL", help=text)
    text = "image files, folders, quoted globs, URLs, or - for standard input; exit status 1 if one cannot be read"
    parser.add_argument("images", nargs="+", metavar="IMAGE", help=text)
    add_model_options(parser)


def _open_model(options: argparse.Namespace) -> Predictor:
    """Opens MODEL with what the options say about it; starts TensorFlow if the model needs it."""
    from kerascnn.evaluation.predictors import LIGHT_SUFFIXES, find_model

    if find_model(options.model).suffix not in LIGHT_SUFFIXES:
        start_tensorflow()
    from kerascnn.evaluation import load

    return load(options.model, **vars(model_options(options))).predictor


@dataclass(frozen=True)
class _Images:
    """All images of the command line, those that can be read, and the errors of those skipped so far."""

    paths: list[Path | str]
    readable: Iterator[LoadedImage]
    skipped: list[InputError]

    def status(self) -> int:
        """Reports how many files were skipped, after the last image, and returns the exit status."""
        if not self.skipped:
            return 0
        print_error(f"kerascnn: skipped {len(self.skipped)} files that cannot be read.")
        return IMAGES_SKIPPED


def _open_images(locations: Sequence[str], activity: str) -> _Images:
    """Opens the images of the command line, with a progress bar that names the activity.

    The first image is read at once: without one, InputError is raised before a model is loaded.
    """
    from kerascnn.console import track
    from kerascnn.evaluation.image_inputs import locations_at

    skipped: list[InputError] = []

    def skip(error: InputError) -> None:
        skipped.append(error)
        print_error(f"kerascnn: {error}")

    files = [
        file for location in locations for file in ([location] if location == STDIN else locations_at(location, skip))
    ]
    several = len(files) > 1
    # The error of a single file is raised.
    images = _read(track(files, len(files), activity), skip) if several else _read(files, skipped.append)
    first = next(images, None)
    if first is None:
        raise InputError(f"none of the {len(files)} files is an image.") if several else skipped.pop()
    return _Images(files, chain([first], images), skipped)


def _read(files: Iterable[Path | str], skip: Callable[[InputError], object]) -> Iterator[LoadedImage]:
    from kerascnn.data.ingestion.image_bounds import MAX_FILE_SIZE
    from kerascnn.evaluation.image_inputs import decoded, images_of

    for file in files:
        if file == STDIN:
            # What is piped may be endless.
            yield from decoded(sys.stdin.buffer.read(MAX_FILE_SIZE + 1), STDIN, skip)
        else:
            yield from images_of(file, skip)


def _run_predict(options: argparse.Namespace) -> int:
    # A progress bar redirects printed text, which is wanted on a terminal only.
    out = None if sys.stdout.isatty() else sys.stdout
    images = _open_images(options.images, "Predicting")
    from kerascnn.evaluation.prediction import predictions

    predicted = predictions(_open_model(options), images.readable, options.top, options.threshold)
    write = _write_json if options.json else _write_csv if options.csv else _write_tables
    write(predicted, out)
    return images.status()


def _write_json(predicted: Iterable[ImagePrediction], out: TextIO | None) -> None:
    # A list as `json.dump` writes it, item by item.
    separator = "["
    for image in predicted:
        item = json_text(image.to_dict())
        print(f"{separator}\n{textwrap.indent(item, '  ')}", end="", file=out)
        separator = ","
    print("\n]", file=out)


def _write_csv(predicted: Iterable[ImagePrediction], out: TextIO | None) -> None:
    writer = RowWriter(out or sys.stdout, lineterminator="\n")
    writer.writerow(["image", "rank", "label", "probability"])
    for image in predicted:
        writer.writerows([*row, f"{probability:.6f}"] for *row, probability in image.rows())
        if not image.top:
            writer.writerow([image.path, "", "", ""])


def _write_tables(predicted: Iterable[ImagePrediction], out: TextIO | None) -> None:
    from kerascnn.console import output
    from kerascnn.evaluation.prediction import predictions_table

    predicted = iter(predicted)
    while some := list(islice(predicted, TABLE_IMAGES)):
        output(out).print(predictions_table(some))


def _run_explain(options: argparse.Namespace) -> int:
    images = _open_images(options.images, "Explaining")
    # Explanations are made with Keras; a file that needs no TensorFlow is refused.
    start_tensorflow()
    predictor = _open_model(options)
    from kerascnn.evaluation.explanation import Explainer, unique_name, write_explanation, write_filters

    explainer = Explainer(predictor)
    filters = write_filters(explainer, options.to)
    used = {filters.stem}
    explanations = [
        write_explanation(explainer, image, options.to, unique_name(image.path, used), options.top, options.layers)
        for image in images.readable
    ]
    files, lines = [], [f"filters of the first layer: {filters}"]
    for one in explanations:
        top = [{"label": best.label, "probability": best.probability} for best in one.classes]
        maps = {layer: str(path) for layer, path in one.activations.items()}
        files.append({"image": str(one.image), "top": top, "grad_cam": str(one.grad_cam), "activations": maps})
        best = one.classes[0]
        lines.append(f"{one.image}: {best.label} ({best.probability:.1%}); Grad-CAM: {one.grad_cam}")
        layers = "1 layer" if len(maps) == 1 else f"{len(maps)} layers"
        lines.append(f"  feature maps of {layers}: {one.grad_cam.with_suffix('')}")
    model, layer = str(options.model), explainer.layer
    print_result(options, {"model": model, "layer": layer, "filters": str(filters), "images": files}, *lines)
    return images.status()


def _run_embed(options: argparse.Namespace) -> int:
    # Errors in options are reported before all images are read.
    _check(options)
    images = _open_images(options.images, "Embedding")
    _rows(images.paths, options.of)
    from kerascnn.evaluation.embedding import embed_images

    predictor = _open_model(options)
    embedding = embed_images(predictor, images.readable)
    embedding.save(options.to)
    neighbors = _draw_neighbors(embedding, predictor, options) if options.neighbors else None
    count, dimensions = embedding.features.shape
    result = {"model": str(options.model), "file": str(options.to), "images": count, "dimensions": dimensions}
    result["skipped"] = [str(error) for error in images.skipped]
    lines = [f"{count} images, {dimensions} features each: {options.to}"]
    if neighbors:
        result["neighbors"] = neighbors
        lines.append(f"nearest neighbors: {options.neighbors}")
    print_result(options, result, *lines)
    return images.status()


def _check(options: argparse.Namespace) -> None:
    for option, path, suffix in (("--to", options.to, ".npz"), ("--neighbors", options.neighbors, ".png")):
        if path and path.suffix != suffix:
            raise InputError(f"{option} must name a file of {suffix}, not {path}.")
        if path and path.is_dir():
            raise InputError(f"{option} must name a file, and {path} is a folder.")
    for option, value in (("--nearest", options.nearest), ("--of", options.of)):
        if value and not options.neighbors:
            raise InputError(f"{option} needs --neighbors FILE.")


def _rows(paths: Sequence[Path], wanted: Sequence[Path]) -> list[int]:
    """Indices of some files among others, compared by absolute path."""
    indices = {os.path.abspath(path): index for index, path in enumerate(paths)} if wanted else {}
    for path in wanted:
        if os.path.abspath(path) not in indices:
            raise InputError(f"--of {path} is none of the {len(paths)} images; name a readable file from IMAGE.")
    return [indices[os.path.abspath(path)] for path in wanted]


def _draw_neighbors(embedding: Embedding, predictor: Predictor, options: argparse.Namespace) -> dict[str, Any]:
    from kerascnn.evaluation.embedding import neighbors_figure
    from kerascnn.evaluation.plots import save_figure

    count, dimensions = embedding.features.shape
    if count == 1:
        raise InputError(f"{embedding.paths[0]} is the only image, so it has no neighbors to draw.")
    rows = _rows(embedding.paths, options.of) or range(min(ROWS, count))
    k = options.nearest or NEAREST
    legend = f"each row: an image, then the nearest of {count} by the cosine of {dimensions} features"
    fraction = predictor.metadata.crop_fraction
    figure = neighbors_figure(embedding, rows, f"{options.model.name}\n{legend}", k, fraction)
    save_figure(figure, options.neighbors)
    of = []
    for row in rows:
        nearest = [{"image": str(one.path), "similarity": one.similarity} for one in embedding.nearest(row, k)]
        of.append({"image": str(embedding.paths[row]), "nearest": nearest})
    return {"file": str(options.neighbors), "of": of}
