"""Explains a network's predictions: Grad-CAM, the filters of its first layer, its feature maps.

Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization" (2017),
section 3.

Differences from the paper:
    The last feature map is the graph's, after its activation: the last addition of a residual network, the last
    concatenation of an Inception network.
"""

from __future__ import annotations

import itertools
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np

from kerascnn.applications.deep import functional
from kerascnn.data.pipeline.view_arrays import views_of
from kerascnn.errors import InputError, closest
from kerascnn.evaluation.feature_maps import feature_maps, flatten_model, last_map, last_of_every_size, logits_of
from kerascnn.evaluation.plots import COLOR_MAP, gallery_figure, save_figure, sheet_figure
from kerascnn.evaluation.prediction import LoadedImage
from kerascnn.evaluation.predictors import KerasPredictor, OtherSavedModelPredictor, predictor_of
from kerascnn.files.file_names import safe_file_name
from kerascnn.image_shape import COLORS, RGB

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerascnn.evaluation.predictors import AnyModel


# Opacity of the heatmap at its greatest value.
OPACITY = 0.6

# Pixels: tiles are enlarged to at least this side, with lines of this width between them.
TILE, LINE = 48, 2

CHANNELS_SHOWN = 64


class ClassHeatmap(NamedTuple):
    """Grad-CAM of one class."""

    label: str
    probability: float  # from 0 to 1
    heat: np.ndarray  # float32 (rows, columns), at least 0, in units of the class's logit


class Activation(NamedTuple):
    """A layer's output for one image."""

    layer: str
    maps: np.ndarray  # float32 (rows, columns, channels)


class Explainer:
    """Computes explanations of a Keras model's main classifier; it takes what `evaluate` does. `layer` is Grad-CAM's.

    Raises:
        InputError: the model's format gives no gradients, or the model has no convolution.

    Example:
        >>> explainer = Explainer(open_predictor("runs/googlenet-pets-20261120-101500"))
        >>> [(one.label, one.heat.shape) for one in explainer.grad_cam(view, top=1)]
        [('Cat', (7, 7))]
    """

    def __init__(self, model: AnyModel):
        predictor = predictor_of(model)
        if not isinstance(predictor, KerasPredictor) or isinstance(predictor, OtherSavedModelPredictor):
            hint = "give the run folder or the .keras file that it was made from"
            raise InputError(f"{predictor.path} is a {predictor.kind} file, which gives no gradients; {hint}.")
        self.predictor = predictor
        network = flatten_model(predictor.network)
        self._pixels, probabilities = network.inputs[0], network.outputs[0]
        logits = logits_of(probabilities)
        try:
            self._maps = feature_maps(self._pixels, logits)
        except InputError as error:
            raise InputError(f"{predictor.path or network.name}: {error}") from None
        last = last_map(self._maps)
        self.layer = last.layer.name
        self._gradient_model = functional(self._pixels, [last.tensor, logits, probabilities])

    def grad_cam(self, view: np.ndarray, top: int = 3) -> list[ClassHeatmap]:
        """Grad-CAM of the `top` most probable classes, in descending order.

        Each channel of the last feature map is weighted by the gradient of the class's logit with respect to it,
        averaged over all positions. The heatmap is the positive part of the weighted sum (equations 1 and 2).
        `view` is float32 (height, width, channels) in [0, 255], the network's view of an image.
        """
        import tensorflow as tf

        with tf.GradientTape(persistent=True) as tape:
            pixels = tf.constant(view[None], tf.float32)
            # Without this, the tape records nothing if none of the weights are trainable.
            tape.watch(pixels)
            maps, logits, probabilities = self._gradient_model(pixels, training=False)
            shares = probabilities[0].numpy()
            best = np.argsort(-shares, kind="stable")[:top]
            class_logits = [logits[0, index] for index in best]
        names = self.predictor.metadata.class_names
        found = []
        for index, logit in zip(best, class_logits, strict=True):
            gradient = tf.cast(tape.gradient(logit, maps)[0], tf.float32)
            weights = tf.reduce_mean(gradient, axis=(0, 1))
            heat = tf.nn.relu(tf.linalg.matvec(tf.cast(maps[0], tf.float32), weights))
            found.append(ClassHeatmap(names[index], float(shares[index]), heat.numpy()))
        return found

    def activations(self, view: np.ndarray, layers: str | None = None) -> list[Activation]:
        """Feature maps of an image, in the order of the graph; `view` is as for `grad_cam`.

        `layers` is a pattern of layer names such as "inception_4*", None for the last feature map of every size.
        InputError if no layer with a feature map has such a name.
        """
        if layers is None:
            chosen = last_of_every_size(self._maps)
        else:
            chosen = [one for one in self._maps if fnmatchcase(one.layer.name, layers)]
        if not chosen:
            hint = closest(layers, [one.layer.name for one in self._maps])
            raise InputError(f"no layer with a feature map is called '{layers}'; {hint}")
        model = functional(self._pixels, [one.tensor for one in chosen])
        outputs = keras.tree.flatten(model(view[None].astype(np.float32), training=False))
        return [
            Activation(one.layer.name, keras.ops.convert_to_numpy(keras.ops.cast(output[0], "float32")))
            for one, output in zip(chosen, outputs, strict=True)
        ]

    def filters(self) -> np.ndarray:
        """The kernels of the first convolution, float32 (rows, columns, 3 or 1, filters).

        InputError if its input is neither RGB nor gray, or it has no plain kernel.
        """
        first = self._maps[0].layer
        kernel = getattr(first, "kernel", None)
        if kernel is None or kernel.shape[2] not in COLORS:
            raise InputError(f"the first feature map, of '{first.name}', is not made by filters over colors or gray.")
        return keras.ops.convert_to_numpy(keras.ops.cast(kernel, "float32"))


