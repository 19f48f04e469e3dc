"""Servers and ports on the loopback interface."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from collections.abc import Iterator
from typing import TypeVar

Server = TypeVar("Server", bound=http.server.HTTPServer)


class LoopbackServer(http.server.ThreadingHTTPServer):
    """An HTTP server on a free port of 127.0.0.1; what its handlers raise is not printed."""

    daemon_threads = True

    def __init__(self, handler: type[http.server.BaseHTTPRequestHandler]):
        super().__init__(("127.0.0.1", 0), handler)

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def handle_error(self, request, client_address):
        pass


class QuietHandler(http.server.BaseHTTPRequestHandler):
    """Logs no requests."""

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    """The server, answering in a thread until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class FileServer(LoopbackServer):
    """Gives files by their names, and counts what it is asked for.

    Attributes:
        files: name to contents.
        asked: the names, in order; of a download that goes on, with its range.
        slowly: whether the second half of a file waits for `go_on`.
    """

    def __init__(self):
        super().__init__(FileHandler)
        self.files, self.asked, self.slowly, self.go_on = {}, [], False, threading.Event()

    def url(self, name: str) -> str:
        return super().url(f"models/{name}")

    def shutdown(self):
        self.go_on.set()
        super().shutdown()


class FileHandler(QuietHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name = self.path.rpartition("/")[2]
        begins = self.headers.get("Range")
        self.server.asked.append((name, begins) if begins else name)
        contents = self.server.files.get(name)
        begin = int(begins.removeprefix("bytes=").removesuffix("-")) if begins else 0
        self.send_response(404 if contents is None else 206 if begin else 200)
        body = (contents or b"")[begin:]
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1"')
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(contents) - 1}/{len(contents)}")
        self.send_header("Connection", "close")
        self.end_headers()
        half = len(body) // 2 if self.server.slowly else 0
        self.wfile.write(body[:half])
        self.wfile.flush()
        if half:
            self.server.go_on.wait(30)
        self.wfile.write(body[half:])
