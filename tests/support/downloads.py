"""A server on this machine that misbehaves in every way, and downloads from it."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kerascnn.files.download import RetryPolicy, download
from support.archives import NOISE, zipped
from support.servers import LoopbackServer, QuietHandler

QUICK = RetryPolicy(timeout=2, max_attempts=3, initial_delay=0.001, max_delay=0.01)
# For servers that fall silent; on a busy machine others may seem to.
HASTY = replace(QUICK, timeout=0.2)

PETS = zipped([("a/1.jpg", NOISE[:200_000])])
OTHER = zipped([("a/1.jpg", NOISE[-200_000:])])


class ScriptedServer(LoopbackServer):
    """Answers each request with the next of `answers`, and all further ones with the last of them.

    Attributes:
        answers: functions of the request's handler.
        requests: the handlers of all requests.
        hold: what stalled answers wait for.
    """

    def __init__(self):
        super().__init__(ScriptedHandler)
        self.answers, self.requests = [], []
        self.hold = threading.Event()

    def url(self, path: str = "pets.zip") -> str:
        return super().url(path)

    def shutdown(self):
        self.hold.set()
        super().shutdown()


class ScriptedHandler(QuietHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.requests.append(self)
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer(self)

    def begin(self, status: int, headers: dict) -> None:
        self.send_response(status)
        for name, value in {"Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close_connection = True


Answer = Callable[[ScriptedHandler], None]


def gives(contents: bytes, *, sent=None, length=None, etag='"1"', ranges=True, ending=None, **headers) -> Answer:
    """An answer with `contents`, or from a range on with the rest of it.

    Args:
        sent: so many bytes and no more.
        length: the announced length, if not the true one; 0 for none.
        ending: what happens after the last byte, "reset" or "stall".
    """

    def answer(handler):
        wanted = handler.headers.get("Range")
        fresh = etag is None or handler.headers.get("If-Range") in (None, etag)
        begin = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and ranges and fresh else 0
        if begin and begin >= len(contents):
            return handler.begin(416, {"Content-Range": f"bytes */{len(contents)}", "Content-Length": 0})
        fields = {} if length == 0 else {"Content-Length": (len(contents) if length is None else length) - begin}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        if etag:
            fields["ETag"] = etag
        if begin:
            fields["Content-Range"] = f"bytes {begin}-{len(contents) - 1}/{len(contents)}"
        handler.begin(206 if begin else 200, fields)
        handler.wfile.write(contents[begin : None if sent is None else begin + sent])
        handler.wfile.flush()
        if ending == "stall":
            handler.server.hold.wait(5)
        elif ending == "reset":
            handler.cut()

    return answer


def says(status: int, **headers) -> Answer:
    """An answer without contents."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.begin(status, {"Content-Length": 0, **fields})


def hangs_up(handler: ScriptedHandler) -> None:
    handler.close_connection = True


def ranges(server: ScriptedServer) -> list[str | None]:
    """The range of each request."""
    return [request.headers.get("Range") for request in server.requests]


def parts(folder: Path) -> list[int]:
    """The sizes of the downloads that a folder holds in part."""
    return [path.stat().st_size for path in folder.glob("*.part")]


def get(server: ScriptedServer, folder: Path, path: str = "pets.zip", **options) -> Path:
    return download(server.url(path), folder, **{"retry": QUICK, **options})
