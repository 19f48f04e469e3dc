"""Reads image files in processes of their own, which have limits and can be killed.

A decoder that hangs, crashes or takes much memory costs its file a bad verdict, and the other files nothing.
A process answers two kinds of requests, one line of JSON each: what is in files, by their names, and the pixels of an
image, whose bytes follow the line, as those of the pixels follow the answer.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NamedTuple, Self

import numpy as np

from kerascnn.data.ingestion.image_facts import image_facts
from kerascnn.data.ingestion.image_formats import UnreadableImageError, decode_image
from kerascnn.errors import InputError, phrase
from kerascnn.files.checksums import Checksum
from kerascnn.files.memory import address_space

with suppress(ImportError):  # Windows has none.
    import resource

# Of computing, per file; the largest images take a third of it.
SECONDS = 30.0

# For an answer about a portion of files, which may be on a slow disk.
PATIENCE = 120.0

# Bytes per process, beyond those it starts with: 134 million pixels of RGB, or 60 million with transparency.
MEMORY = 3 << 29

# Seconds until a process without work ends; one that may be about to end is not asked.
IDLE = 10.0

# Other programs, and a system without memory, may kill a process that does nothing wrong.
TRIES = 3
KILLED = (-signal.SIGKILL, -signal.SIGTERM) if os.name == "posix" else ()


class Request(NamedTuple):
    """The arguments of `image_facts` for one file."""

    path: str
    known_sha256: str = ""
    plain: bool = True


class _Reader:
    """A process that answers requests."""

    def __init__(self):
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        environment = os.environ | threads | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.limits = SECONDS, MEMORY
        # With -P nothing is imported from the folder that the user is in, unless this process would import from it.
        command = [sys.executable, "-P", "-m", __name__, *map(str, self.limits)]
        # Ctrl-C is for the program that asks.
        self._process = subprocess.Popen(command, **pipes, env=environment, start_new_session=True)
        self.used = time.monotonic()
        self.is_ready = bool(self._process.stdout.readline())

    def ask(self, message: bytes) -> Any:
        """The answer; None if the process ends or does not answer in time."""
        answer = None
        with suppress(OSError, EOFError):
            self._process.stdin.write(message)
            self._process.stdin.flush()
            if select.select([self._process.stdout], [], [], PATIENCE)[0]:
                answer = _received(self._process.stdout)
        self.used = time.monotonic()
        return answer

    def kill(self) -> None:
        """Ends the process; who asks it gets no answer."""
        self._process.kill()

    def end(self) -> int | None:
        """Ends the process and returns how it had ended before: as `Popen.returncode`, None if it had not."""
        # Its output may be closed a moment before.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)
        code = self._process.returncode
        self.kill()
        # A process that waits for a disk outlives its kill.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                stream.close()
        return code


class Readers:
    """As many processes as threads ask at a time, for files below a folder.

    Leaving the context with an error ends those that are busy. Idle ones are kept for the next context for a while.
    """

    _idle: ClassVar[list[_Reader]] = []

    def __init__(self, root: Path):
        self._root, self._busy, self._lock, self._stopped = root, set(), threading.Lock(), False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        with self._lock:
            self._stopped = kind is not None
            for reader in self._busy if self._stopped else ():
                reader.kill()

    def facts(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """`image_facts` of each file, or the reason why reading it ended the process."""
        for _ in range(TRIES):
            answer, code = self._ask(requests)
            if answer is not None:
                return answer
            # Of several files any may be the reason.
            if len(requests) > 1:
                return [facts for request in requests for facts in self.facts([request])]
            if code not in KILLED:
                break
        return [_verdict(self._root / requests[0].path, code)]

    def pixels(self, contents: bytes) -> np.ndarray:
        """`decode_image` of a file's bytes; UnreadableImageError also if that ends the process."""
        for _ in range(TRIES):
            answer, code = self._answer(_line({"bytes": len(contents)}) + contents)
            if isinstance(answer, np.ndarray):
                return answer
            if answer is not None or code not in KILLED:
                break
        raise UnreadableImageError(_reason(code) if answer is None else answer["reason"])

    def _ask(self, requests: Sequence[Request]) -> tuple[list[dict[str, Any]] | None, int | None]:
        return self._answer(_line([str(self._root), requests]))

    def _answer(self, message: bytes) -> tuple[Any, int | None]:
        """A process' answer, or None and how the process ended."""
        reader = self._take()
        answer = reader.ask(message)
        with self._lock:
            self._busy.discard(reader)
            if answer is not None:
                self._idle.append(reader)
        return answer, reader.end() if answer is None else 0

    def _take(self) -> _Reader:
        with self._lock:
            if self._stopped:
                raise InputError("the check was stopped.")
            # Other threads take them, too.
            reader = None
            with suppress(IndexError):
                reader = self._idle.pop()
        # A thread that outlives its check may leave one of other limits.
        if reader and (time.monotonic() - reader.used > IDLE / 2 or reader.limits != (SECONDS, MEMORY)):
            reader.end()
            reader = None
        reader = reader or _started()
        with self._lock:
            self._busy.add(reader)
            if self._stopped:
                reader.kill()
        return reader


