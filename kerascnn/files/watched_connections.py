"""HTTP connections that are cut when too little arrives, however the server divides it."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
import urllib.request
from functools import partial
from typing import Any, Self

# Bytes per second; a modem of 1994 has twice as much.
MIN_RATE = 1000


class Watch:
    """Cuts the connections of its openers unless, every `timeout` seconds, the headers or enough bytes have arrived.

    A socket's own timeout begins anew with each byte, so that a server that sends one now and then, in a header or in
    the size of a chunk, would never end.

    Attributes:
        is_late: whether the connections were cut.

    Example:
        >>> with Watch(30.0) as watch, urllib.request.build_opener(watch.handler()).open(url, timeout=30) as response:
        ...     watch.restart()
        ...     watch.arrived(len(response.read1()))
    """

    def __init__(self, timeout: float):
        self.is_late = False
        self._timeout, self._least, self._bytes = timeout, MIN_RATE * timeout, 0
        self._due = time.monotonic() + timeout
        self._sockets: list[socket.socket] = []
        self._connecting = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def handler(self) -> urllib.request.BaseHandler:
        """Opens http and https URLs over connections that are watched."""
        return _WatchedHandler(self)

    def connect(self, *arguments: Any) -> socket.socket:
        """As `socket.create_connection`, whose own timeout is for each of a server's addresses."""
        self._connecting = True
        made = socket.create_connection(*arguments)
        # TLS takes the socket over; the copy is of the same connection.
        self._sockets.append(made.dup())
        self.restart()
        self._connecting = False
        return made

    def restart(self) -> None:
        """A new interval begins, as the headers are here."""
        self._bytes, self._due = 0, time.monotonic() + self._timeout

    def arrived(self, size: int) -> None:
        """So many bytes have arrived."""
        self._bytes += size

    def _run(self) -> None:
        while not self._over.wait(max(0.0, self._due - time.monotonic())):
            if time.monotonic() < self._due:
                continue
            if self._bytes < self._least and not self._connecting:
                self.is_late = True
                break
            self.restart()
        # Also what is connected from now on, such as after a redirect.
        while self.is_late and not self._over.wait(0.01):
            for one in list(self._sockets):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        for one in self._sockets:
            one.close()


class _WatchedHandler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    def __init__(self, watch: Watch):
        super().__init__()
        self._watch = watch

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(self._connection, http.client.HTTPConnection), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(self._connection, http.client.HTTPSConnection), request)

    def _connection(self, kind: type[http.client.HTTPConnection], *arguments: Any, **options: Any):
        made = kind(*arguments, **options)
        made._create_connection = self._watch.connect
        return made
