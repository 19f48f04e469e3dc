"""Reads PyTorch's files of tensors, .pth and .pt, without PyTorch.

`torch.save` has written two formats that are in use: since 1.6 a zip archive with a pickle and one file per storage,
and before that several pickles followed by the storages, as some files of torchvision still are. Tar archives from
before 2017 are not read. `tensor_pickles` reads the pickles and builds only tensors.
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

from kerascnn.applications.weights.tensor_pickles import Storage, Tensor, TensorFileError, unpickle

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

DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, KeyError, ValueError, RuntimeError)


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """Reads the tensors of a PyTorch file by their names; 16-bit ones keep their type.

    TensorFileError if the file is not PyTorch's, is damaged, or contains something other than tensors.
    """
    with path.open("rb") as file:
        start = file.read(512)
        file.seek(0)
        if start.startswith(b"PK"):
            return _read_archive(file)
        if start.startswith(LEGACY_START):
            return _read_legacy(file)
    if start[257:262] == b"ustar":
        raise TensorFileError("it is a tar archive from before 2017; save it again with a current PyTorch")
    raise TensorFileError("it is not a file that torch.save wrote, or it is damaged")


def _read_archive(file: BinaryIO) -> dict[str, np.ndarray]:
    size = os.fstat(file.fileno()).st_size
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            folder = _checked_folder(archive, size)
            value, _ = unpickle(io.BytesIO(archive.read(f"{folder}{PICKLE}")))

            def read(storage: Storage) -> bytes:
                entry = entries.get(f"{folder}data/{storage.key}")
                if entry is None or entry.file_size < storage.length:
                    raise _missing(storage)
                return archive.read(entry)

            return _arrays(_tensors(value), read, size)
    except DAMAGED:
        raise TensorFileError("it is not a whole archive that torch.save wrote") from None


def _checked_folder(archive: zipfile.ZipFile, size: int) -> str:
    """The archive's folder, after checks that PyTorch may have written the archive."""
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise TensorFileError("its entries are compressed, which torch.save never does")
    if sum(entry.file_size for entry in entries) > size:
        raise TensorFileError("its entries are longer than the file, as in a zip bomb")
    [pickle] = [entry for entry in entries if entry.filename.partition("/")[2] == PICKLE]
    if pickle.file_size > MAX_PICKLE_BYTES:
        raise TensorFileError("its pickle is longer than any of tensors")
    folder = pickle.filename.removesuffix(PICKLE)
    order = f"{folder}byteorder"
    if order in archive.namelist() and archive.read(order) != b"little":
        raise TensorFileError(BIG_ENDIAN)
    return folder


def _read_legacy(file: BinaryIO) -> dict[str, np.ndarray]:
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

    return _arrays(_tensors(value), read, size)


def _missing(storage: Storage) -> TensorFileError:
    return TensorFileError(f"a storage of {storage.size:,} values is missing or incomplete")


def _tensors(value: Any) -> dict[str, Tensor]:
    """The named tensors of a state dict, or of the state dict in a checkpoint."""
    candidates = [value, *(value.get(name) for name in NESTED)] if isinstance(value, dict) else []
    for candidate in candidates:
        if isinstance(candidate, dict):
            tensors = {name: one for name, one in candidate.items() if isinstance(one, Tensor) and type(name) is str}
            if tensors:
                return tensors
    raise TensorFileError(f"it is no dict of tensors by their names, and has none as {' or '.join(NESTED)}")


def _arrays(tensors: dict[str, Tensor], read: Callable[[Storage], bytes], file_size: int) -> dict[str, np.ndarray]:
    import ml_dtypes  # noqa: F401, teaches NumPy bfloat16

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
