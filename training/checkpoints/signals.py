"""Ctrl-C and SIGTERM as requests that a training answers between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable


class StopRequest:
    """A context in which the first Ctrl-C or SIGTERM is noted, and a second one raises KeyboardInterrupt at once.

    Outside the main thread, where Python takes no signals, it notes nothing.

    Args:
        listeners: those with a method `stopping` are told by it that the request has come.

    Attributes:
        requested: whether it came.
        insisted: whether it came twice.
    """

    def __init__(self, listeners: Iterable = ()):
        self.listeners = listeners
        self.requested = False
        self.insisted = False

    def __enter__(self) -> StopRequest:
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                # What is ignored, as Ctrl-C in a shell's background job, stays ignored; None is not Python's to change.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, frame) -> None:
        if self.requested:
            self.insisted = True
            raise KeyboardInterrupt
        self.requested = True
        for listener in self.listeners:
            if hasattr(listener, "stopping"):
                listener.stopping()
