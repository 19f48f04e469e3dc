"""`kerascnn embed`: saves feature vectors and finds similar images."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascnn.cli.arguments import Subcommands, positive
from kerascnn.cli.image_paths import add_model_and_images, open_images, open_model
from kerascnn.cli.loading import print_json
from kerascnn.errors import InputError, writing

if TYPE_CHECKING:
    from kerascnn.evaluation import Embedding, Predictor

# Default numbers of images whose neighbors are drawn, and of neighbors per image.
ROWS, NEAREST = 6, 5


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds `embed`."""
    embed = subcommands.add(
        "embed",
        _run_embed,
        "save feature vectors of images and find similar images",
        "kerascnn embed runs/resnet50-pets-20261120-101500 pets/ --to features.npz",
        "kerascnn embed saved_models/resnet50-pets holiday/ cat.jpg --neighbors similar.png --of cat.jpg --nearest 8",
    )
    add_model_and_images(embed, "run folder, .keras, .h5 or SavedModel")
    text = "file for the NumPy arrays 'features' and 'paths' (default: features.npz)"
    embed.add_argument("--to", type=Path, default=Path("features.npz"), metavar="FILE", help=text)
    embed.add_argument("--neighbors", type=Path, metavar="FILE", help="draw images with their most similar ones (.png)")
    text = f"number of neighbors per image (default: {NEAREST})"
    embed.add_argument("--nearest", type=positive, metavar="K", help=text)
    text = f"draw the neighbors of this image; repeatable (default: the first {ROWS})"
    embed.add_argument("--of", type=Path, action="append", default=[], metavar="IMAGE", help=text)


def _run_embed(options: argparse.Namespace) -> int:
    # Errors in options are reported before all images are read.
    _check(options)
    images = open_images(options.images, "Embedding")
    _rows(images.paths, options.of)
    from kerascnn.evaluation.embedding import embed_images

    predictor = open_model(options)
    embedding = embed_images(predictor, images.readable)
    embedding.save(options.to)
    neighbors = _draw_neighbors(embedding, predictor, options) if options.neighbors else None
    count, dimensions = embedding.features.shape
    if options.json:
        result = {"model": str(options.model), "file": str(options.to), "images": count, "dimensions": dimensions}
        result["skipped"] = [str(error) for error in images.skipped]
        print_json(result | ({"neighbors": neighbors} if neighbors else {}))
    else:
        print(f"{count} images, {dimensions} features each: {options.to}")
        if neighbors:
            print(f"nearest neighbors: {options.neighbors}")
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

    count, dimensions = embedding.features.shape
    if count == 1:
        raise InputError(f"{embedding.paths[0]} is the only image, so it has no neighbors to draw.")
    rows = _rows(embedding.paths, options.of) or range(min(ROWS, count))
    k = options.nearest or NEAREST
    legend = f"each row: an image, then the nearest of {count} by the cosine of {dimensions} features"
    fraction = predictor.metadata.crop_fraction
    figure = neighbors_figure(embedding, rows, f"{options.model.name}\n{legend}", k, fraction)
    with writing(options.neighbors):
        options.neighbors.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(options.neighbors)
    of = []
    for row in rows:
        nearest = [{"image": str(one.path), "similarity": one.similarity} for one in embedding.nearest(row, k)]
        of.append({"image": str(embedding.paths[row]), "nearest": nearest})
    return {"file": str(options.neighbors), "of": of}
