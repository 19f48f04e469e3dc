"""The image arguments of `predict`, `explain` and `embed`: finds images, and reports files that cannot be read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.cli.arguments import IMAGES_SKIPPED, Parser, add_model_options, model_options, run_path
from kerascnn.cli.loading import start_tensorflow
from kerascnn.errors import InputError

if TYPE_CHECKING:
    from kerascnn.evaluation import Predictor
    from kerascnn.evaluation.prediction import LoadedImage

# The argument that stands for standard input.
STDIN = "-"


def add_model_and_images(parser: Parser, formats: str) -> None:
    """Adds the arguments MODEL and IMAGE."""
    text = f"{formats}, or a network such as resnet50 for its public ImageNet weights"
    parser.add_argument("model", type=run_path, metavar="MODEL", help=text)
    text = "image files, folders, quoted globs, URLs, or - for standard input; exit status 1 if one cannot be read"
    parser.add_argument("images", nargs="+", metavar="IMAGE", help=text)
    add_model_options(parser)


def open_model(options: argparse.Namespace) -> Predictor:
    """Opens MODEL with what the options say about it."""
    from kerascnn.evaluation import load

    said = model_options(options)
    return load(options.model, class_names=said.class_names, image_size=said.image_size, scaling=said.scaling).predictor


@dataclass(frozen=True)
class ImagePaths:
    """All images of the command line, those that can be read, and the errors of those skipped so far."""

    paths: list[Path | str]
    readable: Iterator[LoadedImage]
    skipped: list[InputError]

    def status(self) -> int:
        """Reports how many files were skipped, after the last image, and returns the exit status."""
        if not self.skipped:
            return 0
        print(f"kerascnn: skipped {len(self.skipped)} files that cannot be read.", file=sys.stderr)
        return IMAGES_SKIPPED


def open_images(locations: Sequence[str], activity: str) -> ImagePaths:
    """Opens the images of the command line, with a progress bar that names the activity.

    The first image is read at once: without one, InputError is raised before TensorFlow and a model are loaded.
    """
    from kerascnn.console import track
    from kerascnn.evaluation.image_inputs import locations_at

    skipped: list[InputError] = []

    def skip(error: InputError) -> None:
        skipped.append(error)
        print(f"kerascnn: {error}", file=sys.stderr)

    files = [
        file for location in locations for file in ([location] if location == STDIN else locations_at(location, skip))
    ]
    several = len(files) > 1
    # The error of a single file is raised.
    images = _read(track(files, len(files), activity), skip) if several else _read(files, skipped.append)
    first = next(images, None)
    if first is None:
        raise InputError(f"none of the {len(files)} files is an image.") if several else skipped.pop()
    start_tensorflow()
    return ImagePaths(files, chain([first], images), skipped)


def _read(files: Iterable[Path | str], skip: Callable[[InputError], object]) -> Iterator[LoadedImage]:
    from kerascnn.evaluation.image_inputs import decoded, images_of

    for file in files:
        yield from decoded(sys.stdin.buffer.read(), STDIN, skip) if file == STDIN else images_of(file, skip)
