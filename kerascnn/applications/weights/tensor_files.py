"""Reads and writes files of named tensors: .safetensors, and PyTorch's .pth and .pt without PyTorch.

Reading never runs code from a file. A .safetensors file holds a table and numbers; a PyTorch file holds a pickle, of
which only the construction of tensors is run (`tensor_pickles`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from kerascnn.applications.weights.tensor_pickles import TensorFileError
from kerascnn.applications.weights.torch_files import read_torch
from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_path
from kerascnn.files.disk_space import format_os_error

TORCH = (".pth", ".pt")
TENSOR_FILES = (".safetensors", *TORCH)

# The prefix of names in networks that PyTorch trained with DataParallel.
PARALLEL_PREFIX = "module."

# Tells other programs that the tensors have PyTorch's layout.
METADATA = {"format": "pt"}


def is_tensor_file(path: str | Path) -> bool:
    """Whether `read_tensors` reads files with this suffix."""
    return str(path).lower().endswith(TENSOR_FILES)


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Reads the tensors of a file by their names, in the file's layout; 16-bit floats become float32.

    A checkpoint's tensors are those of its `state_dict` or `model`. A prefix "module." of all names is removed. The
    arrays are read-only. InputError if there is no such file, it is damaged, or it contains something other than
    tensors.

    Args:
        path: a .safetensors file, or a .pth or .pt file that `torch.save` wrote: a zip archive or, before PyTorch 1.6,
            several pickles. Tar archives from before 2017 are not read.

    Example:
        >>> read_tensors("resnet18-f37072fd.pth")["conv1.weight"].shape
        (64, 3, 7, 7)
    """
    path = Path(path)
    if not is_tensor_file(path):
        raise InputError(f"{path} is no file of tensors: its name must end in one of {', '.join(TENSOR_FILES)}.")
    try:
        tensors = read_torch(path) if path.suffix.lower() in TORCH else _read_safetensors(path)
    except TensorFileError as error:
        raise InputError(f"{path} cannot be read as a file of tensors: {error}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {format_os_error(error)}.") from None
    prefix = PARALLEL_PREFIX if all(name.startswith(PARALLEL_PREFIX) for name in tensors) else ""
    return {name.removeprefix(prefix): _to_float32(array) for name, array in tensors.items()}


def write_safetensors(path: str | Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes at least one named array, of any memory layout, to a .safetensors file, completely or not at all.

    Missing folders are made, and an existing file is replaced; InputError if the file cannot be written.

    Example:
        >>> write_safetensors("head.safetensors", {"fc.weight": np.zeros((10, 512), "float32")})
    """
    from safetensors.numpy import save_file

    # The library writes an array's memory as it is, whatever its strides.
    tensors = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    with written_whole(Path(path)) as partial:
        save_file(tensors, partial, metadata=METADATA)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """As `atomic_path`; missing folders are made, and an OSError becomes an InputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as partial:
            yield partial
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
        raise TensorFileError("it is not a whole .safetensors file") from None
    except (TypeError, KeyError):
        raise TensorFileError("it has numbers of a type that NumPy does not know") from None


def _to_float32(array: np.ndarray) -> np.ndarray:
    return array.astype("float32") if array.dtype.name in ("float16", "bfloat16") else array
