"""Loads weight files of this package, of keras.applications and of PyTorch.

Layers are matched by name:

- `.weights.h5` and `.keras` files of Keras 3, and Keras' legacy HDF5 files, of the same network. Of a trained model,
  which adds preprocessing and class names, only the network's layers are used.
- Files that keras.applications publishes, and those that its models write (`keras_layouts` translates layer names).
- Files of tensors as torchvision, timm and akamaster publish them, .safetensors, .pth, .pt and .th (`tensor_files`
  reads them without PyTorch, `torch_layouts` translates them).

A network without top or auxiliary heads ignores theirs. A first convolution over RGB is adapted to images of other
channels. Everything else must match exactly, and is checked before any weight is assigned.
"""

import contextlib
import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np

from kerascnn.applications import registry
from kerascnn.applications.weights.keras_layouts import AUXILIARY, Stored, from_keras
from kerascnn.applications.weights.sources import WeightSource, source_of
from kerascnn.applications.weights.tensor_files import TENSOR_FILES, is_tensor_file, read_tensors, tensor_names
from kerascnn.applications.weights.torch_layouts import from_torch, layout_of
from kerascnn.errors import InputError, refused
from kerascnn.files.download import is_url
from kerascnn.files.hdf5_links import foreign_part
from kerascnn.files.memory import require_memory
from kerascnn.files.user_file import checked_file, open_zip
from kerascnn.image_shape import RGB

Result = TypeVar("Result")

# The weights inside a .keras archive.
WEIGHTS_IN_ARCHIVE = "model.weights.h5"

# The name of the first layer of trained models.
PREPROCESSING = "preprocessing"

# The modules of networks with and without batch normalization.
OPTIONAL_NORMALIZATION = ("vgg", "googlenet")


def check(network: str, weights: str | Path | WeightSource) -> None:
    """Checks before a network is built that its weights are a weight file; those to download are not checked."""
    source = _source(network, weights)
    if is_url(source.location):
        return
    path = source.file()
    if is_tensor_file(path):
        tensor_names(path)
    else:
        with _reading(path):
            _open_hdf5(path).close()


def with_batch_norm(source: WeightSource, given: Mapping[str, Any]) -> WeightSource:
    """The source, with the argument `batch_norm` that a user's own file needs, unless it is `given`.

    The file is downloaded if need be; InputError if it cannot be read.
    """
    has_option = registry.info(source.builder).module in OPTIONAL_NORMALIZATION
    if source.public or given.get("batch_norm") is not None or not has_option:
        return source
    path = source.file()
    names = tensor_names(path) if is_tensor_file(path) else _read(path, lambda layers: [name for name, _ in layers])
    found = any(name.endswith(("running_mean", "_bn")) for name in names)
    return replace(source, arguments={**source.arguments, "batch_norm": found})


def load(
    network: str, layers: Sequence[keras.layers.Layer], weights: str | Path | WeightSource, *, new: Collection[str] = ()
) -> None:
    """Loads weights into the layers of a network; InputError if the file cannot be read, or does not match them.

    `network` is the builder's name, `layers` are without those before the network in the model, `weights` the path of a
    file, or any other value of the builder's `weights`. The layers named in `new` keep their weights.
    """
    layers = [layer for layer in layers if layer.weights]
    path = _source(network, weights).file()
    read_layers = _from_tensor_file if is_tensor_file(path) else _from_keras_file
    stored = read_layers(network, path, layers, new)
    for layer in layers:
        if layer.name not in new:
            layer.set_weights(stored[layer.name])


def read(path: str | Path) -> Stored:
    """The arrays of all layers in an HDF5 or .keras file; layers of one class are in their model's order.

    InputError if the file is no such file, or is damaged.
    """

    def arrays(layers: Iterable[tuple[str, Sequence[Any]]]) -> Stored:
        stored: Stored = {}
        for name, datasets in layers:
            if name in stored:
                raise InputError(f"{path} holds two layers '{name}', so layers cannot be matched by name.")
            stored[name] = list(map(_array, datasets))
        return stored

    return _read(path, arrays)


def has_dense_layers(path: str | Path) -> bool:
    """Whether an HDF5 or .keras file holds dense layers; InputError if it is no such file, or is damaged."""
    return _read(path, lambda layers: any(arrays[0].ndim == 2 for _, arrays in layers))


def _read(path: str | Path, use: Callable[[Iterable[tuple[str, Sequence[Any]]]], Result]) -> Result:
    """What `use` makes of the layers' names and data sets in the file."""
    with _reading(path), _open_hdf5(path) as file:
        return use(_stored_layers(file))


