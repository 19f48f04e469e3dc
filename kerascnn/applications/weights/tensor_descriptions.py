"""What PyTorch's pickles say of tensors, before one of them is read: where its values lie, and whether that can be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from kerascnn.files.file_names import printable

MOST_DIMENSIONS = 32
LARGEST_NUMBER = (1 << 63) - 1


class RefusedError(Exception):
    """A file is not of tensors, or its tensors are not in it; the message is the reason, as a phrase."""


@dataclass(frozen=True)
class StorageType:
    """What a storage's values are.

    Attributes:
        dtype: as NumPy calls it, and PyTorch.
        item_size: bytes of a value.
    """

    dtype: str
    item_size: int


STORAGES = {
    "FloatStorage": StorageType("float32", 4),
    "DoubleStorage": StorageType("float64", 8),
    "HalfStorage": StorageType("float16", 2),
    "BFloat16Storage": StorageType("bfloat16", 2),
    "LongStorage": StorageType("int64", 8),
    "IntStorage": StorageType("int32", 4),
    "ShortStorage": StorageType("int16", 2),
    "CharStorage": StorageType("int8", 1),
    "ByteStorage": StorageType("uint8", 1),
    "BoolStorage": StorageType("bool", 1),
}


@dataclass(frozen=True)
class Storage:
    """Values in a row, which tensors are views of.

    Attributes:
        kind: of the values.
        key: what the file calls it.
        size: the number of values.
    """

    kind: StorageType
    key: str
    size: int

    @property
    def length(self) -> int:
        """In bytes."""
        return self.size * self.kind.item_size


@dataclass(frozen=True)
class Tensor:
    """Which values of a storage a tensor has.

    Attributes:
        storage: that it views.
        offset: of its first value.
        shape: its sizes.
        strides: in values, not bytes.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)


def item(key: Any, value: Any) -> tuple[Any, Any]:
    """A key and value as a pickle may put them into a dict.

    Raises:
        RefusedError: the key is neither a text nor a number.
    """
    # Others need not be hashable, and to hash tuples in tuples in tuples ends the process.
    if not isinstance(key, str | int | float | None):
        raise RefusedError("its pickle has a dict with keys that are neither texts nor numbers")
    return key, value


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    """`torch._utils._rebuild_tensor` and its second version, which adds what only training needs."""
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, Storage) or not all(type(number) is int for number in numbers):
        raise RefusedError("one of its tensors is not described as PyTorch describes them")
    possible = min(numbers) >= 0 and max(numbers) <= LARGEST_NUMBER and len(shape) <= MOST_DIMENSIONS
    if len(shape) != len(strides) or not possible:
        raise RefusedError(f"it has a tensor of shape {_cut(shape)} and strides {_cut(strides)}, which cannot be")
    tensor = Tensor(storage, offset, tuple(shape), tuple(strides))
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    # More values than the storage has would be some of them again and again.
    if tensor.size and (last >= storage.size or tensor.size > storage.size):
        raise RefusedError(f"its tensor of shape {_cut(shape)} reaches beyond the {storage.size:,} values stored")
    return tensor


def _parameter(tensor: Any, *_: Any) -> Any:
    """`torch._utils._rebuild_parameter`: whether it was trained does not matter here."""
    return tensor


def _ordered(pairs: Any = ()) -> dict:
    """`collections.OrderedDict`, to which Python 2 gives its items at once."""
    return dict(item(key, value) for key, value in pairs)


def _cut(numbers: Any) -> str:
    return printable(str(tuple(min(number, LARGEST_NUMBER + 1) for number in numbers[:8])), 80)


# What a pickle may name. Types are data; only functions can be called.
NAMES: dict[str, Any] = {
    "collections.OrderedDict": _ordered,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    **{f"torch.{name}": kind for name, kind in STORAGES.items()},
    **{f"torch.{kind.dtype}": kind for kind in STORAGES.values()},
}


def storage_of(identifier: Any) -> Storage:
    """The storage that a persistent identifier stands for, as `torch.save` forms them.

    Raises:
        RefusedError: it is no such identifier.
    """
    if not isinstance(identifier, tuple) or len(identifier) not in (5, 6) or identifier[0] != "storage":
        raise RefusedError("it refers to something other than a tensor's storage")
    _, kind, key, _, size, *view = identifier
    if not isinstance(kind, StorageType) or not isinstance(key, str) or type(size) is not int or size < 0:
        raise RefusedError("one of its storages is not described as PyTorch describes them")
    if view not in ([], [None]):
        raise RefusedError("its tensors are stored as views of others; save them again with a PyTorch of today")
    return Storage(kind, key, size)
