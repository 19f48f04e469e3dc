"""How long work is shown: an iterable passed on, its items counted on the way, or bytes that come in or out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Protocol

# Shows progress over an iterable of known length under a description, such as `rich.progress.track`.
Track = Callable[[Iterable, int, str], Iterable]


def untracked(items: Iterable, total: int, description: str) -> Iterable:
    """The `Track` that shows nothing."""
    return items


class ByteTrack(Protocol):
    """Shows the progress of a download or an unpacking: a context that gives a function to be told of bytes.

    Called with a description, the number of bytes in all (None when nobody knows) and of those already there.
    """

    def __call__(
        self, description: str, total: int | None, done: int, /
    ) -> AbstractContextManager[Callable[[int], object]]: ...


@contextmanager
def untracked_bytes(description: str, total: int | None, done: int) -> Iterator[Callable[[int], object]]:
    """The `ByteTrack` that shows nothing."""
    yield lambda size: None


# For downloads deep inside, such as a network's weights: whoever stands above sets it.
shown_bytes: ContextVar[ByteTrack] = ContextVar("shown_bytes", default=untracked_bytes)
