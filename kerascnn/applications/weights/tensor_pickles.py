"""Unpickles PyTorch's tensors without running anything else: a restricted unpickler of the standard library.

A pickle is a program, and an unrestricted unpickler calls whatever that program names. This one knows the operations
that PyTorch's pickles of tensors consist of, and finds only the names in `ALLOWED`; every other pickle is rejected.
"""

import math
import pickle
import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from kerascnn.shown_text import printable

# The pickles of the largest networks have some ten thousand operations.
MAX_OPERATIONS = 2_000_000
MAX_DIMENSIONS = 32
MAX_INTEGER = (1 << 63) - 1


class TensorFileError(Exception):
    """A file does not contain tensors, or not those that it describes; the message is the reason, as a phrase."""


class Storage(NamedTuple):
    """A sequence of values in a PyTorch file, of which tensors are views."""

    dtype: str  # NumPy's and PyTorch's name of the type
    item_size: int  # bytes per value
    key: str  # its name in the file
    size: int  # number of values

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.size * self.item_size


class Tensor(NamedTuple):
    """A tensor that has not been read yet: a view of a storage, with offset and strides in values."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    """Both versions of `torch._utils._rebuild_tensor`; the second has more arguments, for training only."""
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, Storage) or not all(type(number) is int for number in numbers):
        raise TensorFileError("one of its tensors is not described as PyTorch describes tensors")
    valid = min(numbers) >= 0 and max(numbers) <= MAX_INTEGER and len(shape) <= MAX_DIMENSIONS
    if len(shape) != len(strides) or not valid:
        raise TensorFileError(f"it has a tensor with invalid shape {_short(shape)} and strides {_short(strides)}")
    tensor = Tensor(storage, offset, tuple(shape), tuple(strides))
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    # A tensor with more values than its storage would repeat them.
    if tensor.size and (last >= storage.size or tensor.size > storage.size):
        raise TensorFileError(f"its tensor of shape {_short(shape)} reaches beyond the {storage.size:,} values stored")
    return tensor


def _short(numbers: Any) -> str:
    return printable(str(tuple(min(number, MAX_INTEGER + 1) for number in numbers[:8])), 80)


def _checked_key(key: Any) -> Any:
    # Hashing deeply nested tuples would end the process.
    if not isinstance(key, str | int | float | None):
        raise TensorFileError("its pickle has a dict with keys that are neither strings nor numbers")
    return key


# Type of a storage: dtype and bytes per value.
STORAGE_TYPES = {
    "FloatStorage": ("float32", 4),
    "DoubleStorage": ("float64", 8),
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2),
    "LongStorage": ("int64", 8),
    "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2),
    "CharStorage": ("int8", 1),
    "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1),
}
FUNCTIONS: dict[str, Callable] = {
    "collections.OrderedDict": lambda pairs=(): {_checked_key(key): value for key, value in pairs},
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
}
# Everything that a pickle may name.
ALLOWED: dict[str, Any] = {
    **FUNCTIONS,
    **{f"torch.{name}": kind for name, kind in STORAGE_TYPES.items()},
    **{f"torch.{kind[0]}": kind for kind in STORAGE_TYPES.values()},
}


class _Handlers(dict):
    """The handlers of the allowed operations, by their code."""

    def __missing__(self, code: int):
        name = next(one.name for one in pickletools.opcodes if ord(one.code) == code)
        raise TensorFileError(f"its pickle uses {name}, which no pickle of tensors does")


# The implementation in Python, because its handlers can be replaced. The one in C would hash any key, give any object
# a state, and reserve memory for any memo index.
class TensorUnpickler(pickle._Unpickler):
    """Builds dicts, lists, tuples, strings, numbers and `Tensor`s from a pickle.

    Attributes:
        storages: all storages that the pickle refers to, by their keys.
    """

    def __init__(self, file: BinaryIO):
        super().__init__(file, encoding="latin-1")
        self.storages: dict[str, Storage] = {}
        self._budget = MAX_OPERATIONS

    def find_class(self, module: str, name: str) -> Any:
        """Returns the allowed value of a name."""
        full_name = f"{module[:200]}.{name[:200]}"
        if full_name not in ALLOWED:
            raise TensorFileError(f"its pickle asks for {printable(full_name[:200], 80)}, and only tensors are read")
        return ALLOWED[full_name]

    def persistent_load(self, pid: Any) -> Storage:
        """Returns the storage of an identifier that `torch.save` wrote."""
        if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
            raise TensorFileError("it refers to something other than a tensor's storage")
        _, kind, key, _, size, *view = pid
        known = any(kind is one for one in STORAGE_TYPES.values())
        if not known or not isinstance(key, str) or type(size) is not int or size < 0:
            raise TensorFileError("one of its storages is not described as PyTorch describes storages")
        if view not in ([], [None]):
            raise TensorFileError("its tensors are stored as views of others; save them again with a current PyTorch")
        storage = Storage(*kind, key, size)
        if self.storages.setdefault(key, storage) != storage:
            raise TensorFileError("it describes one of its storages in two ways")
        return storage

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    def load_setitems(self) -> None:
        self._set_items(self.pop_mark())

    def _set_items(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict):
            raise TypeError
        for key, value in zip(items[::2], items[1::2], strict=True):
            self.stack[-1][_checked_key(key)] = value

    def load_reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not any(function is allowed for allowed in FUNCTIONS.values()):
            raise TensorFileError("its pickle calls something that is no function")
        # One long list may be an argument many times.
        self._budget -= sum(len(argument) for argument in arguments if isinstance(argument, list | tuple | dict))
        if self._budget < 0:
            raise TensorFileError("its pickle is longer than any of tensors")
        self.append(function(*arguments))

    def load_build(self) -> None:
        """Ignores the state of a dict: PyTorch stores the versions of its modules there."""
        self.stack.pop()
        if not isinstance(self.stack[-1], dict):
            raise TensorFileError("its pickle gives a state to something other than a dict")

    dispatch = _Handlers(
        (ord(one.code), pickle._Unpickler.dispatch[ord(one.code)])
        for one in pickletools.opcodes
        if one.name
        in (
            *("PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "GLOBAL", "STACK_GLOBAL", "BINPERSID"),
            *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
            *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"),
            *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
            *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "EMPTY_DICT", "APPEND", "APPENDS"),
            *("BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET"),
        )
    )
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.BUILD[0]] = load_build
    # A set becomes a list: its items need no hash.
    dispatch[pickle.EMPTY_SET[0]] = pickle._Unpickler.load_empty_list
    dispatch[pickle.ADDITEMS[0]] = pickle._Unpickler.load_appends


def unpickle(file: BinaryIO) -> tuple[Any, dict[str, Storage]]:
    """The value of the pickle at the file's position, and the storages that it refers to, by their keys.

    Afterwards the file, which is in memory because a pickle may announce any length, is right behind the pickle.
    TensorFileError if the pickle is damaged, or contains something other than tensors.
    """
    start = file.tell()
    try:
        for number, _ in enumerate(pickletools.genops(file)):
            if number >= MAX_OPERATIONS:
                raise TensorFileError("its pickle is longer than any of tensors")
        file.seek(start)
        unpickler = TensorUnpickler(file)
        return unpickler.load(), unpickler.storages
    except TensorFileError:
        raise
    # Pickles that are cut or made up raise anything.
    except Exception:
        raise TensorFileError("its pickle is damaged") from None
