"""Files of weights: HDF5, safetensors, and PyTorch's two formats."""

from __future__ import annotations

import functools
import io
import json
import random
import struct
import sys
import tempfile
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
from safetensors.numpy import save

from kerascnn.applications.weights import load as weight_files
from kerascnn.applications.weights.tensor_files import read_tensors, tensor_names
from support import torch_files
from tests.hostile.attack import Kind
from tests.hostile.mutations import bytes_damaged, value_damaged

ARRAYS = {"conv.weight": np.ones((4, 3, 3, 3), "float32"), "conv.bias": np.arange(4, dtype="float16")}


def make_weights(chance: random.Random) -> tuple[str, bytes]:
    """The suffix and the contents of a file of weights, with a hostile header or damaged bytes."""
    suffix = chance.choice(list(_weights()))
    contents = _weights()[suffix]
    if suffix == ".safetensors" and chance.random() < 0.6:
        [length] = struct.unpack_from("<Q", contents)
        header = json.dumps(value_damaged(json.loads(contents[8 : 8 + length]), chance), default=str).encode()
        contents = struct.pack("<Q", len(header)) + header + contents[8 + length :]
    return suffix, bytes_damaged(contents, chance) if chance.random() < 0.7 else contents


@functools.cache
def _weights() -> dict[str, bytes]:
    hdf5 = io.BytesIO()
    with h5py.File(hdf5, "w") as file:
        file.attrs["layer_names"] = [b"conv1"]
        group = file.create_group("conv1")
        group.attrs["weight_names"] = [b"conv1/kernel:0"]
        group.create_dataset("conv1/kernel:0", data=ARRAYS["conv.weight"])
    state = {"conv.weight": torch_files.tensor(), "conv.bias": torch_files.tensor(ARRAYS["conv.weight"], "1")}
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(sys.modules, torch_files.torch_modules()):
        writers = {".pth": torch_files.archive, ".pt": torch_files.row}
        torch = {suffix: write(Path(folder) / "file", state).read_bytes() for suffix, write in writers.items()}
    return {".safetensors": save(ARRAYS), ".h5": hdf5.getvalue(), **torch}


def read_weights(folder: Path, given: tuple[str, bytes]) -> None:
    """Reads names and arrays."""
    suffix, contents = given
    file = folder / f"weights{suffix}"
    file.write_bytes(contents)
    if suffix == ".h5":
        weight_files.read(file)
    else:
        tensor_names(file)
        read_tensors(file)


WEIGHTS = Kind(make_weights, read_weights)
