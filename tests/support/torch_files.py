"""Files of tensors as PyTorch writes them, made without PyTorch: tests that make them use the fixture `torch_names`."""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np

VALUES = np.arange(12, dtype="float32").reshape(2, 6)
BFLOAT16 = np.array([0x3F80, 0xC000], "uint16")  # 1 and -2: the upper halves of their float32


def torch_modules() -> dict[str, types.ModuleType]:
    """Modules with PyTorch's names in them, which is all that pickling needs; for sys.modules."""
    module, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "HalfStorage", "BFloat16Storage", "LongStorage", "QInt8Storage"):
        setattr(module, name, type(name, (), {"__module__": "torch"}))
    for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_qtensor"):
        function = types.FunctionType((lambda *a: None).__code__, {}, name)
        function.__module__, function.__qualname__ = "torch._utils", name
        setattr(utils, name, function)
    return {"torch": module, "torch._utils": utils}


class Storage:
    """What a tensor of these tests lies in: PyTorch's name of its type, a key, and bytes."""

    def __init__(self, kind, key, array, size=None, location="cpu"):
        self.kind, self.key, self.bytes = kind, key, array.tobytes()
        self.size = array.size if size is None else size
        self.location = location


class Tensor:
    def __init__(self, storage, offset, shape, strides, version=2):
        self.storage, self.place, self.version = storage, (offset, shape, strides), version

    def __reduce__(self):
        rebuild = sys.modules["torch._utils"]
        if self.version == 1:
            return rebuild._rebuild_tensor, (self.storage, *self.place)
        return rebuild._rebuild_tensor_v2, (self.storage, *self.place, False, OrderedDict())


class Parameter:
    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_parameter, (self.tensor, True, OrderedDict())


class Pickler(pickle._Pickler):
    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        self.storages = getattr(self, "storages", {})
        self.storages[value.key] = value
        kind = getattr(sys.modules["torch"], value.kind)
        return ("storage", kind, value.key, value.location, value.size)


def pickled(value, protocol=2):
    buffer = io.BytesIO()
    pickler = Pickler(buffer, protocol)
    pickler.dump(value)
    return buffer.getvalue(), getattr(pickler, "storages", {})


def archive(path, value, *, protocol=2, compression=zipfile.ZIP_STORED, extra=(), pickle=None):
    """What torch.save writes since 1.6."""
    contents, storages = pickled(value, protocol)
    with zipfile.ZipFile(path, "w", compression) as packed:
        packed.writestr("archive/data.pkl", pickle or contents)
        for name, content in {"byteorder": "little", **dict(extra)}.items():
            packed.writestr(f"archive/{name}", content)
        for storage in storages.values():
            packed.writestr(f"archive/data/{storage.key}", storage.bytes)
        packed.writestr("archive/version", "3\n")
    return path


def row(path, value, *, little_endian=True, counts=None):
    """What torch.save wrote before."""
    contents, storages = pickled(value)
    system = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {"int": 4}}
    heads = [pickle.dumps(head, 2) for head in (0x1950A86A20F9469CFC6C, 1001, system)]
    bodies = [struct.pack("<q", counts or one.size) + one.bytes for one in storages.values()]
    path.write_bytes(b"".join([*heads, contents, pickle.dumps([*storages], 2), *bodies]))
    return path


def tensor(array=VALUES, key="0", kind="FloatStorage", **options):
    strides = [stride // array.itemsize for stride in array.strides]
    return Tensor(Storage(kind, key, array), 0, array.shape, tuple(strides), **options)


def opcodes(*names, end=b"."):
    """A pickle of operations without arguments, and of raw bytes."""
    code = {one.name: one.code.encode("latin-1") for one in pickletools.opcodes}
    return b"\x80\x02" + b"".join(name if isinstance(name, bytes) else code[name] for name in names) + end
