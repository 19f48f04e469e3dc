"""Weight files: this package's own, and those of keras.applications and torchvision.

Layers are found by their names, whatever the file is:

- `.weights.h5` and `.keras` of Keras 3, and what Keras calls its legacy HDF5 layout, of the same network. Of a trained
  model, which surrounds the network with preprocessing and class names, the network's layers are taken.
- The files that keras.applications publishes, and those that its models write: `keras_layouts` gives their layers the
  names that they have here.
- Files of tensors as torchvision publishes them, and its models write them, .safetensors, .pth and .pt:
  `tensor_files` reads them without PyTorch, and `torch_layouts` says what their tensors are here.

A network without its top, or without auxiliary heads, takes what it has from a file with them. A first convolution over
RGB is adapted to images of other channels (`input_channels`). Everything else must fit, both ways, and is checked
before the first weight is assigned: a model is loaded as a whole or not at all.
"""

from __future__ import annotations

import contextlib
import io
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np

from kerascnn.applications.weights.input_channels import RGB, for_channels
from kerascnn.applications.weights.keras_layouts import AUXILIARY, Stored, translated
from kerascnn.applications.weights.sources import WeightSource, source_of
from kerascnn.applications.weights.tensor_files import TENSOR_FILES, is_tensor_file, read_tensors
from kerascnn.applications.weights.torch_layouts import from_torch, module_names
from kerascnn.errors import InputError
from kerascnn.files.download import is_url

# Where a .keras archive keeps its weights.
WEIGHTS_IN_ARCHIVE = "model.weights.h5"

# What h5py and zipfile raise over bytes that are not what they seem.
DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)

# What trained models begin with.
PREPROCESSING = "preprocessing"


def check(network: str, weights: str | Path | WeightSource) -> None:
    """Looks whether there is such a file, before a network is built; what has to be fetched is left for later.

    Raises:
        InputError: there is none, or it is no weight file.
    """
    source = _source(network, weights)
    if is_url(source.location):
        return
    path = source.file()
    if not is_tensor_file(path):
        _hdf5(path).close()


def load(
    network: str,
    layers: Sequence[keras.layers.Layer],
    weights: str | Path | WeightSource,
    *,
    new: Collection[str] = (),
) -> None:
    """Loads weights into a network that was built for them.

    Args:
        network: the builder's name, such as "VGG16".
        layers: the network's, without what comes before it in the model.
        weights: the path of a file, or whatever else the builder's `weights` may be.
        new: names of layers that keep what they have, whatever the file has for them.

    Raises:
        InputError: the file cannot be fetched or read, or holds something else than these layers' weights.

    Example:
        >>> load("ResNet20", model.layers, "resnet20.weights.h5")
    """
    layers = [layer for layer in layers if layer.weights]
    path = _source(network, weights).file()
    read_stored = _of_tensors if is_tensor_file(path) else _of_layers
    stored = read_stored(network, path, layers, new)
    for layer in layers:
        if layer.name not in new:
            layer.set_weights(stored[layer.name])


def _source(network: str, weights: str | Path | WeightSource) -> WeightSource:
    return weights if isinstance(weights, WeightSource) else source_of(network, weights)


def _of_layers(network: str, path: Path, layers: Sequence[keras.layers.Layer], new: Collection[str]) -> Stored:
    """The layers' weights in an HDF5 or .keras file, but for the new ones."""
    stored = read(path)
    with _named(network, path):
        if layers[0].name not in stored:
            stored = translated(network, stored, layers)
        stored = {name: arrays for name, arrays in stored.items() if name not in new}
        layers = [layer for layer in layers if layer.name not in new]
        _adapt(stored, layers[0])
        _check(stored, layers)
    return stored


def _of_tensors(network: str, path: Path, layers: Sequence[keras.layers.Layer], new: Collection[str]) -> Stored:
    """The layers' weights in a file of tensors, but for the new ones."""
    tensors = read_tensors(path)
    with _named(network, path):
        modules = module_names(network, layers)
        replaced = tuple(f"{modules[name]}." for name in new if name in modules)
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(replaced)}
        layers = [layer for layer in layers if layer.name not in new]
        first, kernel = layers[0], f"{modules[layers[0].name]}.weight"
        if kernel in tensors:
            adapted = {first.name: [tensors[kernel].transpose(2, 3, 1, 0)]}
            _adapt(adapted, first)
            tensors[kernel] = adapted[first.name][0].transpose(3, 2, 0, 1)
        return from_torch(network, tensors, layers)


@contextlib.contextmanager
def _named(network: str, path: Path) -> Iterator[None]:
    """What does not fit is told with the file's name."""
    try:
        yield
    except InputError as misfit:
        raise InputError(f"{path} does not hold the weights of this {network}: {misfit}") from None


