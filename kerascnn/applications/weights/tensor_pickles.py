"""Pickles of tensors, run by an interpreter that can build descriptions of tensors and nothing else.

A pickle is a program, and Python's `pickle` calls whatever that program names. The interpreter here knows the few
operations that PyTorch's files of tensors consist of, and of all names only those of `tensor_descriptions.NAMES`; a
pickle that asks for anything else is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from kerascnn.applications.weights.tensor_descriptions import (
    NAMES,
    RefusedError,
    Storage,
    StorageType,
    item,
    storage_of,
)
from kerascnn.files.file_names import printable

# The largest networks' have some ten thousand.
MOST_OPERATIONS = 2_000_000


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
        for operation, argument, _ in pickletools.genops(file):
            machine.spend(1)
            action = OPERATIONS.get(operation.name)
            if action is None:
                raise RefusedError(f"its pickle uses {operation.name}, which none of tensors does")
            action(machine, argument)
        return Built(machine.pop(), machine.storages)
    # What a pickle that is cut or made up leads to.
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, MemoryError, RecursionError):
        raise RefusedError("its pickle is damaged") from None


class _Machine:
    """A pickle's stack, the stacks below its marks, its memory, and how much more it may do."""

    def __init__(self):
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memory: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}
        self.left = MOST_OPERATIONS

    def spend(self, steps: int) -> None:
        """Counts what is done, so that no short pickle takes long."""
        self.left -= steps
        if self.left < 0:
            raise RefusedError("its pickle is longer than any of tensors")

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
            target.update([item(key, value)])

    def extend(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError
        self.stack[-1].extend(values)

    def name(self, name: str) -> None:
        if name not in NAMES:
            raise RefusedError(f"its pickle asks for {printable(name[:200], 80)}, and only tensors are read")
        self.push(NAMES[name])

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not any(function is known for known in NAMES.values()) or isinstance(function, StorageType):
            raise RefusedError("its pickle calls something that is no function")
        # A long list may be handed in again and again.
        self.spend(sum(len(argument) for argument in arguments if isinstance(argument, list | tuple | dict)))
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
    # Others could be of any size, written out.
    if not isinstance(name, str) or not isinstance(module, str):
        raise TypeError
    machine.name(f"{module[:200]}.{name[:200]}")


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
