"""Ctrl-C and SIGTERM as requests, which are met where nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable


class StopRequest:
    """A context that records the first Ctrl-C or SIGTERM, and raises KeyboardInterrupt at the second.

    It records nothing outside the main thread, where Python delivers no signals. The methods `stopping` of listeners
    that have one are called at the first signal. `requested` and `insisted` say whether one or two were received.
    """

    def __init__(self, listeners: Iterable = ()):
        self.listeners, self.requested, self.insisted = listeners, False, False

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

    def check(self) -> None:
        """Raises KeyboardInterrupt if a signal was received."""
        if self.requested:
            raise KeyboardInterrupt
