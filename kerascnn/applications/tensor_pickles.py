"""Pickles of tensors, run by an interpreter that can build tensors and nothing else.

A pickle is a program, and Python's `pickle` calls whatever that program names. The interpreter here knows the few
operations that PyTorch's files of tensors consist of, and of all names only those of `NAMES`; a pickle that asks for
anything else is refused before anything of it is done. What it builds are descriptions: no byte of a tensor is read.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from kerascnn.data.file_names import shown

# Of the pickles in PyTorch's files: the largest networks have some ten thousand operations.
MOST_OPERATIONS = 2_000_000
MOST_DIMENSIONS = 32
LARGEST_NUMBER = (1 << 63) - 1

# NumPy's names of the types of PyTorch's storages.
STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
ITEM_SIZES = {"float64": 8, "int64": 8, "float32": 4, "int32": 4, "int8": 1, "uint8": 1, "bool": 1}


class RefusedError(Exception):
    """A file is not of tensors, or its tensors are not in it; the message is the reason, as a phrase."""


@dataclass(frozen=True)
class StorageType:
    """What a storage's values are.

    Attributes:
        dtype: as NumPy calls it.
    """

    dtype: str

    @property
    def item_size(self) -> int:
        """Bytes of a value."""
        return ITEM_SIZES.get(self.dtype, 2)


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
    return dict(_item(key, value) for key, value in pairs)


def _cut(numbers: Any) -> str:
    return shown(str(tuple(min(number, LARGEST_NUMBER + 1) for number in numbers[:8])), 80)


# What a pickle may name. Types are data; only functions can be called.
NAMES: dict[str, Any] = {
    "collections.OrderedDict": _ordered,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    **{f"torch.{name}": StorageType(dtype) for name, dtype in STORAGES.items()},
    **{f"torch.{dtype}": StorageType(dtype) for dtype in STORAGES.values()},
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


class Built(NamedTuple):
    """What a pickle has built.

    Attributes:
        value: of dicts, lists, tuples, texts, numbers, and `Tensor`s.
        storages: all that it refers to, by their keys.
    """

    value: Any
    storages: dict[str, Storage]


def interpret(file: BinaryIO) -> Built:
    """Runs the pickle that begins where the file is; afterwards the file is just behind it.

    Raises:
        RefusedError: it is damaged, or a program for something else.
    """
    machine = _Machine()
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
            if count == MOST_OPERATIONS:
                raise RefusedError("its pickle is longer than any of tensors")
            action = OPERATIONS.get(operation.name)
            if action is None:
                raise RefusedError(f"its pickle uses {operation.name}, which none of tensors does")
            action(machine, argument)
        return Built(machine.pop(), machine.storages)
    # What a pickle that is cut or made up leads to.
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, MemoryError):
        raise RefusedError("its pickle is damaged") from None


class _Machine:
    """A pickle's stack, the stacks below its marks, and its memory."""

    def __init__(self):
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memory: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        return self.stack.pop()

    def mark(self, _: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        values, self.stack = self.stack, self.below.pop()
        return values

    def remember(self, index: int) -> None:
        self.memory[index] = self.stack[-1]

    def tuple_of(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(values)))

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise TypeError
        for key, value in zip(values[::2], values[1::2], strict=True):
            target.update([_item(key, value)])

    def extend(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError
        self.stack[-1].extend(values)

    def name(self, name: str) -> None:
        if name not in NAMES:
            raise RefusedError(f"its pickle asks for {shown(name, 80)}, and only tensors are read")
        self.push(NAMES[name])

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not any(function is known for known in NAMES.values()) or isinstance(function, StorageType):
            raise RefusedError("its pickle calls something that is no function")
        self.push(function(*arguments))

    def refer(self) -> None:
        storage = storage_of(self.pop())
        if self.storages.setdefault(storage.key, storage) != storage:
            raise RefusedError("it describes one of its storages in two ways")
        self.push(storage)

    def build(self) -> None:
        """The state of an object: of dicts, PyTorch keeps the versions of its modules there."""
        self.pop()
        if not isinstance(self.stack[-1], dict):
            raise RefusedError("its pickle gives a state to something other than a dict")


def _item(key: Any, value: Any) -> tuple[Any, Any]:
    # Others need not be hashable, and to hash tuples in tuples in tuples ends the process.
    if not isinstance(key, str | int | float | None):
        raise RefusedError("its pickle has a dict with keys that are neither texts nor numbers")
    return key, value


def _constant(value: Any) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(value)


def _new(kind: type) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(kind())


def _pushed(machine: _Machine, argument: Any) -> None:
    machine.push(argument)


def _nothing(machine: _Machine, argument: Any) -> None:
    pass


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    machine.name(f"{module}.{name}")


# By their names in `pickletools`, which explains them.
OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), _nothing),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"), _pushed),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"), _pushed),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), _pushed),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_TUPLE": _constant(()),
    "EMPTY_LIST": _new(list),
    "EMPTY_DICT": _new(dict),
    "EMPTY_SET": _new(list),
    "MARK": _Machine.mark,
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": lambda machine, _: machine.extend([machine.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "ADDITEMS": lambda machine, _: machine.extend(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "BINPUT": lambda machine, index: machine.remember(index),
    "LONG_BINPUT": lambda machine, index: machine.remember(index),
    "MEMOIZE": lambda machine, _: machine.remember(len(machine.memory)),
    "BINGET": lambda machine, index: machine.push(machine.memory[index]),
    "LONG_BINGET": lambda machine, index: machine.push(machine.memory[index]),
    "GLOBAL": lambda machine, name: machine.name(name.replace(" ", ".", 1)),
    "STACK_GLOBAL": _stack_global,
    "BINPERSID": lambda machine, _: machine.refer(),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.build(),
}
