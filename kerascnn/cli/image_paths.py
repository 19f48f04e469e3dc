"""The image arguments of `predict`, `explain` and `embed`: finds images, and reports files that cannot be read."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.cli.arguments import IMAGES_SKIPPED, Parser
from kerascnn.cli.loading import start_tensorflow
from kerascnn.errors import InputError

if TYPE_CHECKING:
    from kerascnn.evaluation.prediction import LoadedImage


def add_model_and_images(parser: Parser, formats: str) -> None:
    """Adds the arguments MODEL and IMAGE."""
    parser.add_argument("model", type=Path, metavar="MODEL", help=formats)
    text = "image files or folders; unreadable files are reported and skipped, with exit status 1"
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help=text)


@dataclass(frozen=True)
class ImagePaths:
    """All image files of the command line, those that can be read, and the errors of those skipped so far."""

    paths: list[Path]
    readable: Iterator[LoadedImage]
    skipped: list[InputError]

    def status(self) -> int:
        """Reports how many files were skipped, after the last image, and returns the exit status."""
        if not self.skipped:
            return 0
        print(f"kerascnn: skipped {len(self.skipped)} files that cannot be read.", file=sys.stderr)
        return IMAGES_SKIPPED


def open_images(paths: Sequence[Path], activity: str) -> ImagePaths:
    """Opens image files and folders, with a progress bar that names the activity.

    The first image is read at once: without one, InputError is raised before TensorFlow and a model are loaded.
    """
    from kerascnn.console import track
    from kerascnn.evaluation.prediction import image_files, read_images

    skipped: list[InputError] = []

    def skip(error: InputError) -> None:
        skipped.append(error)
        print(f"kerascnn: {error}", file=sys.stderr)

    files = image_files(paths, skip)
    several = len(files) > 1
    # The error of a single file is raised.
    images = read_images(track(files, len(files), activity), skip) if several else read_images(files, skipped.append)
    first = next(images, None)
    if first is None:
        raise InputError(f"none of the {len(files)} files is an image.") if several else skipped.pop()
    start_tensorflow()
    return ImagePaths(files, chain([first], images), skipped)
