"""Reads and writes files of named tensors: .safetensors, and PyTorch's .pth, .pt and .th without PyTorch.

Reading never runs code from a file. A .safetensors file holds a table and numbers; a PyTorch file holds pickles, of
which only the construction of tensors is run (`tensor_pickles`). `torch.save` has written two formats that are in use:
since 1.6 a zip archive with a pickle and one file per storage, and before that several pickles followed by the
storages, as some files of torchvision still are.
"""

import io
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from kerascnn.applications.weights.tensor_pickles import Storage, Tensor, TensorFileError, unpickle
from kerascnn.errors import InputError, refused
from kerascnn.files.atomic import atomic_path
from kerascnn.files.disk_space import format_os_error
from kerascnn.files.user_file import checked_file, open_file

Result = TypeVar("Result")

TORCH = (".pth", ".pt", ".th", ".pth.tar")
TENSOR_FILES = (".safetensors", *TORCH)

# The prefix of names in networks that PyTorch trained with DataParallel.
PARALLEL_PREFIX = "module."

# Tells other programs that the tensors have PyTorch's layout.
METADATA = {"format": "pt"}

# The beginning of the older format: pickle protocol 2 and PyTorch's magic number.
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
LEGACY_START = b"\x80\x02\x8a\x0a" + MAGIC_NUMBER.to_bytes(10, "little")
LEGACY_VERSION = 1001

MAX_PICKLE_BYTES = 64 << 20

# In an archive, inside its only folder.
PICKLE = "data.pkl"
BIG_ENDIAN = "its numbers are big-endian; save it again on a little-endian machine"

# How many times the file's size the tensors may have: tensors can share storages.
MAX_SHARING = 2

# Keys of a checkpoint with the tensors of its model.
NESTED = ("state_dict", "model", "model_state_dict")


def is_tensor_file(path: str | Path) -> bool:
    """Whether `read_tensors` reads files with this suffix."""
    return str(path).lower().endswith(TENSOR_FILES)


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Reads the tensors of a file by their names, in the file's layout; 16-bit floats become float32.

    A checkpoint's tensors are those of its `state_dict` or `model`. A prefix "module." of all names is removed. The
    arrays are read-only. InputError if there is no such file, it is damaged, or it contains something other than
    tensors.

    Args:
        path: a .safetensors file, or a .pth, .pt, .th or .pth.tar file that `torch.save` wrote: a zip archive
            or, before PyTorch 1.6, several pickles. Tar archives from before 2017 are not read.
    """
    import ml_dtypes  # noqa: F401, teaches NumPy bfloat16

    tensors = _read(Path(path), lambda file: {name: file.get_tensor(name) for name in file.keys()}, _arrays)  # noqa: SIM118
    prefix = PARALLEL_PREFIX if all(name.startswith(PARALLEL_PREFIX) for name in tensors) else ""
    return {
        name.removeprefix(prefix): array.astype("float32") if array.dtype.name in ("float16", "bfloat16") else array
        for name, array in tensors.items()
    }


def tensor_names(path: str | Path) -> list[str]:
    """The names of a file's tensors, as they are in the file, whose values are not read; errors as `read_tensors`."""
    return list(_read(Path(path), lambda file: file.keys(), lambda tensors, *_: tensors))


def _read(path: Path, of_safetensors: Callable[[Any], Result], of_torch: Callable[..., Result]) -> Result:
    """What one of the functions makes of the open file; the second gets its tensors, which `_arrays` reads."""
    if not is_tensor_file(path):
        raise InputError(f"{path} is no file of tensors: its name must end in one of {', '.join(TENSOR_FILES)}.")
    with refused(f"{path} cannot be read as a file of tensors"):
        if path.suffix.lower() == ".safetensors":
            from safetensors import safe_open

            with safe_open(checked_file(path), framework="np") as file:
                return of_safetensors(file)
        with open_file(path) as file:
            return _read_torch(file, of_torch)


