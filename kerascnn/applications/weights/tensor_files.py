"""Files of named tensors: .safetensors, and PyTorch's .pth and .pt without PyTorch.

Reading such a file runs nothing that is in it. A .safetensors file is a table and numbers; of a PyTorch file, which is
a pickle, only what builds tensors is run (`tensor_pickles`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kerascnn.applications.weights.tensor_descriptions import RefusedError
from kerascnn.applications.weights.torch_files import read_torch
from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_path
from kerascnn.files.disk_space import format_os_error

SAFETENSORS = ".safetensors"
TORCH = (".pth", ".pt")
TENSOR_FILES = (SAFETENSORS, *TORCH)

# How networks that PyTorch trained on several devices call theirs.
PARALLEL = "module."

# What other programs expect of the tensors' layout: PyTorch's.
METADATA = {"format": "pt"}


def is_tensor_file(path: str | Path) -> bool:
    """Whether a file's name ends as those do that `read_tensors` reads."""
    return str(path).lower().endswith(TENSOR_FILES)


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a file by their names, as the file lays them out.

    Those of a checkpoint are looked for in its `state_dict` or `model`, and names lose a "module." that all begin with.

    Args:
        path: of a .safetensors file, or of one that `torch.save` wrote, ending in .pth or .pt: a zip archive, or, as
            before PyTorch 1.6, a row of pickles. Tar archives of before 2017 are not read.

    Returns:
        Arrays that are not to be written to, of the file's types, but of float32 where the file has 16-bit floats.

    Raises:
        InputError: there is no such file, it is damaged, or it holds or asks for anything else than tensors.

    Example:
        >>> read_tensors("resnet18-f37072fd.pth")["conv1.weight"].shape
        (64, 3, 7, 7)
    """
    path = Path(path)
    if not is_tensor_file(path):
        raise InputError(f"{path} does not end as files of tensors do: {', '.join(TENSOR_FILES)}.")
    try:
        tensors = read_torch(path) if path.suffix.lower() in TORCH else _read_safetensors(path)
    except RefusedError as refused:
        raise InputError(f"{path} cannot be read as a file of tensors: {refused}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {format_os_error(error)}.") from None
    prefix = PARALLEL if all(name.startswith(PARALLEL) for name in tensors) else ""
    return {name.removeprefix(prefix): _widened(array) for name, array in tensors.items()}


def write_safetensors(path: str | Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes named arrays to a .safetensors file, which is whole or not there.

    Args:
        path: of the file; folders above are made, and a file that is there is replaced.
        tensors: arrays of any layout in memory, for at least one name.

    Raises:
        InputError: the file cannot be written.

    Example:
        >>> write_safetensors("head.safetensors", {"fc.weight": np.zeros((10, 512), "float32")})
    """
    from safetensors.numpy import save_file

    path = Path(path)
    # The library writes an array's memory as it lies, whatever its strides.
    rows = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as partial:
            save_file(rows, partial, metadata=METADATA)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {format_os_error(error)}.") from None


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    import ml_dtypes  # noqa: F401, teaches NumPy bfloat16
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        path.open("rb").close()
    try:
        with safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
    except SafetensorError:
        raise RefusedError("it is not a whole .safetensors file") from None
    except (TypeError, KeyError):
        raise RefusedError("it has numbers of a type that NumPy does not know") from None


def _widened(array: np.ndarray) -> np.ndarray:
    return array.astype("float32") if array.dtype.name in ("float16", "bfloat16") else array
