"""Weight files as keras.applications publishes them: HDF5 with a group for each layer, in the layers' order."""

from __future__ import annotations

from pathlib import Path

from kerascnn.applications.weights.keras_layouts import Stored
from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_path
from kerascnn.files.disk_space import format_os_error

# What keras.applications calls the arrays of a layer, by how many batch normalization has: with and without a scale.
KERNEL = ("kernel", "bias")
NORMALIZATION = {4: ("gamma", "beta", "moving_mean", "moving_variance"), 3: ("beta", "moving_mean", "moving_variance")}


def write_keras(path: Path, stored: Stored) -> None:
    """Writes the layers of `to_keras`; `keras.applications` takes the file as `weights=path`.

    Args:
        path: of the file, which is there as a whole or not at all.
        stored: each layer's arrays, in the order of the layers.

    Raises:
        InputError: it cannot be written.

    Example:
        >>> write_keras(Path("vgg16.h5"), to_keras("VGG16", model.layers))
    """
    import h5py

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as partial, h5py.File(partial, "w") as file:
            file.attrs["layer_names"] = [layer.encode() for layer in stored]
            file.attrs["backend"] = b"tensorflow"
            for layer, arrays in stored.items():
                names = [f"{layer}/{name}:0" for name in NORMALIZATION.get(len(arrays), KERNEL[: len(arrays)])]
                group = file.create_group(layer)
                group.attrs["weight_names"] = [name.encode() for name in names]
                for name, array in zip(names, arrays, strict=True):
                    group[name] = array
    except OSError as error:
        raise InputError(f"{path} cannot be written: {format_os_error(error)}.") from None