class ImageHeatmaps(NamedTuple):
    """Grad-CAM of an image."""

    image: Path | str  # its file; a name if it has none
    view: np.ndarray  # float32 (height, width, channels) in [0, 255], the network's view
    layer: str  # the layer whose feature map is weighted
    classes: list[ClassHeatmap]  # the most probable classes, in descending order

    def figure(self) -> Figure:
        """Draws the view, and each class's heatmap over it."""
        captions = ["the network's view", *(f"{one.label}, {one.probability:.1%}" for one in self.classes)]
        view = np.broadcast_to(self.view, (*self.view.shape[:2], RGB))
        images = np.stack([view, *(overlay(view, one.heat) for one in self.classes)])
        return gallery_figure(images, captions, f"{Path(self.image).name}: Grad-CAM at {self.layer}", inches=2.6)


def heatmaps(explainer: Explainer, image: LoadedImage, top: int = 3) -> ImageHeatmaps:
    """Grad-CAM of an image's `top` most probable classes."""
    view = views_of([image.pixels], **explainer.predictor.metadata.views)[0]
    return ImageHeatmaps(image.path, view, explainer.layer, explainer.grad_cam(view, top))


class Explanation(NamedTuple):
    """The files that explain one image."""

    image: Path | str  # the explained file
    classes: list[ClassHeatmap]  # its most probable classes, in descending order
    grad_cam: Path  # the file with the network's view and each class's heatmap over it
    activations: dict[str, Path]  # one file per layer, by the layer's name


def write_filters(explainer: Explainer, folder: Path) -> Path:
    """Writes the first layer's filters to filters.png in `folder`; InputError if there are none, or that fails."""
    filters = explainer.filters()
    rows, columns, _, count = filters.shape
    title = f"{count} filters of the first layer, {rows} × {columns}\ngray: zero; each scaled by its greatest weight"
    return save_figure(sheet_figure(tiles(filter_tiles(filters)), title), folder / "filters.png")


