"""Converts weights between the layouts of torchvision, of keras.applications and of this package.

Every conversion goes through a network: the weights that are read must match one, and its weights are written. A
model's own file contains the network. A file of weights alone does not: its network is built by name, in the variant of
the weights' publisher, with the classes, channels, auxiliary heads and batch normalization that the file has.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerascnn.applications import registry
from kerascnn.applications.weights import keras_layouts, load as weight_files, torch_layouts
from kerascnn.applications.weights.keras_layouts import AUXILIARY, Stored
from kerascnn.applications.weights.tensor_files import is_tensor_file, read_tensors, write_safetensors, written_whole
from kerascnn.applications.weights.variants import ArchitectureVariant
from kerascnn.errors import InputError
from kerascnn.image_shape import ImageSize, Size
from kerascnn.layers import channels_first

# Layouts by the suffix of a file to be written; the longer suffixes first.
SUFFIXES = {".weights.h5": "kerascnn", ".keras": "kerascnn", ".safetensors": "torchvision", ".h5": "keras"}
LAYOUTS = ("torchvision", "keras", "kerascnn")

# Names of the first convolution and of the classifier in the networks of this package.
FIRST = ("conv1", "conv1_1")
LAST = "predictions"


def layout_of(path: Path, layout: str | None = None) -> str:
    """The layout in which a file is to be written, by its suffix.

    `layout`, if given, is one of `LAYOUTS`, and must be the suffix's. InputError for an unknown suffix, or another
    layout's.
    """
    found = next((known for suffix, known in SUFFIXES.items() if path.name.endswith(suffix)), None)
    if found is None or layout not in (None, found):
        allowed = [f"{suffix} ({known})" for suffix, known in SUFFIXES.items() if layout in (None, known)]
        raise InputError(f"{path} cannot be written: its name must end in {' or '.join(allowed)}.")
    return found


def build_for_weights(name: str, path: Path, *, target: str, image_size: Size | None = None) -> keras.Model:
    """Builds the network `name` of a file of weights, and loads them; InputError if the file holds other weights.

    The file is a `.weights.h5` file of this package, an `.h5` file of keras.applications, or a `.safetensors`, `.pth`,
    `.pt` or `.th` file with PyTorch's tensors. `target` is the layout to convert to, which determines the variant of a
    file of this package.
    """
    entry = registry.info(name)
    try:
        if is_tensor_file(path):
            arguments = _arguments_of_tensors(entry, read_tensors(path))
        else:
            arguments = _arguments_of_layers(entry, weight_files.read(path), target)
        channels, builder = arguments.pop("channels"), arguments.pop("builder")
        size = ImageSize.of(image_size or entry.input_size)
        shape = (channels, *size) if channels_first() else (*size, channels)
        model = registry.create(builder, input_shape=shape, **arguments)
        weight_files.load(entry.builder, model.layers, path)
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path} is not a weight file of {entry.builder}: {error}") from None
    return model


def write(network: str, model: keras.Model, path: Path, layout: str) -> int:
    """Writes the weights of a network, or of a model around one, and returns the number of values.

    `network` is the builder's name, `layout` one of `LAYOUTS`; "kerascnn" writes Keras' own file of the whole model.
    The file is written completely or not at all. InputError if the layout has no such network or another variant of it,
    or the file cannot be written.
    """
    layers = [layer for layer in model.layers if layer.weights and layer.name != weight_files.PREPROCESSING]
    if layout == "torchvision":
        tensors = torch_layouts.to_torch(network, layers)
        write_safetensors(path, tensors)
        return sum(tensor.size for name, tensor in tensors.items() if not name.endswith(torch_layouts.COUNTER))
    if layout == "keras":
        stored = keras_layouts.to_keras(network, layers)
        keras_layouts.write_keras(path, stored)
        return sum(array.size for arrays in stored.values() for array in arrays)
    with written_whole(path) as partial:
        (model.save_weights if path.suffix == ".h5" else model.save)(partial)
    return model.count_params()


def _arguments_of_tensors(entry: registry.NetworkInfo, tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The builder's arguments for a file of tensors, and the images' channels."""
    batch_norm = any(name.endswith("running_mean") for name in tensors)
    layout = torch_layouts.find_layout(entry.builder, batch_norm)
    first = next(f"{layout.names[one]}.weight" for one in FIRST if one in layout.names)
    last = f"{layout.names[LAST]}.weight"
    if first not in tensors or tensors[first].ndim != 4:
        raise InputError(f"it has no tensor '{first}' of a convolution.")
    classes = len(tensors[last]) if last in tensors else None
    heads = any(name.startswith(layout.auxiliary) for name in tensors)
    return _arguments(entry, layout.variant, classes, heads, batch_norm) | {"channels": tensors[first].shape[1]}


def _arguments_of_layers(entry: registry.NetworkInfo, stored: Stored, target: str) -> dict[str, Any]:
    """The builder's arguments for an HDF5 file, and the images' channels."""
    main = [arrays[0] for name, arrays in stored.items() if not name.startswith(AUXILIARY)]
    convolutions, dense = ([array for array in main if array.ndim == ndim] for ndim in (4, 2))
    if not convolutions:
        raise InputError("it has no convolution.")
    # A file of this package does not name its variant: only the target's can be written.
    publisher = target if any(name in stored for name in FIRST) else "keras"
    layouts = {"torchvision": torch_layouts.LAYOUTS, "keras": keras_layouts.LAYOUTS}.get(publisher, {})
    variant = layouts[entry.builder].variant if entry.builder in layouts else ArchitectureVariant()
    classes = dense[-1].shape[1] if dense else None
    heads = any(name.startswith(AUXILIARY) for name in stored)
    batch_norm = any(name.endswith("_bn") for name in stored)
    return _arguments(entry, variant, classes, heads, batch_norm) | {"channels": convolutions[0].shape[2]}


def _arguments(
    entry: registry.NetworkInfo, variant: ArchitectureVariant, classes: int | None, heads: bool, batch_norm: bool
) -> dict[str, Any]:
    entry = registry.info(variant.builder or entry.builder)
    arguments = {"builder": entry.builder, **variant.arguments}
    if entry.aux_heads:
        arguments["aux_heads"] = heads
    if entry.module in weight_files.OPTIONAL_NORMALIZATION:
        arguments["batch_norm"] = batch_norm
    return arguments | ({"include_top": False} if classes is None else {"classes": classes})
