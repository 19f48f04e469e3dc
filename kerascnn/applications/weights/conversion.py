"""Weights from one layout to another: torchvision's, keras.applications' and this package's.

Every conversion goes through a network: what is read must fit one, and what that holds is written. A model's own file
has the network in it; a file of weights alone does not say where strides are or how large images are, so that the
network is built from the name that is given with it: with as many classes and channels as the file has, with the
auxiliary heads and the batch normalization that are in it, and in the form that the weights' publisher has.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from kerascnn.applications import registry
from kerascnn.applications.weights import keras_layouts, torch_layouts
from kerascnn.applications.weights import load as weight_files
from kerascnn.applications.weights.keras_files import write_keras
from kerascnn.applications.weights.keras_layouts import AUXILIARY, Stored
from kerascnn.applications.weights.tensor_files import is_tensor_file, read_tensors, write_safetensors
from kerascnn.applications.weights.variants import ArchitectureVariant
from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_path
from kerascnn.files.disk_space import format_os_error
from kerascnn.layers import channels_first

# How the names of files end that hold weights in a layout; the longer endings first.
SUFFIXES = {".weights.h5": "kerascnn", ".keras": "kerascnn", ".safetensors": "torchvision", ".h5": "keras"}
LAYOUTS = ("torchvision", "keras", "kerascnn")

# What the first convolution is called, in some network or other of this package.
FIRST = ("conv1", "conv1_1")
# And its last dense layer.
LAST = ("fc8", "fc")


class NetworkFacts(NamedTuple):
    """What a file of weights tells of its network.

    Attributes:
        classes: None where it has no top.
        channels: of the images.
        heads, batch_norm: whether auxiliary heads, and batch normalizations, are in it.
        form: its publisher's network as it is built here; None of files of this package.
    """

    classes: int | None
    channels: int
    heads: bool
    batch_norm: bool
    form: ArchitectureVariant | None


def layout_of(path: Path, asked: str | None = None) -> str:
    """The layout in which a file is to be written.

    Args:
        path: of the file, whose ending tells.
        asked: one of `LAYOUTS`, which must be the one that its ending tells.

    Raises:
        InputError: its ending tells none, or another.

    Example:
        >>> layout_of(Path("mine.safetensors"))
        'torchvision'
    """
    told = next((layout for suffix, layout in SUFFIXES.items() if path.name.endswith(suffix)), None)
    if told is None or asked not in (None, told):
        wanted = [f"{suffix} ({layout})" for suffix, layout in SUFFIXES.items() if asked in (None, layout)]
        raise InputError(f"{path} is to be written, and its name must end in {' or '.join(wanted)}.")
    return told


def network_with(name: str, path: Path, *, target: str, image_size: int | None = None) -> keras.Model:
    """The network that a file of weights alone belongs to, with these.

    Args:
        name: one of `list_models()`.
        path: a `.weights.h5` file of this package, an `.h5` one of keras.applications, or a `.safetensors`, `.pth` or
            `.pt` one with torchvision's tensors.
        target: the layout in which they are wanted, which says what form a file of this package is of.
        image_size: height and width in pixels; None for the paper's.

    Raises:
        InputError: there is no such network, the file cannot be read, or it holds something else.

    Example:
        >>> model = network_with("resnet50", Path("resnet50.pth"), target="kerascnn")
    """
    entry = registry.info(name)
    try:
        if is_tensor_file(path):
            facts = _of_tensors(entry.builder, read_tensors(path))
        else:
            facts = _of_stored(entry.builder, weight_files.read(path))
        model = _built(entry, facts, target, image_size)
        weight_files.load(entry.builder, model.layers, path)
    except InputError as misfit:
        raise (
            misfit if str(path) in str(misfit) else InputError(f"{path}, taken for {entry.builder}: {misfit}")
        ) from None
    return model


def _built(entry: registry.NetworkInfo, facts: NetworkFacts, target: str, image_size: int | None) -> keras.Model:
    """The network that a file's facts tell, with weights of its own."""
    form = _form(entry.builder, target) if facts.form is None else facts.form
    entry = registry.info(form.builder or entry.builder)
    arguments = dict(form.arguments)
    if entry.aux_heads:
        arguments["aux_heads"] = facts.heads
    if entry.module in ("vgg", "googlenet"):
        arguments["batch_norm"] = facts.batch_norm
    if facts.classes is None:
        arguments["include_top"] = False
    else:
        arguments["classes"] = facts.classes
    size = (image_size or entry.input_size,) * 2
    shape = (facts.channels, *size) if channels_first() else (*size, facts.channels)
    return registry.create(entry.builder, input_shape=shape, **arguments)


def write(network: str, model: keras.Model, path: Path, layout: str) -> int:
    """Writes the weights of a network, or of a model around one.

    Args:
        network: the builder's name, such as "ResNet50".
        model: it.
        path: of the file, which is there as a whole or not at all.
        layout: one of `LAYOUTS`; that of this package is Keras', of the whole model.

    Returns:
        How many numbers were written.

    Raises:
        InputError: the layout's owner has no such network, or another form of it; the file cannot be written.

    Example:
        >>> write("ResNet18", ResNet18(), Path("mine.safetensors"), "torchvision")
        11699112
    """
    layers = [layer for layer in model.layers if layer.weights and layer.name != weight_files.PREPROCESSING]
    if layout == "torchvision":
        tensors = torch_layouts.to_torch(network, layers)
        write_safetensors(path, tensors)
        return sum(tensor.size for name, tensor in tensors.items() if not name.endswith(torch_layouts.COUNTER))
    if layout == "keras":
        stored = keras_layouts.to_keras(network, layers)
        write_keras(path, stored)
        return sum(array.size for arrays in stored.values() for array in arrays)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as partial:
            (model.save_weights if path.suffix == ".h5" else model.save)(partial)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {format_os_error(error)}.") from None
    return model.count_params()


def _form(network: str, layout: str) -> ArchitectureVariant:
    """The form of a network that a layout's owner has."""
    known = {"torchvision": torch_layouts.LAYOUTS, "keras": keras_layouts.LAYOUTS}.get(layout, {})
    return known[network].form if network in known else ArchitectureVariant()


def _of_tensors(network: str, tensors: Mapping[str, np.ndarray]) -> NetworkFacts:
    batch_norm = any(name.endswith("running_mean") for name in tensors)
    layout = torch_layouts.layout(network, batch_norm)
    first = next(f"{layout.names[name]}.weight" for name in FIRST if name in layout.names)
    last = next(f"{layout.names[name]}.weight" for name in LAST if name in layout.names)
    if first not in tensors or tensors[first].ndim != 4:
        raise InputError(f"it has no tensor '{first}' of a convolution.")
    return NetworkFacts(
        classes=len(tensors[last]) if last in tensors else None,
        channels=tensors[first].shape[1],
        heads=any(name.startswith(layout.auxiliary) for name in tensors),
        batch_norm=batch_norm,
        form=layout.form,
    )


def _of_stored(network: str, stored: Stored) -> NetworkFacts:
    main = [arrays[0] for name, arrays in stored.items() if not name.startswith(AUXILIARY)]
    convolutions, dense = ([array for array in main if array.ndim == ndim] for ndim in (4, 2))
    if not convolutions:
        raise InputError("it has no convolution.")
    return NetworkFacts(
        classes=dense[-1].shape[1] if dense else None,
        channels=convolutions[0].shape[2],
        heads=any(name.startswith(AUXILIARY) for name in stored),
        batch_norm=any(name.endswith("_bn") for name in stored),
        form=None if any(name in stored for name in FIRST) else _form(network, "keras"),
    )
