"""Where the weights come from that a fine-tuning begins with, and what they were trained to be fed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kerascnn.applications import registry
from kerascnn.errors import InputError
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.run_folder import RunFolder

if TYPE_CHECKING:
    import keras

    from kerascnn.applications.preprocessing import Scaling
    from kerascnn.applications.weights.sources import WeightSource

# The value of `pixels.mean` that stands for the weights' own.
OF_WEIGHTS = "weights"

CONFIG_IN_ARCHIVE = "config.json"

# Of a builder's arguments, what weights do not say: heads are new.
HEADS = "aux_heads"


class Pretrained(NamedTuple):
    """What a model's file says of the images that it was trained on.

    Attributes:
        image_size: height and width in pixels.
        mean: as its preprocessing subtracts it: a number, one a channel or one a pixel.
        std: what it divides by; None where there are weights only.
        crop_fraction: see `Pixels`.
    """

    image_size: int | None
    mean: np.ndarray
    std: float | list[float] | None
    crop_fraction: float


def begin_with(recipe: Recipe, weights: str, model: str | None = None) -> Recipe:
    """The recipe for a training that begins with these weights.

    Args:
        recipe: of any kind.
        weights: see `FineTuning.weights`. Of a run folder, or a file in one, network and the arguments of its builder
            are taken.
        model: the network; None for the run's, or else the recipe's.

    Raises:
        InputError: the weights are a run's, of another network.
    """
    tuning = replace(recipe.fine_tuning, weights=weights)
    path = Path(weights)
    folder = RunFolder.around(path) if path.exists() else None
    if folder is None:
        return replace(recipe, fine_tuning=tuning, model=model or recipe.model)
    theirs = folder.read_recipe()[0]
    if model not in (None, theirs.model):
        raise InputError(f"{weights} holds the weights of {theirs.model}, not of {model}.")
    arguments = {name: value for name, value in theirs.model_arguments.items() if name != HEADS}
    return replace(recipe, fine_tuning=tuning, model=theirs.model, model_arguments=arguments)


def check_origin(recipe: Recipe) -> None:
    """Looks whether there are weights where the recipe needs some, before anything is started.

    Raises:
        InputError: there are none, or no public ones of a name, or a path leads nowhere.
    """
    tuning = recipe.fine_tuning
    if not tuning.weights:
        if recipe.pixels.mean == OF_WEIGHTS or tuning.freezes:
            raise InputError(
                "the recipe fine-tunes and has no weights to begin with; give a run folder, a file, "
                "or a name such as 'imagenet', with --weights or as fine_tuning.weights."
            )
        return
    path = Path(tuning.weights)
    if path.is_dir():
        weight_file(tuning.weights)
    elif not path.is_file() and (path.suffix or len(path.parts) > 1) and "://" not in tuning.weights:
        raise InputError(f"there are no weights at {tuning.weights}.")
    _source(recipe)


def weight_file(weights: str) -> str:
    """What the network's builder takes: the model's file of a run folder, or else the weights as they are named.

    Raises:
        InputError: a folder without a model.
    """
    path = Path(weights)
    if not path.is_dir():
        return weights
    file = RunFolder(path).model_file
    if not file.is_file():
        raise InputError(f"{path} holds no {file.name}; give the folder of a run that came to its end, or a file.")
    return str(file)


def resolved_by_weights(recipe: Recipe) -> Recipe:
    """The recipe with pixels scaled as the weights were trained, and images of their size where it states none.

    A mean image stays in the file, and the recipe says `mean: weights`; of another size it counts as its channels'
    means. Where a file does not say how its pixels were scaled, the registry does.

    Of public weights the network takes the arguments of its builder that they imply.

    Raises:
        InputError: as `check_origin`, or the network has no such weights, or the file is damaged, or a trained model's
            without the scale of its pixels.
    """
    check_origin(recipe)
    if not recipe.fine_tuning.weights:
        return recipe
    recipe = _with_network_of(_source(recipe), recipe)
    origin = origin_of(recipe)
    if origin and origin.image_size:
        recipe = recipe.with_values(image_size=recipe.image_size or origin.image_size)
    if recipe.pixels.mean != OF_WEIGHTS:
        return recipe
    if origin and origin.std is None:
        raise InputError(
            f"{recipe.fine_tuning.weights} holds a trained model's weights without the scale of their pixels; "
            "give its .keras file, or state pixels.mean and pixels.std."
        )
    if origin is None:
        scaling = _published(recipe)
        pixels = replace(recipe.pixels, mean=list(scaling.mean), std=list(scaling.std))
    elif origin.mean.shape[:2] == (recipe.image_size, recipe.image_size):
        pixels = replace(recipe.pixels, std=origin.std, crop_fraction=origin.crop_fraction)
    else:
        means = origin.mean.mean(axis=(0, 1)) if origin.mean.ndim == 3 else np.broadcast_to(origin.mean, 3)
        means = [float(value) for value in means]
        pixels = replace(recipe.pixels, mean=means, std=origin.std, crop_fraction=origin.crop_fraction)
    return replace(recipe, pixels=pixels)


def _with_network_of(source: WeightSource, recipe: Recipe) -> Recipe:
    """The recipe with the network of the weights: the builder's arguments that they need, or another builder."""
    if source.builder != registry.info(recipe.model).builder:
        # Arguments that do not agree with it are errors of `source_of`.
        arguments = {name: value for name, value in recipe.model_arguments.items() if name == HEADS}
        return replace(recipe, model=registry.canonical(source.builder), model_arguments=arguments)
    implied = {name: value for name, value in source.arguments.items() if name != HEADS}
    return replace(recipe, model_arguments={**implied, **recipe.model_arguments})


