"""`kerascnn embed`: what a network makes of images before its classifier, and which are alike."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascnn.cli.arguments import Subcommands, positive
from kerascnn.cli.image_paths import open_images
from kerascnn.cli.loading import print_json
from kerascnn.errors import InputError

if TYPE_CHECKING:
    from kerascnn.evaluation import Embedding, Predictor

# How many images' neighbours are drawn, and how many of each, unless something else is asked for.
ROWS, NEAREST = 6, 5


def add_subcommands(subcommands: Subcommands) -> None:
    """Adds it to the command."""
    embed = subcommands.add(
        "embed",
        run_embed,
        "write what a network makes of images before its classifier, and show which are alike",
        "kerascnn embed runs/resnet50-pets-20261120-101500 pets/ --to features.npz",
        "kerascnn embed saved_models/resnet50-pets holiday/ cat.jpg --neighbours alike.png --of cat.jpg --nearest 8",
    )
    embed.add_argument("model", type=Path, metavar="MODEL", help="run folder, .keras or SavedModel")
    embed.add_argument(
        "images",
        type=Path,
        nargs="+",
        metavar="IMAGE",
        help="image files, and folders of them; what cannot be read is told and skipped, with exit status 1",
    )
    embed.add_argument(
        "--to",
        type=Path,
        default=Path("features.npz"),
        metavar="FILE",
        help="gets the NumPy arrays 'features' and 'paths' (default: features.npz)",
    )
    embed.add_argument("--neighbours", type=Path, metavar="FILE", help="draw images beside those most like them (.png)")
    embed.add_argument(
        "--nearest", type=positive, metavar="K", help=f"how many neighbours each gets (default: {NEAREST})"
    )
    embed.add_argument(
        "--of",
        type=Path,
        action="append",
        default=[],
        metavar="IMAGE",
        help=f"whose neighbours are drawn; repeatable (default: the first {ROWS})",
    )


def run_embed(options: argparse.Namespace) -> int:
    """`kerascnn embed`."""
    _check(options)
    images = open_images(options.images, "Embedding")
    _rows(images.paths, options.of)
    from kerascnn.console import output
    from kerascnn.evaluation import open_predictor
    from kerascnn.evaluation.embedding import embedding_of

    predictor = open_predictor(options.model)
    embedding = embedding_of(predictor, images.readable)
    embedding.save(options.to)
    drawn = _draw_neighbours(embedding, predictor, options) if options.neighbours else None
    count, dimensions = embedding.features.shape
    if options.json:
        done: dict[str, Any] = {"model": str(options.model), "file": str(options.to)}
        done |= {"images": count, "dimensions": dimensions, "skipped": [str(error) for error in images.skipped]}
        print_json(done if drawn is None else {**done, "neighbours": drawn})
    else:
        lines = [f"{count} images, {dimensions} features each: {options.to}"]
        lines += [f"nearest neighbours: {options.neighbours}"] if options.neighbours else []
        output().print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    return images.status()


def _check(options: argparse.Namespace) -> None:
    """Refuses what could otherwise be told only when all images have been read."""
    for option, path, suffix in (("--to", options.to, ".npz"), ("--neighbours", options.neighbours, ".png")):
        if path is not None and path.suffix != suffix:
            raise InputError(f"{option} must name a file of {suffix}, not {path}.")
        if path is not None and path.is_dir():
            raise InputError(f"{option} must name a file, and {path} is a folder.")
    for option, value in (("--nearest", options.nearest), ("--of", options.of)):
        if value and not options.neighbours:
            raise InputError(f"{option} is about the image of neighbours; say --neighbours FILE as well.")


def _rows(paths: Sequence[Path], wanted: Sequence[Path]) -> list[int]:
    """The places of some files among others, however their paths are written."""
    places = {os.path.abspath(path): place for place, path in enumerate(paths)} if wanted else {}
    for path in wanted:
        if os.path.abspath(path) not in places:
            raise InputError(
                f"--of {path} is none of the {len(paths)} images; name one that is among IMAGE and can be read."
            )
    return [places[os.path.abspath(path)] for path in wanted]


def _draw_neighbours(embedding: Embedding, predictor: Predictor, options: argparse.Namespace) -> dict[str, Any]:
    """Draws them, and gives what was drawn."""
    from kerascnn.evaluation.embedding_images import neighbours_figure

    count, dimensions = embedding.features.shape
    if count == 1:
        raise InputError(f"{embedding.paths[0]} is the only image, so it has no neighbours to draw.")
    rows = _rows(embedding.paths, options.of) or range(min(ROWS, count))
    nearest = options.nearest or NEAREST
    how = f"each row: an image, then the nearest of {count} by the cosine of {dimensions} features"
    title = f"{options.model.name}\n{how}"
    figure = neighbours_figure(embedding, rows, title, nearest, predictor.metadata.crop_fraction)
    try:
        options.neighbours.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(options.neighbours)
    except OSError as error:
        raise InputError(f"{options.neighbours} cannot be written: {error.strerror}.") from None
    return {"file": str(options.neighbours), "of": [_as_dict(embedding, row, nearest) for row in rows]}


def _as_dict(embedding: Embedding, row: int, nearest: int) -> dict[str, Any]:
    found = [{"image": str(one.path), "similarity": one.similarity} for one in embedding.nearest(row, nearest)]
    return {"image": str(embedding.paths[row]), "nearest": found}
