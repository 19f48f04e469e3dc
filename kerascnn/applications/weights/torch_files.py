"""PyTorch's files of tensors, .pth and .pt, without PyTorch.

`torch.save` has written two forms that are in use: since 1.6 a zip archive with a pickle and a file for each storage,
and before that a row of pickles with the storages behind them, as some of what torchvision publishes still is. The tar
archives of before 2017 are not read. The pickles are run by `tensor_pickles`, which can build nothing but tensors.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kerascnn.applications.weights.tensor_descriptions import RefusedError, Storage, Tensor
from kerascnn.applications.weights.tensor_pickles import interpret

# How a row of pickles begins: pickle protocol 2, and PyTorch's magic number.
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
ROW_BEGINS = b"\x80\x02\x8a\x0a" + MAGIC_NUMBER.to_bytes(10, "little")
ROW_VERSION = 1001

LARGEST_PICKLE = 64 << 20

# In an archive, below its one folder.
PICKLE = "data.pkl"
BIG_ENDIAN = "its numbers are big-endian; save it again on a machine of today"

# How often over, in bytes, tensors may share the storages.
MOST_SHARED = 2

# Where a checkpoint keeps the tensors of its model.
NESTED = ("state_dict", "model", "model_state_dict")

DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, KeyError, ValueError, RuntimeError)

# The bytes of a storage.
Reader = Callable[[Storage], bytes]


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a PyTorch file by their names; 16-bit ones as they are.

    Raises:
        RefusedError: it is no such file, damaged, or asks for more than tensors.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        begin = file.read(512)
        file.seek(0)
        if begin.startswith(b"PK"):
            return _in_archive(file)
        if begin.startswith(ROW_BEGINS):
            return _in_row(file)
    if begin[257:262] == b"ustar":
        raise RefusedError("it is a tar archive, as PyTorch wrote them before 2017; save it again with one of today")
    raise RefusedError("it is not a file that torch.save wrote, or it is damaged")


def _in_archive(file: BinaryIO) -> dict[str, np.ndarray]:
    size = _size(file)
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            folder = _folder(archive, size)
            built = interpret(io.BytesIO(archive.read(f"{folder}{PICKLE}")))

            def stored(storage: Storage) -> bytes:
                entry = entries.get(f"{folder}data/{storage.key}")
                if entry is None or entry.file_size < storage.length:
                    raise _missing(storage)
                return archive.read(entry)

            return _arrays(_tensors(built.value), stored, size)
    except DAMAGED:
        raise RefusedError("it is not a whole archive that torch.save wrote") from None


def _folder(archive: zipfile.ZipFile, size: int) -> str:
    """The folder in an archive that everything is in, after a look at whether PyTorch may have written it."""
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise RefusedError("its entries are compressed, which torch.save never does")
    if sum(entry.file_size for entry in entries) > size:
        raise RefusedError("its entries are longer than the file, as in a zip bomb")
    [pickle] = [entry for entry in entries if entry.filename.partition("/")[2] == PICKLE]
    if pickle.file_size > LARGEST_PICKLE:
        raise RefusedError("its pickle is longer than any of tensors")
    folder = pickle.filename.removesuffix(PICKLE)
    order = f"{folder}byteorder"
    if order in archive.namelist() and archive.read(order) != b"little":
        raise RefusedError(BIG_ENDIAN)
    return folder


def _in_row(file: BinaryIO) -> dict[str, np.ndarray]:
    magic, version, system, built, keys = (interpret(file) for _ in range(5))
    if magic.value != MAGIC_NUMBER or version.value != ROW_VERSION or not isinstance(system.value, dict):
        raise RefusedError("it does not begin as torch.save begins a file")
    if system.value.get("little_endian") is not True:
        raise RefusedError(BIG_ENDIAN)
    size = _size(file)
    places: dict[str, int] = {}
    for key in keys.value if isinstance(keys.value, list) else ():
        storage = built.storages.get(key) if isinstance(key, str) else None
        length = int.from_bytes(file.read(8), "little")
        if storage is None or length != storage.size or file.tell() + storage.length > size:
            raise RefusedError("its storages are not those that its tensors are views of, or not all there")
        places[key] = file.tell()
        file.seek(storage.length, io.SEEK_CUR)

    def stored(storage: Storage) -> bytes:
        if storage.key not in places:
            raise _missing(storage)
        file.seek(places[storage.key])
        return file.read(storage.length)

    return _arrays(_tensors(built.value), stored, size)


def _missing(storage: Storage) -> RefusedError:
    return RefusedError(f"a storage of {storage.size:,} values is not there, or not all of it")


def _size(file: BinaryIO) -> int:
    """The file's length in bytes."""
    return os.fstat(file.fileno()).st_size


def _tensors(value: Any) -> dict[str, Tensor]:
    """The named tensors of a state dict, or of the one in a checkpoint."""
    candidates = [value, *(value.get(name) for name in NESTED)] if isinstance(value, dict) else []
    for candidate in candidates:
        if isinstance(candidate, dict):
            tensors = {name: one for name, one in candidate.items() if isinstance(one, Tensor) and type(name) is str}
            if tensors:
                return tensors
    raise RefusedError(f"it is no dict of tensors by their names, and has none as {' or '.join(NESTED)}")


def _arrays(tensors: dict[str, Tensor], stored: Reader, size: int) -> dict[str, np.ndarray]:
    """The tensors' values; `size` is the file's, in bytes, of which shared weights make a little more."""
    import ml_dtypes  # noqa: F401, teaches NumPy bfloat16

    if sum(tensor.size * tensor.storage.kind.item_size for tensor in tensors.values()) > MOST_SHARED * size:
        raise RefusedError("its tensors hold far more than the file does")
    values: dict[str, np.ndarray] = {}
    arrays = {}
    for name, tensor in tensors.items():
        storage = tensor.storage
        if storage.key not in values:
            values[storage.key] = np.frombuffer(stored(storage), storage.kind.dtype, storage.size)
        strides = [stride * storage.kind.item_size for stride in tensor.strides]
        begin = values[storage.key][tensor.offset :]
        arrays[name] = np.lib.stride_tricks.as_strided(begin, tensor.shape, strides, writeable=False)
    return arrays