def mean_image(recipe: Recipe) -> np.ndarray:
    """The mean of a recipe that is resolved and says `mean: weights`, (size, size, 3)."""
    return origin_of(recipe).mean


def load_weights(model: keras.Model, recipe: Recipe) -> None:
    """Gives a model that was assembled for a recipe the recipe's weights, but for its classifiers, which are new.

    The first convolution of weights that want blue before red is turned round, so that the model takes RGB as every
    other does.

    Raises:
        InputError: they are another network's.
    """
    from kerascnn.applications.stages import HEAD, stages
    from kerascnn.applications.weights import load as weight_files
    from kerascnn.layers import Preprocessing

    builder = registry.info(recipe.model).builder
    source = _source(recipe)
    weight_files.check(builder, source)
    head = [layer.name for stage in stages(model) if stage.name == HEAD for layer in stage.layers]
    layers = [layer for layer in model.layers if not isinstance(layer, Preprocessing)]
    weight_files.load(builder, layers, source, new=head)
    if origin_of(recipe) is None and _published(recipe).reverse:
        first = next(layer for layer in layers if layer.weights)
        first.kernel.assign(np.asarray(first.kernel)[:, :, ::-1])


def origin_of(recipe: Recipe) -> Pretrained | None:
    """What a trained model's file tells of the pixels; None where it is a network's alone.

    Raises:
        InputError: it is damaged, or cannot be fetched.
    """
    from kerascnn.applications.weights import load as weight_files
    from kerascnn.applications.weights.tensor_files import is_tensor_file

    source = _source(recipe)
    if source.public or is_tensor_file(source.location):
        return None
    path = source.file()
    if not zipfile.is_zipfile(path):
        scaling = weight_files.read(path).get(weight_files.PREPROCESSING)
        return Pretrained(None, scaling[0], None, 1.0) if scaling else None
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read(CONFIG_IN_ARCHIVE))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        raise InputError(f"{path} is damaged, or no .keras file.") from None
    layers = list(_layers(config))
    scaling = next((layer["config"] for layer in layers if layer["class_name"] == "Preprocessing"), None)
    if scaling is None:
        return None
    shapes = [layer["config"].get("batch_shape") for layer in layers if layer["class_name"] == "InputLayer"]
    [mean] = weight_files.read(path)[weight_files.PREPROCESSING]
    return Pretrained(shapes[0][1] if shapes else None, mean, scaling["std"], scaling["crop_fraction"])


def _layers(config: Any) -> Iterator[dict[str, Any]]:
    """Every layer's description in a model's config, wherever it is nested."""
    for layer in config.get("config", {}).get("layers", ()):
        yield layer
        yield from _layers(layer)


def _published(recipe: Recipe) -> Scaling:
    """How the publisher of weights that are no trained model's scaled pixels."""
    from kerascnn.applications.preprocessing import SCALINGS

    return SCALINGS[_source(recipe).preprocessing]


def _source(recipe: Recipe) -> WeightSource:
    """What the weights are that a recipe names.

    Raises:
        InputError: there are none of that name for the recipe's network.
    """
    from kerascnn.applications.weights.sources import source_of

    given = {name: value for name, value in recipe.model_arguments.items() if name != HEADS}
    return source_of(registry.info(recipe.model).builder, weight_file(recipe.fine_tuning.weights), given=given)
