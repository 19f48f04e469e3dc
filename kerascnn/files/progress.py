"""Types of progress bars: over items, and over bytes read or written."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

# Takes an iterable, its length and a description, such as `rich.progress.track`; yields the items.
Track = Callable[[Iterable, int, str], Iterable]

# Takes a description, the number of bytes (None if unknown) and of those done already; gives a function to call with
# every number of bytes more.
ByteTrack = Callable[[str, int | None, int], AbstractContextManager[Callable[[int], object]]]


def untracked(items: Iterable, total: int, description: str) -> Iterable:
    """The `Track` that shows nothing."""
    return items


@contextmanager
def untracked_bytes(description: str, total: int | None, done: int) -> Iterator[Callable[[int], object]]:
    """The `ByteTrack` that shows nothing."""
    yield lambda size: None


def tracked_bytes(description: str, total: int | None, done: int) -> AbstractContextManager[Callable[[int], object]]:
    """The `ByteTrack` that shows a bar on a terminal or in a notebook."""
    from kerascnn.console import track_bytes  # and with it rich, when something is downloaded

    return track_bytes(description, total, done)
