"""Naming what is on many images, one after another, in the memory of a few."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerascnn.data.ingestion.image_formats import read_image
from kerascnn.data.ingestion.layouts import IMAGE_SUFFIXES, walk
from kerascnn.data.pipeline.pipeline import views_of
from kerascnn.errors import InputError
from kerascnn.evaluation.predictors import ModelMetadata, Predictor

BATCH = 32


class LoadedImage(NamedTuple):
    """An image file and its pixels, uint8 (height, width, 3)."""

    path: Path
    pixels: np.ndarray


class ImagePrediction(NamedTuple):
    """The most probable classes of an image, each with its probability, the best first, equal ones as in the model."""

    path: Path
    top: list[tuple[str, float]]


def image_files(places: Sequence[Path], skip: Callable[[InputError], object]) -> list[Path]:
    """The files that are meant by files and folders.

    Args:
        places: a file is taken whatever its name; of a folder, whatever below it has the suffix of an image, in the
            order of its path, without what is hidden.
        skip: is given the reason why something below a folder cannot be opened, which is then left out.

    Raises:
        InputError: nothing is there, or a folder has no images.

    Example:
        >>> image_files([Path("holiday"), Path("cat.webp")], print)
        [PosixPath('holiday/beach/1.jpg'), PosixPath('holiday/beach/2.jpg'), PosixPath('cat.webp')]
    """
    found = []
    for place in places:
        if place.is_dir():
            tree = walk(place)
            for item in tree.unreachable:
                skip(InputError(f"{place / item.path} cannot be read: {item.reason}."))
            below = [place / name for name in tree.files if name.lower().endswith(IMAGE_SUFFIXES)]
            if not below:
                raise InputError(f"{place} has no images, that is no files named *{', *'.join(IMAGE_SUFFIXES)}.")
            found += below
        elif place.exists():
            found.append(place)
        else:
            raise InputError(f"there is no file {place}.")
    return found


def readable(paths: Iterable[Path], skip: Callable[[InputError], object]) -> Iterator[LoadedImage]:
    """Reads images one by one.

    Args:
        paths: of files.
        skip: is given the reason why a file cannot be read, which is then left out.
    """
    for path in paths:
        try:
            yield LoadedImage(path, read_image(path))
        except InputError as error:
            skip(error)


def view_batches(metadata: ModelMetadata, images: Iterable[LoadedImage]) -> Iterator[tuple[list[Path], np.ndarray]]:
    """Files, and what a model is shown of them, float32 (batch, size, size, 3) in [0, 255], `BATCH` at a time.

    Never more than one image in full size and `BATCH` in the network's are held.

    Args:
        metadata: of the model.
        images: such as those of `readable`.
    """
    remaining = iter(images)
    while True:
        paths, views = [], []
        for image in islice(remaining, BATCH):
            paths.append(image.path)
            views.append(views_of([image.pixels], metadata.image_size, metadata.crop_fraction)[0])
        if not paths:
            return
        yield paths, np.stack(views)


def predictions(predictor: Predictor, images: Iterable[LoadedImage], top: int = 5) -> Iterator[ImagePrediction]:
    """Names what is on images, in their order, `BATCH` at a time.

    Args:
        predictor: from `open_predictor`.
        images: such as those of `readable`.
        top: how many classes each gets; not more than there are.

    Example:
        >>> next(predictions(open_predictor("pets.tflite"), readable([Path("cat.jpg")], print), top=1)).top
        [('Cat', 0.93)]
    """
    names = predictor.metadata.class_names
    for paths, views in view_batches(predictor.metadata, images):
        for path, row in zip(paths, predictor.probabilities(views), strict=True):
            best = np.argsort(-row, kind="stable")[:top]
            yield ImagePrediction(path, [(names[index], float(row[index])) for index in best])
