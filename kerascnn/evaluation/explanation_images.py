"""What `explanation` finds, as images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerascnn.data.pipeline.pipeline import views_of
from kerascnn.errors import InputError
from kerascnn.evaluation.explanation import Activation, ClassMap, Explainer
from kerascnn.evaluation.naming import LoadedImage
from kerascnn.evaluation.plots import gallery_figure

# How much of the image the hottest place hides.
OPACITY = 0.6

# The least side of a tile, in pixels, to which small ones are enlarged, and the lines between them.
TILE, LINE = 48, 2

CHANNELS_SHOWN = 64


class Explained(NamedTuple):
    """The files about one image.

    Attributes:
        image: what was explained.
        classes: its most probable classes, the best first.
        grad_cam: the view that the network was shown, and the heat of each class over it.
        activations: a file a layer, by the layer's name.
    """

    image: Path
    classes: list[ClassMap]
    grad_cam: Path
    activations: dict[str, Path]


def write_filters(explainer: Explainer, folder: Path) -> Path:
    """Writes the first layer's filters into `folder`.

    Raises:
        InputError: there are none, or the folder cannot be written.
    """
    return _save(tiles(filter_tiles(explainer.filters())), folder / "filters.png")


def write_explanation(
    explainer: Explainer, image: LoadedImage, folder: Path, name: str, top: int = 3, layers: str | None = None
) -> Explained:
    """Writes `name`.png, Grad-CAM over the image, and `name`/, an image a layer, into `folder`.

    Args:
        explainer: of the network.
        image: a file and its pixels.
        folder: is made where there is none.
        name: what the files are called.
        top: how many classes.
        layers: as for `Explainer.activations`.

    Raises:
        InputError: no layer has such a name, or the folder cannot be written.

    Example:
        >>> write_explanation(explainer, LoadedImage(path, read_image(path)), Path("explanations"), "cat").grad_cam
        PosixPath('explanations/cat.png')
    """
    metadata = explainer.predictor.metadata
    view = views_of([image.pixels], metadata.image_size, metadata.crop_fraction)[0]
    classes, activations = explainer.grad_cam(view, top), explainer.activations(view, layers)
    captions = ["as the network sees it", *(f"{one.label}, {one.probability:.1%}" for one in classes)]
    figure = gallery_figure(
        np.stack([view, *(overlay(view, one.heat) for one in classes)]),
        captions,
        f"{image.path.name}: Grad-CAM at {explainer.layer}",
        inches=2.6,
    )
    files = {}
    for number, one in enumerate(activations, start=1):
        # Layers' names are anybody's; files are not to be written elsewhere.
        file = f"{number:02}-{re.sub(r'[^-.0-9A-Za-z]', '_', one.layer)}.png"
        files[one.layer] = _save(tiles(channel_tiles(one)), folder / name / file)
    path = folder / f"{name}.png"
    _writable(path)
    figure.savefig(path)
    return Explained(image.path, classes, path, files)


def overlay(view: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """An image under the colours of a heat map, from blue to red; what has no heat stays as it is.

    Args:
        view: float (height, width, 3) in [0, 255].
        heat: (rows, columns), at least 0, in any unit; its greatest value becomes red.

    Returns:
        uint8 (height, width, 3).
    """
    import matplotlib
    from PIL import Image

    height, width = view.shape[:2]
    scaled = Image.fromarray(_to_one(heat).astype(np.float32))
    share = np.clip(np.asarray(scaled.resize((width, height), Image.Resampling.BILINEAR)), 0, 1)
    colours = 255 * matplotlib.colormaps["jet"](share)[..., :3]
    opacity = OPACITY * share[..., None]
    return np.clip(np.round((1 - opacity) * view + opacity * colours), 0, 255).astype(np.uint8)


def filter_tiles(filters: np.ndarray) -> np.ndarray:
    """Kernels (rows, columns, 3, filters) as uint8 (filters, rows, columns, 3), each scaled by its greatest weight.

    A weight of zero is a middle grey.
    """
    kernels = np.moveaxis(filters, -1, 0)
    greatest = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
    return np.round(127.5 * (1 + kernels / np.where(greatest, greatest, 1))).astype(np.uint8)


def channel_tiles(activation: Activation) -> np.ndarray:
    """The strongest channels, the strongest first, as uint8 (channels, rows, columns, 3): black least, white most."""
    order = np.argsort(-np.abs(activation.maps).mean(axis=(0, 1)), kind="stable")[:CHANNELS_SHOWN]
    grey = [np.round(255 * _to_one(activation.maps[..., channel], low=True)) for channel in order]
    return np.repeat(np.stack(grey).astype(np.uint8)[..., None], 3, axis=-1)


def _to_one(values: np.ndarray, low: bool = False) -> np.ndarray:
    values = values - (values.min() if low else 0)
    return values / (values.max() or 1)


def tiles(images: np.ndarray) -> np.ndarray:
    """Small images, uint8 (count, height, width, 3), beside and below each other in about a square, enlarged."""
    count, height, width = images.shape[:3]
    enlarged = -(-TILE // min(height, width))
    images = images.repeat(enlarged, axis=1).repeat(enlarged, axis=2)
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    tall, wide = height * enlarged + LINE, width * enlarged + LINE
    sheet = np.full((rows * tall + LINE, columns * wide + LINE, 3), 255, np.uint8)
    for number, image in enumerate(images):
        top, left = LINE + number // columns * tall, LINE + number % columns * wide
        sheet[top : top + tall - LINE, left : left + wide - LINE] = image
    return sheet


class Names:
    """Names for the files about images, none given twice.

    Example:
        >>> names = Names()
        >>> names.of(Path("a/cat.jpg")), names.of(Path("b/cat.png"))
        ('cat', 'cat-2')
    """

    def __init__(self):
        self._given = {"filters"}

    def of(self, image: Path) -> str:
        """That of the image's file without the suffix, with a number where another has it."""
        numbered = (image.stem, *(f"{image.stem}-{number}" for number in range(2, len(self._given) + 3)))
        name = next(name for name in numbered if name not in self._given)
        self._given.add(name)
        return name


def _save(pixels: np.ndarray, path: Path) -> Path:
    from PIL import Image

    _writable(path)
    Image.fromarray(pixels).save(path)
    return path


def _writable(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from None
