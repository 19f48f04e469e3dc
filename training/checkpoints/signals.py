"""Ctrl-C and SIGTERM as requests that a training answers between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable


class StopRequest:
    """A context that records the first Ctrl-C or SIGTERM, and raises KeyboardInterrupt at the second.

    It records nothing outside the main thread, where Python delivers no signals.

    Args:
        listeners: their methods `stopping`, if they have one, are called at the first signal.

    Attributes:
        requested, insisted: whether one signal, or two, were received.
    """

    def __init__(self, listeners: Iterable = ()):
        self.listeners = listeners
        self.requested = False
        self.insisted = False

    def __enter__(self) -> StopRequest:
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                # Signals that are ignored, as Ctrl-C in a shell's background job, stay ignored; None is a C handler.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._record)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _record(self, number, frame) -> None:
        if self.requested:
            self.insisted = True
            raise KeyboardInterrupt
        self.requested = True
        for listener in self.listeners:
            if hasattr(listener, "stopping"):
                listener.stopping()
