"""What preprocessing learns of the training images: their mean image, and how to whiten them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kerascnn.data.dataset import DataSet
from kerascnn.data.pipeline.pipeline import evaluation_batches
from kerascnn.errors import InputError
from kerascnn.layers import Preprocessing
from kerascnn.training.recipe.recipe import Recipe

MEAN_SAMPLE = 2000  # Enough images for a mean that is exact to one gray level
WHITENING_SAMPLE = 50_000  # All of CIFAR-10's training images
MOST_VALUES = 4096  # Of an image that is whitened: the matrix has the square of it, 64 MB, in every copy of the model


def mean_image(recipe: Recipe, data: DataSet) -> np.ndarray:
    """The mean of the training images' evaluation views, (height, width, channels)."""
    total = count = 0
    for images in _views(recipe, data, MEAN_SAMPLE):
        total, count = total + images.astype(np.float64).sum(axis=0), count + len(images)
    return total / count


def fit_whitening(layer: Preprocessing, recipe: Recipe, data: DataSet) -> None:
    """Fits the ZCA whitening of a layer, whose mean is set, to the training images' evaluation views.

    With the values' covariance C, the matrix is (C + a)^-1/2, with the recipe's `pixels.whitening` for a (Krizhevsky,
    "Learning Multiple Layers of Features from Tiny Images", 2009, appendix A). InputError if images have too many
    values.
    """
    height, width, channels = recipe.image_shape
    values = height * width * channels
    if values > MOST_VALUES:
        raise InputError(
            f"whitening is for images of at most {MOST_VALUES:,} values, not {height} x {width} x {channels} = "
            f"{values:,}; set pixels.whitening=0 or a smaller image_size."
        )
    total, products, count = np.zeros(values), np.zeros((values, values)), 0
    for images in _views(recipe, data, WHITENING_SAMPLE):
        flat = np.asarray(layer.normalized(images)).reshape(len(images), -1)
        total += flat.sum(axis=0, dtype=np.float64)
        products += flat.T @ flat
        count += len(flat)
    mean = total / count
    eigenvalues, vectors = np.linalg.eigh(products / count - np.outer(mean, mean))
    scales = 1.0 / np.sqrt(np.maximum(eigenvalues, 0.0) + recipe.pixels.whitening)
    layer.set_whitening(mean, (vectors * scales) @ vectors.T)


def _views(recipe: Recipe, data: DataSet, most: int) -> Iterator[np.ndarray]:
    """Batches of at most so many of the training images, evenly chosen, as evaluation sees them."""
    examples = data.training
    if len(examples) > most:
        examples = examples.take(np.linspace(0, len(examples) - 1, most).astype(int))
    *size, channels = recipe.image_shape
    view = {"size": size, "channels": channels, "crop_fraction": recipe.pixels.crop_fraction}
    for images, _ in evaluation_batches(examples, classes=len(data.class_names), batch_size=64, **view):
        yield images.numpy()
