"""How long work is shown: an iterable passed on, its items counted on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable

# Shows progress over an iterable of known length under a description, such as `rich.progress.track`.
Track = Callable[[Iterable, int, str], Iterable]


def untracked(items: Iterable, total: int, description: str) -> Iterable:
    """The `Track` that shows nothing."""
    return items
