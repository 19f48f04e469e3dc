"""Reads images in every form that people have: files, folders, globs, URLs, bytes, arrays, and lists of these."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, takewhile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from kerascnn.data.ingestion.image_bounds import MAX_FILE_SIZE
from kerascnn.data.ingestion.image_formats import UnreadableImageError, upright_rgb
from kerascnn.data.ingestion.own_outputs import own_output
from kerascnn.data.ingestion.unchecked_images import decode_unchecked
from kerascnn.errors import InputError, refused
from kerascnn.evaluation.prediction import LoadedImage, image_files, read_images, report_left_out
from kerascnn.files.download import download, is_url
from kerascnn.files.secret_urls import concealed, revealed
from kerascnn.files.temporary import TemporaryFolder

if TYPE_CHECKING:
    from PIL.Image import Image

    ImageInput = str | os.PathLike | bytes | IO[bytes] | Image | np.ndarray | Iterable["ImageInput"]

FORMS = (
    "a path, a folder, a glob, a URL, bytes, a PIL image, an array (height, width, 3) or (count, height, width, 3), "
    "or an iterable of these"
)


def raise_error(error: InputError) -> None:
    """The `skip` of callers that skip nothing."""
    raise error


def images_of(x: ImageInput, skip: Callable[[InputError], object] = raise_error) -> Iterator[LoadedImage]:
    """Reads images one by one, in their order; few are in memory at once, however many `x` gives.

    Args:
        x: a path of an image; a folder, for the images below it; a glob, also with `**`; an http or https URL; a file's
            bytes, or a file opened for reading them; a `PIL.Image.Image`; an array or tensor (height, width), (height,
            width, channels) or (count, height, width, channels) of 1 (gray), 3 (RGB) or 4 (RGBA) channels, with
            integers or floats in [0, 255]; or an iterable of these, such as a list, a column of paths, or a generator
            of a camera's frames.
        skip: called with the reason when a file cannot be read and is skipped; by default that error is raised.

    Raises:
        InputError: `x` is nothing of that kind, a path does not exist, or an array is no image.

    Example:
        >>> [image.path for image in images_of(["cat.jpg", np.zeros((32, 32, 3), "uint8")])]
        [PosixPath('cat.jpg'), 'array 1']
    """
    return _Reader(skip).read(x)


def locations_at(location: str | Path, skip: Callable[[InputError], object] = raise_error) -> list[Path | str]:
    """The image files of a path, a folder or a glob; a URL is itself.

    What this package wrote below a folder, or where a glob searches, is left out, which is said on standard error.
    `skip` is called for what is below a folder and cannot be opened. Raises InputError if there is nothing.
    """
    if is_url(str(location)):
        return [concealed(str(location))]
    if not str(location).strip():
        # As a path it would be the working directory.
        raise InputError(f"an empty text is not an image; give {FORMS}.")
    path = Path(location).expanduser()
    if os.path.exists(path) or not glob.has_magic(str(path)):
        return image_files([path], skip)
    paths = [Path(found) for found in sorted(glob.glob(str(path), recursive=True))]
    start = Path(*takewhile(lambda part: not glob.has_magic(part), path.parts))
    folders = sorted({folder for found in paths for folder in found.parents if start in folder.parents})
    own = {folder: f"{kind} that kerascnn wrote" for folder in folders if (kind := own_output(folder))}
    report_left_out(own)
    paths = [found for found in paths if not own.keys() & set(found.parents)]
    if not paths:
        raise InputError(f"no file matches {location}{', except in what kerascnn wrote' if own else ''}.")
    return image_files(paths, skip)


def decoded(contents: bytes, name: str, skip: Callable[[InputError], object] = raise_error) -> Iterator[LoadedImage]:
    """The image of a file's bytes, under a name; none if they cannot be read, and `skip` is called."""
    yield from _opened(name, lambda: decode_unchecked(contents), skip)


def _opened(name: str, read: Callable[[], np.ndarray], skip: Callable[[InputError], object]) -> Iterator[LoadedImage]:
    try:
        yield LoadedImage(name, read())
    except UnreadableImageError as error:
        skip(InputError(f"{name} cannot be read: {error}."))


@dataclass
class _Reader:
    skip: Callable[[InputError], object]
    # Images without a file are named by their number.
    unnamed: Iterator[int] = field(default_factory=lambda: count(1))

    def read(self, x: ImageInput) -> Iterator[LoadedImage]:
        from PIL.Image import Image

        if isinstance(x, str | os.PathLike):
            for location in locations_at(os.fspath(x), self.skip):
                yield from self._at(location)
        elif isinstance(x, bytes | bytearray | memoryview):
            yield from decoded(bytes(x), f"bytes {next(self.unnamed)}", self.skip)
        elif isinstance(x, Image):
            name = getattr(x, "filename", "") or f"image {next(self.unnamed)}"
            yield from _opened(name, lambda: upright_rgb(x), self.skip)
        elif hasattr(x, "read"):
            contents = x.read()
            if isinstance(contents, str):
                raise InputError('an image\'s file must be opened for reading bytes, with mode "rb", not as text.')
            yield from self.read(contents)
        elif hasattr(x, "__array__"):
            yield from self._of_array(_as_array(x))
        elif isinstance(x, Iterable) and not isinstance(x, Mapping):
            for item in x:
                yield from self.read(item)
        else:
            raise InputError(f"{type(x).__name__} is not an image; give {FORMS}.")

    def _of_array(self, array: np.ndarray) -> Iterator[LoadedImage]:
        # A column of a table, such as one of paths, or images of several sizes.
        if array.ndim == 1 and array.dtype.kind in "OU":
            yield from self.read(array.tolist())
            return
        for image in pixels_of_array(array):
            yield LoadedImage(f"array {next(self.unnamed)}", image)

    def _at(self, location: Path | str) -> Iterator[LoadedImage]:
        if isinstance(location, Path):
            yield from read_images([location], self.skip)
            return
        with TemporaryFolder() as folder:
            file = download(revealed(location), Path(folder), most=MAX_FILE_SIZE)
            for image in read_images([file], self.skip):
                yield image._replace(path=location)


def _as_array(x: Any) -> np.ndarray:
    # Keras' symbolic tensors have the method and no values.
    with refused(f"{type(x).__name__} is not an image"):
        return np.asarray(x)


def pixels_of_array(array: np.ndarray) -> np.ndarray:
    """The images of an array for `images_of`, (count, height, width, 3), in [0, 255]; InputError if it has none."""
    shape = array.shape
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape[1:]:
        raise InputError(
            f"an array of shape {shape} is no image; give (height, width, 3) or (count, height, width, 3), with the "
            "channels last."
        )
    _check_values(array)
    if array.shape[-1] == 4:
        alpha = array[..., 3:] / np.float32(255)
        array = array[..., :3] * alpha + 255 * (1 - alpha)
    return np.repeat(array, 3, axis=-1) if array.shape[-1] == 1 else array


def _check_values(array: np.ndarray) -> None:
    if array.dtype == np.uint8 or array.size == 0:
        return
    if array.dtype == bool or not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise InputError(f"an array of {array.dtype} is no image; give integers or floats in [0, 255].")
    low, high = array.min(), array.max()
    # A comparison with NaN is false.
    if not (low >= 0 and high <= 255):
        raise InputError(f"an array with values from {low:g} to {high:g} is no image; give pixels in [0, 255].")
    if 0 < high <= 1 and np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"an array of {array.dtype} with values from {low:g} to {high:g} seems to be scaled to [0, 1]; give pixels "
            "in [0, 255], that is 255 times as much."
        )
