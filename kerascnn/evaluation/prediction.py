"""Predicts labels for any number of image files in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kerascnn.console import messages, print_text
from kerascnn.data.ingestion.file_tree import IMAGE_SUFFIXES, walk
from kerascnn.data.ingestion.image_formats import read_image
from kerascnn.data.ingestion.own_outputs import own_output, without_own_outputs
from kerascnn.data.ingestion.unchecked_images import decode_unchecked
from kerascnn.data.pipeline.view_arrays import views_of
from kerascnn.errors import InputError
from kerascnn.evaluation.predictors import ModelMetadata, Predictor
from kerascnn.files.run_names import find_run
from kerascnn.shown_text import printable
from kerascnn.training.run_folder import RunFolder

if TYPE_CHECKING:
    from rich.table import Table

BATCH = 32

# Predicted classes per image, where an image has one class.
TOP = 5


class LoadedImage(NamedTuple):
    """An image and its pixels, (height, width, 3) in [0, 255]."""

    path: Path | str  # its file; a name if it has none
    pixels: np.ndarray  # uint8 if they are from a file


class ImagePrediction(NamedTuple):
    """The most probable classes of an image, in descending order; of a multi-label model maybe none."""

    path: Path | str  # the image's file; a name if it has none
    top: list[tuple[str, float]]  # pairs of a class and its probability

    def to_dict(self) -> dict[str, Any]:
        """What `kerascnn predict --json` prints for the image."""
        top = [{"label": label, "probability": probability} for label, probability in self.top]
        return {"image": str(self.path), "top": top}

    def rows(self) -> list[tuple[str, int, str, float]]:
        """One row per class: image, rank from 1, label, probability."""
        return [(str(self.path), rank, *one) for rank, one in enumerate(self.top, start=1)]


def predictions_table(images: Iterable[ImagePrediction]) -> Table:
    """The table that `kerascnn predict` prints."""
    from kerascnn.console import table

    shown = table("image", "label", "probability", text_columns=2, padding=(0, 1))
    for image in images:
        shown.add_section()
        if not image.top:
            shown.add_row(str(image.path), "–", "")
        for name, rank, label, probability in image.rows():
            shown.add_row(name if rank == 1 else "", label, f"{probability:.2%}")
    return shown


def image_files(paths: Sequence[Path], skip: Callable[[InputError], object]) -> list[Path]:
    """Lists image files of any name, and below folders, sorted, those with an image's suffix that are not hidden.

    Outputs of this package below a folder are left out, which is said on standard error; `skip` is called with the
    reason when something else there cannot be opened. InputError if a path does not exist, a folder has no images, or
    is such an output, as a run folder, whose images are plots.

    Example:
        >>> image_files([Path("holiday"), Path("cat.webp")], print)
        [PosixPath('holiday/beach/1.jpg'), PosixPath('holiday/beach/2.jpg'), PosixPath('cat.webp')]
    """
    found = []
    for path in paths:
        # The functions of `Path` fail where a path is too long.
        if os.path.isfile(RunFolder(_run_of(path)).recipe_file):
            raise InputError(f"{path} is a run folder, not a folder of images; give one model, and then images.")
        if os.path.isdir(path):
            if kind := own_output(path):
                raise InputError(f"{path} is no folder of images, but {kind} that kerascnn wrote.")
            tree = without_own_outputs(replace(walk(path), ignored=()))
            report_left_out({path / item.path: item.reason for item in tree.ignored})
            for item in tree.unreadable:
                skip(InputError(f"{path / item.path} cannot be read: {item.reason}."))
            below = [path / name for name in tree.files if name.lower().endswith(IMAGE_SUFFIXES)]
            if not below:
                but = " except in what kerascnn wrote" if tree.ignored else ""
                raise InputError(f"{path} has no images{but}, that is no files named *{', *'.join(IMAGE_SUFFIXES)}.")
            found += below
        elif os.path.exists(path):
            found.append(path)
        else:
            raise InputError(f"there is no file {printable(str(path))}.")
    return found


def _run_of(path: Path) -> Path:
    """The run that a name such as "runs/last" stands for; a path that is no name of a run is itself."""
    try:
        return find_run(path)
    except InputError:
        return path


def report_left_out(folders: Mapping[Path, str]) -> None:
    """Says on standard error which folders are not read, and why."""
    if folders:
        print_text(messages(), f"left out: {', '.join(f'{folder} ({why})' for folder, why in folders.items())}")


def read_images(paths: Iterable[Path], skip: Callable[[InputError], object]) -> Iterator[LoadedImage]:
    """Reads images one by one; calls `skip` with the reason when a file cannot be read and is skipped."""
    for path in paths:
        try:
            yield LoadedImage(path, read_image(path, decode_unchecked))
        except InputError as error:
            skip(error)


def view_batches(metadata: ModelMetadata, images: Iterable[LoadedImage]) -> Iterator[tuple[list[Path], np.ndarray]]:
    """Batches of paths and a model's views of the images: float32 (at most `BATCH`, height, width, channels).

    Pixels are in [0, 255]. At most one image in full size and `BATCH` views are in memory.
    """
    images = iter(images)
    while batch := [(image.path, views_of([image.pixels], **metadata.views)[0]) for image in islice(images, BATCH)]:
        paths, views = zip(*batch, strict=True)
        yield list(paths), np.stack(views)


def predictions(
    predictor: Predictor, images: Iterable[LoadedImage], top: int | None = None, threshold: float | None = None
) -> Iterator[ImagePrediction]:
    """Predicts the labels of images from `read_images`, in their order, in batches.

    `top` is the number of classes per image; None for 5, or of a multi-label model for all from the threshold on.
    Classes of equal probability stay in the model's order. `threshold` is the least probability of a class of a
    multi-label model, None for its own; InputError if an image has one class.

    Example:
        >>> next(predictions(open_predictor("pets.tflite"), read_images([Path("cat.jpg")], print), top=1)).top
        [('Cat', 0.93)]
    """
    names = predictor.metadata.class_names
    least = predictor.metadata.with_threshold(threshold).threshold or 0.0
    count = top or (len(names) if predictor.metadata.multi_label else TOP)
    for paths, views in view_batches(predictor.metadata, images):
        for path, row in zip(paths, predictor.probabilities(views), strict=True):
            best = np.argsort(-row, kind="stable")[:count]
            yield ImagePrediction(path, [(names[index], float(row[index])) for index in best if row[index] >= least])