def write_explanation(
    explainer: Explainer, image: LoadedImage, folder: Path, name: str, top: int = 3, layers: str | None = None
) -> Explanation:
    """Writes Grad-CAM to `name`.png and one image per layer to `name`/, in `folder`, which is created if missing.

    `top` is the number of classes, `layers` as for `Explainer.activations`. InputError if no layer has such a name, or
    the folder cannot be written.

    Example:
        >>> write_explanation(explainer, LoadedImage(path, read_image(path)), Path("explanations"), "cat").grad_cam
        PosixPath('explanations/cat.png')
    """
    found = heatmaps(explainer, image, top)
    activations = explainer.activations(found.view, layers)
    files = {}
    for number, one in enumerate(activations, start=1):
        # Layers can have any name, which must not lead out of the folder.
        file = f"{number:02}-{re.sub(r'[^-.0-9A-Za-z]', '_', one.layer)}.png"
        rows, columns, channels = one.maps.shape
        shown = f"{min(channels, CHANNELS_SHOWN)} of {channels} channels" if channels > CHANNELS_SHOWN else "channels"
        title = f"{one.layer}, {rows} × {columns}\n{shown} by greatest mean; blue: least value, yellow: greatest"
        files[one.layer] = save_figure(sheet_figure(tiles(channel_tiles(one)), title), folder / name / file)
    return Explanation(image.path, found.classes, save_figure(found.figure(), folder / f"{name}.png"), files)


def overlay(view: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Draws a heatmap from dark to light yellow over an image; where the heat is 0 the image is unchanged.

    `view` is float (height, width, 3) in [0, 255]. `heat`, (rows, columns), is at least 0; its greatest value becomes
    light yellow. Returns uint8 (height, width, 3).
    """
    import matplotlib
    from PIL import Image

    height, width = view.shape[:2]
    scaled = Image.fromarray(_divide_by_maximum(heat).astype(np.float32))
    share = np.clip(np.asarray(scaled.resize((width, height), Image.Resampling.BILINEAR)), 0, 1)
    colors = 255 * matplotlib.colormaps["inferno"](share)[..., :3]
    opacity = OPACITY * share[..., None]
    return np.clip(np.round((1 - opacity) * view + opacity * colors), 0, 255).astype(np.uint8)


def filter_tiles(filters: np.ndarray) -> np.ndarray:
    """Kernels (rows, columns, 3 or 1, filters) as uint8 (filters, rows, columns, 3), scaled by their greatest weight.

    A weight of zero is gray.
    """
    kernels = np.moveaxis(filters, -1, 0)
    greatest = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
    shown = np.round(127.5 * (1 + kernels / np.where(greatest, greatest, 1))).astype(np.uint8)
    return np.broadcast_to(shown, (*shown.shape[:3], RGB))


def channel_tiles(activation: Activation) -> np.ndarray:
    """The channels of greatest mean as uint8 (channels, rows, columns, 3), from blue, the least value, to yellow."""
    import matplotlib

    order = np.argsort(-np.abs(activation.maps).mean(axis=(0, 1)), kind="stable")[:CHANNELS_SHOWN]
    channels = (activation.maps[..., channel] for channel in order)
    shares = np.stack([_divide_by_maximum(values - values.min()) for values in channels])
    return np.round(255 * matplotlib.colormaps[COLOR_MAP](shares)[..., :RGB]).astype(np.uint8)


def _divide_by_maximum(values: np.ndarray) -> np.ndarray:
    return values / (values.max() or 1)


def tiles(images: np.ndarray) -> np.ndarray:
    """Arranges small images, uint8 (count, height, width, 3), enlarged, in about a square."""
    count, height, width = images.shape[:3]
    enlarged = -(-TILE // min(height, width))
    images = images.repeat(enlarged, axis=1).repeat(enlarged, axis=2)
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    images = np.pad(images, ((0, rows * columns - count), (0, LINE), (0, LINE), (0, 0)), constant_values=255)
    tall, wide = images.shape[1:3]
    sheet = images.reshape(rows, columns, tall, wide, 3).swapaxes(1, 2).reshape(rows * tall, columns * wide, 3)
    return np.pad(sheet, ((LINE, 0), (LINE, 0), (0, 0)), constant_values=255)


def unique_name(image: Path | str, used: set[str]) -> str:
    """The file's name without its suffix, with a number if that is in `used`; adds the result to `used`."""
    # The stem of "...png" is "..".
    stem, numbers = safe_file_name(Path(image).stem), itertools.count(2)
    name = stem
    while name in used:
        name = f"{stem}-{next(numbers)}"
    used.add(name)
    return name