def adapt_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Adapts the kernel of a first convolution over RGB, (height, width, 3, filters), to images of 1 channel or more.

    For one channel, the kernel is summed over RGB: a gray image gives the same result as the RGB image with three equal
    channels. For more channels, red, green and blue are repeated in turn and scaled by 3 / channels, so that an image
    with equal channels gives about the same result.

    Example:
        >>> adapt_channels(np.ones((7, 7, 3, 64)), 1)[0, 0, 0, 0]
        3.0
    """
    if channels == 1:
        return kernel.sum(axis=2, keepdims=True)
    return kernel[:, :, np.arange(channels) % RGB] * np.asarray(RGB / channels, kernel.dtype)


def _source(network: str, weights: str | Path | WeightSource) -> WeightSource:
    return weights if isinstance(weights, WeightSource) else source_of(network, weights)


def _from_keras_file(network: str, path: Path, layers: Sequence[keras.layers.Layer], new: Collection[str]) -> Stored:
    stored = read(path)
    with _naming(network, path):
        if layers[0].name not in stored:
            stored = from_keras(network, stored, layers)
        stored = {name: arrays for name, arrays in stored.items() if name not in new}
        layers = [layer for layer in layers if layer.name not in new]
        if arrays := stored.get(layers[0].name):
            stored[layers[0].name] = [_adapt(arrays[0], layers[0]), *arrays[1:]]
        _check_layers(network, stored, layers)
    return stored


def _from_tensor_file(network: str, path: Path, layers: Sequence[keras.layers.Layer], new: Collection[str]) -> Stored:
    tensors = read_tensors(path)
    with _naming(network, path):
        modules = layout_of(network, layers).names
        replaced = tuple(f"{modules[name]}." for name in new if name in modules)
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(replaced)}
        layers = [layer for layer in layers if layer.name not in new]
        kernel = f"{modules[layers[0].name]}.weight"
        if kernel in tensors and tensors[kernel].ndim == 4:
            tensors[kernel] = _adapt(tensors[kernel].transpose(2, 3, 1, 0), layers[0]).transpose(3, 2, 0, 1)
        return from_torch(network, tensors, layers)


@contextlib.contextmanager
def _naming(network: str, path: Path) -> Iterator[None]:
    """Adds the file's name to errors."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path} does not hold the weights of this {network}: {error}") from None


def _open_hdf5(path: str | Path):
    """The opened `h5py.File`."""
    import h5py

    if h5py.is_hdf5(checked_file(path)):
        file = h5py.File(path, "r")
    else:
        with open_zip(path) as archive:
            file = h5py.File(io.BytesIO(archive.read(WEIGHTS_IN_ARCHIVE)), "r")
    if found := foreign_part(file):
        file.close()
        raise InputError(f"{path} is refused: {found}, and weights must be in their own file.")
    return file


def _reading(path: str | Path) -> contextlib.AbstractContextManager[None]:
    return refused(
        f"{path} is damaged, or neither an HDF5 weight file nor a .keras file, nor named {', '.join(TENSOR_FILES)}"
    )


def _stored_layers(group) -> Iterator[tuple[str, list[Any]]]:
    """Names of the layers and data sets of their arrays, of either layout."""
    group = group.get("model_weights", group)
    if "layers" in group and not _strings(group, "layer_names"):
        yield from _keras3_layers(group["layers"])
    for layer in _strings(group, "layer_names"):
        if weights := _strings(group[layer], "weight_names"):
            yield layer, [group[layer][weight] for weight in weights]


def _strings(group, attribute: str) -> list[str]:
    """An attribute of the legacy layout; a long one is split into `attribute0`, `attribute1`, …"""
    parts = [name for name in group.attrs if re.fullmatch(rf"{attribute}\d*", name)]
    values = [value for part in sorted(parts, key=_number) for value in group.attrs[part]]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _keras3_layers(group) -> Iterator[tuple[str, list[Any]]]:
    """Groups are named after the layers' classes, with numbers; an attribute has the layer's name."""
    for key in sorted(group, key=_number):
        layer = group[key]
        variables = layer.get("vars", {})
        if len(variables):
            yield variables.attrs.get("name", key), [variables[number] for number in sorted(variables, key=int)]
        # A model inside the model.
        if "layers" in layer:
            yield from _keras3_layers(layer["layers"])


def _array(dataset) -> np.ndarray:
    require_memory(dataset.nbytes)
    is_bfloat16 = dataset.attrs.get("dtype") == "bfloat16"
    return np.array(dataset, "bfloat16").astype("float32") if is_bfloat16 else np.array(dataset)


def _number(name: str) -> tuple[str, int]:
    """Sorts conv2d, conv2d_1, conv2d_2, …, conv2d_10."""
    stem, number = re.fullmatch(r"(.*?)_?(\d*)", name).groups()
    return stem, int(number or 0)


def _adapt(kernel: np.ndarray, layer: keras.layers.Layer) -> np.ndarray:
    """A kernel over RGB, adapted to a first convolution over other channels; anything else unchanged."""
    if isinstance(layer, keras.layers.Conv2D) and kernel.ndim == 4 and kernel.shape[2] == RGB != layer.kernel.shape[2]:
        return adapt_channels(kernel, layer.kernel.shape[2])
    return kernel


def _check_layers(network: str, stored: Stored, layers: Sequence[keras.layers.Layer]) -> None:
    """Raises InputError for the first mismatch between a file's layers and these."""
    convolution = registry.info(network).convolutional_classifier
    of_top = [layer for layer in layers if isinstance(layer, keras.layers.Dense) or layer.name == convolution]
    for layer in layers:
        arrays, is_top = stored.get(layer.name), layer in of_top
        if arrays is None:
            hint = "; include_top=False leaves it out" if is_top else ", which has weights here"
            raise InputError(f"it has no '{layer.name}'{hint}.")
        found, needed = ([tuple(one.shape) for one in weights] for weights in (arrays, layer.weights))
        if found == needed:
            continue
        if is_top and len(found) == len(needed) and found[0][:-1] == needed[0][:-1]:
            raise InputError(f"its '{layer.name}' has {found[0][-1]} classes, not classes={needed[0][-1]}.")
        shapes, wanted = (" and ".join(map(str, one)) for one in (found, needed))
        raise InputError(f"its '{layer.name}' has shape {shapes}, but {wanted} is needed.")
    known = {PREPROCESSING, *(layer.name for layer in layers)}
    tops = {convolution, *(name for name, arrays in stored.items() if arrays[0].ndim == 2)}
    for name in stored:
        # The parametric ReLU of "fc1" is "fc1_prelu".
        is_top = not of_top and not tops.isdisjoint((name, name.removesuffix("_prelu")))
        if name not in known and not is_top and not name.startswith(AUXILIARY):
            raise InputError(f"its layer '{name}' has no counterpart.")
