"""Stops a subcommand between two steps of its work, so that no signal is lost in TensorFlow or leaves half a result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kerascnn.stop_request import StopRequest

if TYPE_CHECKING:
    from kerascnn.files.progress import Track


@contextmanager
def stopping_between(track: Track) -> Iterator[Track]:
    """Yields `track`, whose steps end with KeyboardInterrupt after Ctrl-C or SIGTERM; so does the block.

    An exception raised in the middle of TensorFlow may turn into another one there, or vanish. A second signal does not
    wait for the end of a step; what it breaks counts as stopped.
    """
    with StopRequest() as stop:

        def stoppable(items: Iterable, total: int, description: str) -> Iterator:
            for item in track(items, total, description):
                stop.check()
                yield item

        try:
            yield stoppable
        except Exception:
            stop.check()
            raise
        stop.check()