def write_safetensors(path: str | Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes at least one named array, of any memory layout, to a .safetensors file, completely or not at all.

    Missing folders are made, and an existing file is replaced; InputError if the file cannot be written.
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


def _read_torch(file: BinaryIO, use: Callable[..., Result]) -> Result:
    start = file.read(512)
    file.seek(0)
    if start.startswith(b"PK"):
        return _read_archive(file, use)
    if start.startswith(LEGACY_START):
        return _read_legacy(file, use)
    if start[257:262] == b"ustar":
        raise TensorFileError("it is a tar archive from before 2017; save it again with a current PyTorch")
    raise TensorFileError("it is not a file that torch.save wrote, or it is damaged")


def _read_archive(file: BinaryIO, use: Callable[..., Result]) -> Result:
    size = os.fstat(file.fileno()).st_size
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        folder = _checked_folder(archive, size)
        value, _ = unpickle(io.BytesIO(archive.read(f"{folder}{PICKLE}")))

        def read(storage: Storage) -> bytes:
            entry = entries.get(f"{folder}data/{storage.key}")
            if entry is None or entry.file_size < storage.length:
                raise _missing(storage)
            return archive.read(entry)

        return use(_tensors(value), read, size)


def _checked_folder(archive: zipfile.ZipFile, size: int) -> str:
    """The archive's folder, after checks that PyTorch may have written the archive."""
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise TensorFileError("its entries are compressed, which torch.save never does")
    if sum(entry.file_size for entry in entries) > size:
        raise TensorFileError("its entries are longer than the file, as in a zip bomb")
    pickles = [entry for entry in entries if entry.filename.partition("/")[2] == PICKLE]
    if len(pickles) != 1:
        raise TensorFileError("it is not a whole archive that torch.save wrote")
    [pickle] = pickles
    if pickle.file_size > MAX_PICKLE_BYTES:
        raise TensorFileError("its pickle is longer than any of tensors")
    folder = pickle.filename.removesuffix(PICKLE)
    order = f"{folder}byteorder"
    if order in archive.namelist() and archive.read(order) != b"little":
        raise TensorFileError(BIG_ENDIAN)
    return folder


def _read_legacy(file: BinaryIO, use: Callable[..., Result]) -> Result:
    start = io.BytesIO(file.read(MAX_PICKLE_BYTES))
    (magic, _), (version, _), (system, _), (value, storages), (keys, _) = (unpickle(start) for _ in range(5))
    if magic != MAGIC_NUMBER or version != LEGACY_VERSION or not isinstance(system, dict):
        raise TensorFileError("it does not begin as torch.save begins a file")
    if system.get("little_endian") is not True:
        raise TensorFileError(BIG_ENDIAN)
    size = os.fstat(file.fileno()).st_size
    file.seek(start.tell())
    offsets: dict[str, int] = {}
    for key in keys if isinstance(keys, list) else ():
        storage = storages.get(key) if isinstance(key, str) else None
        length = int.from_bytes(file.read(8), "little")
        if storage is None or length != storage.size or file.tell() + storage.length > size:
            raise TensorFileError("its storages are not those that its tensors are views of, or not all there")
        offsets[key] = file.tell()
        file.seek(storage.length, io.SEEK_CUR)

    def read(storage: Storage) -> bytes:
        if storage.key not in offsets:
            raise _missing(storage)
        file.seek(offsets[storage.key])
        return file.read(storage.length)

    return use(_tensors(value), read, size)


def _missing(storage: Storage) -> TensorFileError:
    return TensorFileError(f"a storage of {storage.size:,} values is missing or incomplete")


def _tensors(value: Any) -> dict[str, Tensor]:
    """The named tensors of a state dict, or of the state dict in a checkpoint."""
    # A checkpoint may also hold its accuracy as a tensor.
    candidates = [*(value.get(name) for name in NESTED), value] if isinstance(value, dict) else []
    for candidate in candidates:
        if isinstance(candidate, dict):
            tensors = {name: one for name, one in candidate.items() if isinstance(one, Tensor) and type(name) is str}
            if tensors:
                return tensors
    raise TensorFileError(f"it is no dict of tensors by their names, and has none as {' or '.join(NESTED)}")


def _arrays(tensors: dict[str, Tensor], read: Callable[[Storage], bytes], file_size: int) -> dict[str, np.ndarray]:
    if sum(tensor.size * tensor.storage.item_size for tensor in tensors.values()) > MAX_SHARING * file_size:
        raise TensorFileError("its tensors hold far more than the file does")
    values: dict[str, np.ndarray] = {}
    arrays = {}
    for name, (storage, offset, shape, strides) in tensors.items():
        if storage.key not in values:
            values[storage.key] = np.frombuffer(read(storage), storage.dtype, storage.size)
        byte_strides = [stride * storage.item_size for stride in strides]
        view = values[storage.key][offset:]
        arrays[name] = np.lib.stride_tricks.as_strided(view, shape, byte_strides, writeable=False)
    return arrays
