"""Pretrained weights: where they are, which network they belong to, and how their images were scaled."""

from __future__ import annotations

import functools
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascnn.applications import registry
from kerascnn.applications.weights.public import is_name
from kerascnn.applications.weights.sources import WeightSource, source_of
from kerascnn.errors import InputError, refused
from kerascnn.files.run_names import find_run, named_file
from kerascnn.image_shape import GRAY, ImageSize, Size
from kerascnn.training.model_files import first_of_class, layers_of
from kerascnn.training.recipe.fields import WHOLE
from kerascnn.training.recipe.recipe import Recipe
from kerascnn.training.run_folder import RunFolder

if TYPE_CHECKING:
    import keras

FROM_WEIGHTS = "weights"  # The value of `pixels.mean` for the mean and std of the pretrained weights
HEADS = "aux_heads"  # The builder's argument that pretrained weights do not determine: classifiers are new


@dataclass(frozen=True)
class Pretrained:
    """The weights that a training starts from, resolved once."""

    source: WeightSource  # where they are, and the arguments of the network's builder that they imply
    mean: np.ndarray  # subtracted from the pixels that they were trained on: a number, one per channel or one per pixel
    # The divisor of these pixels, one number or three; None if the file does not hold it.
    std: float | list[float] | None
    image_size: Size | None = None  # height and width in pixels, see `Recipe`; None if unknown
    channels: int | None = None  # of the images; None if unknown
    crop_fraction: float | None = None  # see `Pixels`; None if unknown
    cut: str = WHOLE  # where they end: the network was cut there, or saved without its dense layers; see `FineTuning`
    bgr: bool = False  # whether the first convolution takes blue, green, red
    contrast: float = 0.0  # see `Pixels`
    whitening: tuple[np.ndarray, ...] = ()  # the matrix and bias of `kerascnn.layers.Preprocessing`
    whitening_addend: float = 0.0  # see `Pixels.whitening`

    def complete(self, recipe: Recipe) -> Recipe:
        """The recipe with the builder's arguments, the image size and channels and the pixel scaling of the weights.

        A mean image stays in the file, and the recipe keeps `pixels.mean: weights`; a mean image of another size is
        replaced by the means of its channels. Weights of RGB images can be used for gray ones. Raises InputError for
        the reverse, and for a trained model's weights without that scaling.
        """
        if self.source.builder != registry.info(recipe.model).builder:
            # `source_of` has rejected arguments that contradict the weights; the other builder does not take them.
            heads = {name: value for name, value in recipe.model_arguments.items() if name == HEADS}
            recipe = replace(recipe, model=registry.canonical(self.source.builder), model_arguments=heads)
        arguments = {**_without_heads(self.source.arguments), **recipe.model_arguments}
        size, channels = recipe.image_size or self.image_size, recipe.channels or self.channels
        if self.channels == GRAY != channels:
            raise InputError(f"{recipe.fine_tuning.weights} was trained on gray images; channels must be 1, not 3.")
        tuning = recipe.fine_tuning
        tuning = replace(tuning, cut=self.cut if tuning.cut == WHOLE else tuning.cut)
        recipe = replace(recipe, model_arguments=arguments, image_size=size, channels=channels, fine_tuning=tuning)
        if recipe.pixels.mean != FROM_WEIGHTS:
            return recipe
        if self.std is None:
            raise InputError(
                f"{recipe.fine_tuning.weights} holds a trained model's weights without the scale of their pixels; "
                "give its .keras file, or set pixels.mean and pixels.std."
            )
        mean: str | list[float] = FROM_WEIGHTS
        if self.mean.ndim < 3 or self.mean.shape != recipe.image_shape:
            means = self.mean.mean(axis=(0, 1)) if self.mean.ndim == 3 else np.broadcast_to(self.mean, 3)
            mean = [float(value) for value in means]
        if self.whitening and len(self.whitening[1]) != np.prod(recipe.image_shape):
            size = "x".join(map(str, recipe.image_shape[:2]))
            raise InputError(
                f"{recipe.fine_tuning.weights} whitens images of another size than {size}; set image_size."
            )
        crop_fraction = self.crop_fraction or recipe.pixels.crop_fraction
        scaling = {"mean": mean, "std": self.std, "contrast": self.contrast, "whitening": self.whitening_addend}
        return replace(recipe, pixels=replace(recipe.pixels, crop_fraction=crop_fraction, **scaling))

    def whitens_as(self, whitening: float) -> bool:
        """Whether images are whitened as the weights were trained, if the recipe's `pixels.whitening` is this."""
        return bool(self.whitening) and whitening == self.whitening_addend

    def load_into(self, model: keras.Model) -> None:
        """Loads the weights into an assembled model, except for its classifiers, which stay new.

        The channels of a BGR network's first convolution are reversed, so that the model takes RGB. Raises InputError
        for another network's weights; the model is then unchanged.
        """
        from kerascnn.applications.stages import HEAD, stages
        from kerascnn.applications.weights import load as weight_files
        from kerascnn.layers import Preprocessing

        weight_files.check(self.source.network, self.source)
        head = [layer.name for layer in stages(model).get(HEAD, ())]
        layers = [layer for layer in model.layers if not isinstance(layer, Preprocessing)]
        weight_files.load(self.source.network, layers, self.source, new=head)
        if self.bgr:
            first = next(layer for layer in layers if layer.weights)
            first.kernel.assign(np.asarray(first.kernel)[:, :, ::-1])