def read(path: str | Path) -> Stored:
    """The arrays of every layer in a file that has any; layers of one class are in the order of their model.

    Raises:
        InputError: the file is none, or damaged.
    """
    stored: Stored = {}
    with _hdf5(path) as file:
        try:
            for name, arrays in _layers(file):
                if stored.setdefault(name, arrays) is not arrays:
                    raise InputError(f"{path} holds two layers '{name}', so that names do not tell them apart.")
        except InputError:
            raise
        except DAMAGED:
            raise _unreadable(path) from None
    return stored


def _hdf5(path: str | Path):
    """The opened `h5py.File`."""
    import h5py

    try:
        if h5py.is_hdf5(path):
            return h5py.File(path, "r")
        with zipfile.ZipFile(path) as archive:
            return h5py.File(io.BytesIO(archive.read(WEIGHTS_IN_ARCHIVE)), "r")
    except DAMAGED:
        raise _unreadable(path) from None


def _unreadable(path: str | Path) -> InputError:
    return InputError(
        f"{path} is damaged, or neither an HDF5 weight file nor a .keras file, nor named {', '.join(TENSOR_FILES)}."
    )


def _layers(group) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Names and arrays, of either layout."""
    group = group.get("model_weights", group)
    if "layers" in group and not _strings(group, "layer_names"):
        yield from _keras3_layers(group["layers"])
    for layer in _strings(group, "layer_names"):
        arrays = [np.array(group[layer][weight]) for weight in _strings(group[layer], "weight_names")]
        if arrays:
            yield layer, arrays


def _strings(group, attribute: str) -> list[str]:
    """An attribute of the legacy layout; a long one is spread over `attribute0`, `attribute1`, …"""
    parts = [name for name in group.attrs if re.fullmatch(rf"{attribute}\d*", name)]
    values = [value for part in sorted(parts, key=_number) for value in group.attrs[part]]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _keras3_layers(group) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Groups are called after the layers' classes, with numbers; an attribute has the layer's name."""
    for key in sorted(group, key=_number):
        layer = group[key]
        variables = layer.get("vars", {})
        if len(variables):
            yield variables.attrs.get("name", key), [_array(variables[number]) for number in sorted(variables, key=int)]
        # A model inside the model.
        if "layers" in layer:
            yield from _keras3_layers(layer["layers"])


def _array(dataset) -> np.ndarray:
    if dataset.attrs.get("dtype") == "bfloat16":
        return np.array(dataset, "bfloat16").astype("float32")
    return np.array(dataset)


def _number(name: str) -> tuple[str, int]:
    """Sorts conv2d, conv2d_1, conv2d_2, …, conv2d_10."""
    stem, number = re.fullmatch(r"(.*?)_?(\d*)", name).groups()
    return stem, int(number or 0)


def _adapt(stored: Stored, first: keras.layers.Layer) -> None:
    """Gives a first convolution the channels that are wanted, where the file has it over RGB."""
    kernel, *others = stored.get(first.name, [None])
    if not isinstance(first, keras.layers.Conv2D) or kernel is None or kernel.ndim != 4:
        return
    channels = first.kernel.shape[2]
    if kernel.shape[2] == RGB != channels:
        stored[first.name] = [for_channels(kernel, channels), *others]


def _check(stored: Stored, layers: Sequence[keras.layers.Layer]) -> None:
    """Whether a file's layers are these.

    Raises:
        InputError: the first thing that does not fit.
    """
    dense = any(isinstance(layer, keras.layers.Dense) for layer in layers)
    for layer in layers:
        _check_layer(layer, stored.get(layer.name))
    left_over = stored.keys() - {layer.name for layer in layers}
    for name in stored:
        top = not dense and stored[name][0].ndim == 2
        if name in left_over and not top and not name.startswith(AUXILIARY) and name != PREPROCESSING:
            raise InputError(f"its layer '{name}' has no counterpart.")


def _check_layer(layer: keras.layers.Layer, arrays: list[np.ndarray] | None) -> None:
    classifier = isinstance(layer, keras.layers.Dense)
    if arrays is None:
        raise InputError(
            f"it has no '{layer.name}'"
            + (", which include_top=False does without." if classifier else ", which has weights here.")
        )
    there = [array.shape for array in arrays]
    here = [tuple(weight.shape) for weight in layer.weights]
    if there == here:
        return
    if classifier and len(there) == len(here) and there[0][:-1] == here[0][:-1]:
        raise InputError(f"its '{layer.name}' has {there[0][-1]} classes, and classes={here[0][-1]} was asked for.")
    raise InputError(f"its '{layer.name}' is of shape {_listed(there)}, where {_listed(here)} is needed.")


def _listed(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(map(str, shapes))