def _started() -> _Reader:
    for _ in range(TRIES):
        reader = _Reader()
        if reader.is_ready:
            return reader
        code = reader.end()
    raise InputError(f"images cannot be checked: a process for it ends at once ({code}); it may lack memory.")


if hasattr(os, "register_at_fork"):
    # Two processes must not ask one reader.
    os.register_at_fork(after_in_child=Readers._idle.clear)


def _verdict(file: Path, code: int | None) -> dict[str, Any]:
    """The facts of a file that ends its process, or keeps it busy; with its SHA-256, it is not tried again."""
    if code is None or code in KILLED:
        return {"reason": _reason(code)}
    try:
        return {"reason": _reason(code), "sha256": Checksum.of(file).digits}
    except OSError as error:
        return {"reason": phrase(error)}


def _reason(code: int | None) -> str:
    """Why an image ended its process, or keeps it busy (None)."""
    if code is None:
        return f"reading it takes more than {PATIENCE:.0f} seconds"
    if code in KILLED:
        return "its decoder was ended several times from outside, perhaps for want of memory"
    if code == -signal.SIGPROF:
        return f"decoding it takes more than {SECONDS:.0f} seconds"
    return f"it crashes its decoder ({signal.Signals(-code).name if code < 0 else code})"


def _line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _received(file: BinaryIO) -> Any:
    """A value that was sent as a line, or an array behind its shape; EOFError if it ends before."""
    line = file.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    value = json.loads(line)
    if not isinstance(value, dict) or "shape" not in value:
        return value
    pixels = np.empty(value["shape"], np.uint8)
    if file.readinto(pixels.reshape(-1)) < pixels.size:
        raise EOFError
    return pixels


def _serve(seconds: float, memory: int) -> None:
    """Answers requests until there are none."""
    from PIL import Image

    Image.init()
    # The program that asks may ignore the signal, which its processes inherit.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF])
    # Libraries may write to standard output.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _limit(memory)
    answers.write(b"ready\n")
    answers.flush()
    while select.select([0], [], [], IDLE)[0] and (line := sys.stdin.buffer.readline()):
        request = json.loads(line)
        if isinstance(request, dict):
            _send_pixels(answers, sys.stdin.buffer.read(request["bytes"]), seconds)
        else:
            root, files = request
            found = []
            for file in files:
                # Ends the process, also inside a library.
                signal.setitimer(signal.ITIMER_PROF, seconds)
                found.append(image_facts(Path(root), *file))
            answers.write(_line(found))
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.flush()


def _send_pixels(answers: BinaryIO, contents: bytes, seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        with warnings.catch_warnings(action="ignore"):
            pixels = np.ascontiguousarray(decode_image(contents))
    except UnreadableImageError as error:
        answers.write(_line({"reason": str(error)}))
    else:
        answers.write(_line({"shape": pixels.shape}))
        answers.write(pixels.reshape(-1))


def _limit(memory: int) -> None:
    """Limits the memory of this process; it writes neither files nor an image of itself when it crashes."""
    limits = {resource.RLIMIT_AS: address_space() + memory, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    for kind, limit in limits.items():
        hard = resource.getrlimit(kind)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        # macOS does not set all of them.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, limit))


if __name__ == "__main__":
    _serve(float(sys.argv[1]), int(sys.argv[2]))