def with_weights(recipe: Recipe, weights: str, model: str | None = None) -> Recipe:
    """The recipe for a training from pretrained weights, see `FineTuning.weights`.

    Of a run folder, or a file in one, the network and its builder's arguments are used, and, if the recipe takes the
    scaling of the pixels from the weights, the augmentation too. InputError if `model` is given and another one.
    """
    path = find_run(weights)
    # The name of a run may stand for another one later.
    weights = weights if path == Path(weights) else str(path)
    tuning = replace(recipe.fine_tuning, weights=weights)
    folder = RunFolder.around(path) if os.path.exists(path) else None
    if folder is None:
        return replace(recipe, fine_tuning=tuning, model=model or recipe.model)
    theirs = folder.read_recipe()[0]
    if model not in (None, theirs.model):
        raise InputError(f"{weights} holds the weights of {theirs.model}, not of {model}.")
    arguments = _without_heads(theirs.model_arguments)
    # Views of another kind than the network knows would change its features before they help.
    augmentation = theirs.augmentation if recipe.pixels.mean == FROM_WEIGHTS else recipe.augmentation
    made = {"model": theirs.model, "model_arguments": arguments, "augmentation": augmentation}
    return replace(recipe, fine_tuning=tuning, **made)


def find_weights(recipe: Recipe, name: str = "this recipe") -> WeightSource | None:
    """The source of the recipe's pretrained weights, without reading it; None for a training from scratch.

    InputError if the recipe needs weights and names none, or there are none at this path or of this name for its
    network.
    """
    weights = recipe.fine_tuning.weights
    if not weights:
        if recipe.pixels.mean == FROM_WEIGHTS or recipe.fine_tuning.freezes:
            raise InputError(
                f"{name} fine-tunes {recipe.model} and names no weights to start from; give a run folder, a file, or a "
                "name such as 'imagenet' as fine_tuning.weights, on the command line by --weights."
            )
        return None
    if not ("://" in weights or is_name(weights)):
        path = named_file(weights)
        if not os.path.isfile(path) and (path.suffix or len(path.parts) > 1):
            raise InputError(f"there are no weights at {weights}.")
    given = _without_heads(recipe.model_arguments)
    # The classifier is new.
    return source_of(registry.info(recipe.model).builder, weights, given=given, include_top=False)


def resolve_pretrained(recipe: Recipe) -> Pretrained | None:
    """The pretrained weights that a recipe names, with the scaling of their pixels; None for a training from scratch.

    A trained model's file holds the scaling; of other weights the publisher's is used. Raises InputError as
    `find_weights`, or if the file is damaged or cannot be downloaded.
    """
    from kerascnn.applications.preprocessing import SCALINGS
    from kerascnn.applications.weights import load as weight_files
    from kerascnn.applications.weights.tensor_files import is_tensor_file

    source = find_weights(recipe)
    if source is None:
        return None
    given = _without_heads(recipe.model_arguments)
    source = weight_files.with_batch_norm(source, given)
    # Before all of a file that is something else is hashed.
    weight_files.check(source.network, source)
    if not source.public and not is_tensor_file(source.location):
        trained = _read_trained(source)
        if trained:
            return trained
    scaling = SCALINGS[source.preprocessing]
    cut = WHOLE if _has_dense_layers(source) else _last_map(recipe.model, json.dumps({**source.arguments, **given}))
    return Pretrained(source, np.asarray(scaling.mean), list(scaling.std), cut=cut, bgr=scaling.reverse)


def _has_dense_layers(source: WeightSource) -> bool:
    """Whether the weights may go on above the maps, which those of keras.applications without a top do not."""
    from kerascnn.applications.weights import load as weight_files
    from kerascnn.applications.weights.tensor_files import is_tensor_file

    if source.public:
        return source.public.include_top
    return is_tensor_file(source.location) or weight_files.has_dense_layers(source.file())


@functools.lru_cache(maxsize=8)
def _last_map(model: str, arguments: str) -> str:
    """The last map of a network with dense layers below its classifier, by the builder's arguments as JSON; or "none".

    Without such layers, the classifier, which is new, is all that weights without a top lack.
    """
    from kerascnn.applications.cutting import places
    from kerascnn.applications.stages import DENSE, stages
    from kerascnn.complexity.analysis import without_values

    network = without_values(lambda: registry.create(model, **json.loads(arguments)))
    return places(network)[-1].name if DENSE in stages(network) else WHOLE


def _read_trained(source: WeightSource) -> Pretrained | None:
    """The scaling in the file of a model that this package trained; None for a network alone."""
    from kerascnn.applications.weights import load as weight_files

    path = source.file()
    with refused(f"{path} is damaged, or not a .keras file"):
        if not zipfile.is_zipfile(path):
            stored = weight_files.read(path).get(weight_files.PREPROCESSING)
            return Pretrained(source, stored[0], None) if stored else None
        layers = layers_of(path)
        scaling = first_of_class(layers, "Preprocessing")
        if scaling is None:
            return None
        shapes = [layer["config"].get("batch_shape") for layer in layers if layer["class_name"] == "InputLayer"]
        mean, *whitening = weight_files.read(path)[weight_files.PREPROCESSING]
        size, channels = (ImageSize(*shapes[0][1:3]).plain, shapes[0][3]) if shapes else (None, None)
        cut = _place_of_cut(layers)
        found = Pretrained(source, mean, scaling["std"], size, channels, scaling["crop_fraction"], cut)
        more = {"contrast": scaling.get("contrast", 0.0), "whitening_addend": scaling.get("whitening", 0.0)}
        return replace(found, whitening=tuple(whitening), **more)


def _place_of_cut(layers: list[dict[str, Any]]) -> str:
    """The layer below the pooling that a cut has put in; "none" if there is no such pooling."""
    from kerascnn.applications.cutting import POOL

    pooling = next((layer for layer in layers if layer["config"].get("name") == f"{POOL}_mean"), None)
    return pooling["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] if pooling else WHOLE


def _without_heads(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name != HEADS}
