"""What the subcommands that look at images do first: find them, and tell which cannot be read."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.cli.exit_codes import IMAGES_SKIPPED
from kerascnn.cli.loading import start_tensorflow
from kerascnn.errors import InputError

if TYPE_CHECKING:
    from kerascnn.evaluation.naming import LoadedImage


@dataclass(frozen=True)
class ImagePaths:
    """Images of the command line.

    Attributes:
        paths: of all files.
        readable: those that can be read, at least one, one after another.
        skipped: why others were left out, so far.
    """

    paths: list[Path]
    readable: Iterator[LoadedImage]
    skipped: list[InputError]

    def status(self) -> int:
        """Says how many images were left out when all have been asked for, and gives the exit status."""
        if not self.skipped:
            return 0
        print(f"kerascnn: {len(self.skipped)} of the files cannot be read and are left out.", file=sys.stderr)
        return IMAGES_SKIPPED


def open_images(places: Sequence[Path], doing: str) -> ImagePaths:
    """The images at `places`, files and folders, behind a progress bar that says what is being done.

    The first is read at once, so that neither TensorFlow nor a model is loaded where there is none.

    Raises:
        InputError: there is none that can be read.
    """
    from kerascnn.console import track
    from kerascnn.evaluation.naming import image_files, readable

    skipped: list[InputError] = []

    def skip(error: InputError) -> None:
        skipped.append(error)
        print(f"kerascnn: {error}", file=sys.stderr)

    paths = image_files(places, skip)
    several = len(paths) > 1
    # Why a lone one cannot be read is raised.
    images = readable(track(paths, len(paths), doing), skip) if several else readable(paths, skipped.append)
    first = next(images, None)
    if first is None:
        raise InputError(f"none of the {len(paths)} files is an image.") if several else skipped.pop()
    start_tensorflow()
    return ImagePaths(paths, chain([first], images), skipped)
