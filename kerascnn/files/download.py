"""Downloading a file over http, so that a broken one never looks complete and a cut one goes on where it ended."""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import string
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from kerascnn.errors import InputError
from kerascnn.files.archives.archive import HEAD, UNKNOWN, WEB_PAGE, archive_stem, recognized, unlike_an_archive
from kerascnn.files.archives.archive_entry import DamagedArchiveError
from kerascnn.files.archives.zip_entries import ZipReader
from kerascnn.files.disk_space import LOOK_EVERY, format_os_error, short_of_room
from kerascnn.files.file_names import printable, safe_file_name
from kerascnn.files.progress import ByteTrack, untracked_bytes

CHUNK = 1 << 18

# Of files that begin as archives do and are none, or say no more than how they are compressed.
PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".npz", ".keras", ".pth", ".pt")

MOST_REDIRECTS = 10
REDIRECTS = (301, 302, 303, 307, 308)
# Beside all of 500 and above: request timeout, too early, too many requests.
PASSING = (408, 425, 429)

# Bytes that a try must bring to count as one that got on, and those within a timeout that are better than none.
PROGRESS = 1 << 20
TRICKLE = 1 << 10


@dataclass(frozen=True)
class RetryPolicy:
    """How long a server is waited for, in seconds.

    Attributes:
        timeout: for a connection, and for the next bytes.
        tries: in a row that get nowhere.
        first_wait: after the first of them; every further wait is twice as long.
        longest_wait: no wait is longer; a server that asks for more is left alone.
    """

    timeout: float = 30.0
    tries: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0


def is_url(source: str) -> bool:
    """Whether the source is to be downloaded."""
    return source.lower().startswith(("http://", "https://"))


def fetch(
    url: str,
    folder: Path,
    *,
    sha256: str | None = None,
    track: ByteTrack = untracked_bytes,
    patience: RetryPolicy = RetryPolicy(),
) -> Path:
    """Downloads a file into a folder, once.

    Until it is complete it lies in a `.part` file. What a cut, a Ctrl-C or a full disk leaves there is taken up
    again by the next call, as long as the server's file has stayed the same (by its ETag or its date); otherwise
    the download starts anew. A file that is there already is returned without asking the server.

    Args:
        url: http or https.
        folder: where to; made if it is not there.
        sha256: of the whole file, in hexadecimal.
        track: shows the bytes as they arrive.
        patience: with the server.

    Returns:
        The complete file, named as the server or the URL names it, with the suffix of an archive if it is one.

    Raises:
        InputError: the URL cannot be fetched, or gives something other than it should.

    Example:
        >>> fetch("https://example.org/pets.zip", Path("downloads"))
        PosixPath('downloads/pets.zip')
    """
    address = _address(url)
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise InputError(f"'{sha256}' is no SHA-256; give its 64 hexadecimal digits.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _Part(folder, url) as part:
            if (complete := part.published()) and sha256 in (None, _sha256(complete) if sha256 else None):
                return complete
            _download(address, part, track, patience)
            return _publish(part, sha256.lower() if sha256 else None)
    except _RefusedError as refused:
        raise InputError(f"{_shown_url(url)} cannot be fetched: {refused}.") from None
    except OSError as error:
        reason = f"{format_os_error(error)}; what has arrived is kept for another try"
        raise InputError(f"{_shown_url(url)} cannot be fetched into {folder}: {reason}.") from None


class _RefusedError(Exception):
    """Trying again would not help; the message is the reason, as a phrase."""


class _TroubleError(Exception):
    """Trying again may help; the message is the reason, as a phrase.

    Attributes:
        wait: seconds that the server asks for.
        unreachable: whether there was no server to ask at all.
        changed: whether what has arrived is of no use any more.
    """

    def __init__(self, reason: str, *, wait: float = 0.0, unreachable: bool = False, changed: bool = False):
        super().__init__(reason)
        self.wait = wait
        self.unreachable = unreachable
        self.changed = changed


@dataclass
class _About:
    """What is known of a file that is being fetched, and of one that has been."""

    etag: str | None = None
    last_modified: str | None = None
    length: int | None = None
    name: str | None = None
    published: str | None = None

    @property
    def validator(self) -> str | None:
        """What tells whether the server's file is still the same; weak tags may not (RFC 9110, 13.1.5)."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified


class _Part:
    """The `.part` file of a URL, and beside it in JSON what is known of it; locked while it is in use."""

    def __init__(self, folder: Path, url: str):
        self.folder = folder
        self.mark = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        self.url_name = _last_part(url)
        stem = f"{safe_file_name(self.url_name)[:40]}-{self.mark}"
        self.path = folder / f"{stem}.part"
        notes = os.open(folder / f"{stem}.fetch.json", os.O_RDWR | os.O_CREAT, 0o666)
        self._notes = os.fdopen(notes, "r+", encoding="utf-8")
        self.about = _About()

    def __enter__(self) -> _Part:
        try:
            self._lock()
            with contextlib.suppress(ValueError, TypeError):
                self.about = _About(**json.load(self._notes))
        except BaseException:
            self._notes.close()
            raise
        return self

    def __exit__(self, *error) -> None:
        self._notes.close()

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(self._notes, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _RefusedError(f"another process is fetching it into {self.folder}; wait for that one") from None

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def published(self) -> Path | None:
        """The complete file, if it is still there."""
        target = self.folder / (self.about.published or "")
        complete = target.is_file() and target.stat().st_size == self.about.length and not self.path.exists()
        return target if complete else None

    def note(self, about: _About) -> None:
        self.about = about
        self._notes.seek(0)
        self._notes.truncate()
        json.dump(asdict(about), self._notes)
        self._notes.flush()

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note(_About(published=self.about.published))

    def resumed_from(self) -> int:
        """The first byte still to come. Of a complete file the last comes again, since no server gives none."""
        if not self.about.validator:
            return 0
        return self.size if self.about.length is None else max(0, min(self.size, self.about.length - 1))


def _download(address: str, part: _Part, track: ByteTrack, patience: RetryPolicy) -> None:
    """Fills the part, in as many tries as it takes."""
    failures, furthest, reached = 0, part.size, False
    while True:
        try:
            return _try(address, part, track, patience.timeout)
        except _TroubleError as trouble:
            reached = reached or not trouble.unreachable
            if not reached:
                raise _RefusedError(f"{trouble}; check the address and the network") from None
            if trouble.wait > patience.longest_wait:
                raise _RefusedError(f"{trouble} and asks to wait {trouble.wait:.0f} s; start again then") from None
            if trouble.changed:
                part.discard()
            failures = 1 if part.size >= furthest + PROGRESS else failures + 1
            furthest = max(furthest, part.size)
            if failures >= patience.tries:
                raise _RefusedError(f"{trouble}, and {failures} tries in a row got no further") from None
            time.sleep(max(trouble.wait, min(patience.first_wait * 2 ** (failures - 1), patience.longest_wait)))


def _try(address: str, part: _Part, track: ByteTrack, timeout: float) -> None:
    begin = part.resumed_from()
    headers = {"User-Agent": "kerascnn", "Accept": "*/*", "Accept-Encoding": "identity"}
    if begin:
        headers |= {"Range": f"bytes={begin}-", "If-Range": part.about.validator}
    with _opened(address, headers, timeout) as response:
        begin, total = _agreed(response, part, begin)
        _require_room(part, (total or 0) - begin)
        with (
            part.path.open("r+b" if begin else "wb") as file,
            track(f"Fetching {printable(part.about.name)}", total, begin) as tick,
        ):
            file.seek(begin)
            file.truncate()
            for piece in _pieces(response, timeout):
                file.write(piece)
                tick(len(piece))
                if file.tell() // LOOK_EVERY != (file.tell() - len(piece)) // LOOK_EVERY:
                    _require_room(part, 0)
            os.fsync(file.fileno())
    if total is not None and part.size > total:
        part.discard()
        raise _RefusedError("the server sends more than it announces")
    if total is not None and part.size < total:
        raise _TroubleError(f"the connection was cut after {part.size:,} of {total:,} bytes")


def _opened(address: str, headers: dict[str, str], timeout: float) -> http.client.HTTPResponse:
    """The server's answer, redirects followed."""
    opener = urllib.request.build_opener(_NoRedirects)
    for _ in range(MOST_REDIRECTS + 1):
        try:
            return opener.open(urllib.request.Request(address, headers=headers), timeout=timeout)
        except urllib.error.HTTPError as error:
            with error:
                address = _redirected(address, error)
        except urllib.error.URLError as error:
            raise _unreached(error.reason) from None
        except http.client.InvalidURL:
            raise _RefusedError("it is no valid address") from None
        except (http.client.HTTPException, OSError) as error:
            raise _unreached(error) from None
    raise _RefusedError(f"it is redirected in a circle, or more than {MOST_REDIRECTS} times")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves redirects to `_opened`; urllib would read their bodies to the end, and follow them to ftp."""

    def http_error_302(self, *args):
        return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _redirected(address: str, answer: urllib.error.HTTPError) -> str:
    """Where a redirect leads; any other answer is refused or tried again."""
    location = answer.headers.get("Location")
    if answer.code in REDIRECTS and location:
        # Header fields come as Latin-1, whatever the server wrote.
        location = urllib.parse.quote(location, safe=string.punctuation, encoding="latin-1", errors="replace")
        try:
            target = _address(urllib.parse.urljoin(address, location))
        except (InputError, ValueError):
            raise _RefusedError(f"it is redirected to {printable(location)}, which is no web address") from None
        if address.startswith("https:") and not target.startswith("https:"):
            raise _RefusedError(f"it is redirected from https to {_shown_url(target)}, which is not safe on the way")
        return target
    answered = f"the server answers {answer.code} ({printable(answer.reason) or 'without a reason'})"
    if answer.code == 416:
        # A range beyond the end: the file is another one than before.
        raise _TroubleError("the file changed on the server", changed=True)
    if answer.code in PASSING or answer.code >= 500:
        raise _TroubleError(answered, wait=_retry_after(answer.headers.get("Retry-After")))
    raise _RefusedError(answered)


def _retry_after(value: str | None) -> float:
    """Seconds to wait, from a number of them or a date (RFC 9110, 10.2.3)."""
    if not value:
        return 0.0
    with contextlib.suppress(ValueError):
        return float(max(0, int(value)))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return 0.0


def _unreached(reason: object) -> Exception:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return _RefusedError(f"its certificate is not valid ({reason.verify_message})")
    if isinstance(reason, TimeoutError):
        return _TroubleError("the server does not answer")
    if isinstance(reason, socket.gaierror):
        return _TroubleError("its server is not known", unreachable=True)
    if isinstance(reason, http.client.RemoteDisconnected | ConnectionResetError):
        return _TroubleError("the connection was cut")
    if isinstance(reason, http.client.HTTPException):
        return _RefusedError("the server does not speak http")
    unreachable = format_os_error(reason) if isinstance(reason, OSError) else str(reason)
    return _TroubleError(f"its server cannot be reached ({unreachable})", unreachable=True)


def _agreed(response: http.client.HTTPResponse, part: _Part, begin: int) -> tuple[int, int | None]:
    """From which byte on the answer goes, and how long the whole file is; notes what the server says of it."""
    said_now = _About(
        etag=response.headers.get("ETag"),
        last_modified=response.headers.get("Last-Modified"),
        length=response.length,
        name=_name(response, part.url_name),
        published=part.about.published,
    )
    if response.status == 200:
        part.note(said_now)
        return 0, said_now.length
    if response.status != 206:
        raise _RefusedError(f"the server answers {response.status} ({printable(response.reason)})")
    given = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", response.headers.get("Content-Range", "").strip())
    total = int(given[2]) if given and given[2] != "*" else None
    before = part.about
    if (
        not given
        or int(given[1]) != begin
        or (said_now.validator and said_now.validator != before.validator)
        or (None not in (total, before.length) and total != before.length)
    ):
        raise _TroubleError("the file changed on the server", changed=True)
    return begin, total if total is not None else before.length


def _pieces(response: http.client.HTTPResponse, timeout: float) -> Iterator[bytes]:
    """The body as it arrives, and one byte beyond its announced length if the server sends more."""
    announced, got = response.length, 0
    if announced is not None:
        # Python would stop at the announced length and never see that there is more.
        response.length = announced + 1
    since, got_then = time.monotonic(), 0
    while True:
        try:
            piece = response.read1(CHUNK)
        except TimeoutError:
            # All is there; the server only keeps the connection open although it was asked not to.
            if got == announced:
                return
            raise _TroubleError(f"nothing arrived for {timeout:g} s") from None
        except (http.client.HTTPException, OSError, ValueError):
            raise _TroubleError(f"the connection was cut after {got:,} bytes") from None
        if not piece:
            return
        got += len(piece)
        yield piece
        if time.monotonic() - since > timeout:
            if got - got_then < TRICKLE and got != announced:
                raise _TroubleError(f"only {got - got_then} bytes arrived in {timeout:g} s")
            since, got_then = time.monotonic(), got


def _require_room(part: _Part, size: int) -> None:
    free = short_of_room(part.folder, size)
    if free is not None:
        raise _RefusedError(
            f"{max(size, 1):,} bytes or more are still to come, and {part.folder} has room for {free:,} only; "
            "what has arrived is kept"
        )


def _publish(part: _Part, sha256: str | None) -> Path:
    """Gives a complete part its name, if it is what it should be; else removes it."""
    try:
        if sha256 and (found := _sha256(part.path)) != sha256:
            raise _RefusedError(f"its SHA-256 is {found}, not {sha256}, so it is another file or a damaged one")
        name = _suffixed(part.path, part.about.name)
    except _RefusedError:
        part.discard()
        raise
    target = part.folder / name
    if target.exists() and name != part.about.published:
        # Another URL's file, or one that was here before.
        stem = archive_stem(target) or target.stem
        target = part.folder / f"{stem}-{part.mark}{name[len(stem) :]}"
    part.note(_About(length=part.size, published=target.name))
    os.replace(part.path, target)
    return target


def _suffixed(path: Path, name: str) -> str:
    """The name, with the suffix of an archive for what is one; what should be one and is not is refused."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    kind, named_so = recognized(head), archive_stem(Path(name)) is not None
    if kind is None:
        unlike = unlike_an_archive(head)
        if (named_so and unlike != UNKNOWN) or (named_so and not name.lower().endswith(".zip")) or not head:
            raise _RefusedError(f"what the server gives as {printable(name)} is {unlike}")
        if WEB_PAGE.match(head) and not name.lower().endswith((".html", ".htm", ".xml", ".svg")):
            raise _RefusedError(f"what the server gives as {printable(name)} is a web page, not a file")
    if kind == ".zip" or (kind is None and name.lower().endswith(".zip")):
        try:
            ZipReader(path)
        except DamagedArchiveError as error:
            raise _RefusedError(f"what the server gives as {printable(name)} is damaged: {error}") from None
    complete = named_so or name.lower().endswith(PACKED_SUFFIXES)
    return safe_file_name(name + kind) if kind and not complete else name


def _name(response: http.client.HTTPResponse, url_name: str) -> str:
    """What the file is to be called: as the server says, or as its last or first URL ends."""
    offered = response.headers.get_filename() or ""
    with contextlib.suppress(UnicodeError):
        offered = offered.encode("latin-1").decode("utf-8")
    offered = offered.replace("\\", "/").rpartition("/")[2].strip(" .")
    names = [safe_file_name(name) for name in (offered, _last_part(response.url), url_name) if name] or ["download"]
    return next((name for name in names if archive_stem(Path(name))), names[0])


def _last_part(url: str) -> str:
    path = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rstrip("/").rpartition("/")[2])
    return path.replace("\\", "/").rpartition("/")[2].strip(" .")


def _address(url: str) -> str:
    """The URL with nothing in it that HTTP does not take."""
    try:
        parts = urllib.parse.urlsplit(url.strip())
        host, port = parts.hostname, parts.port
        if host and not host.isascii():
            host = host.encode("idna").decode()
    except (ValueError, UnicodeError):
        raise InputError(f"'{printable(url)}' is no valid URL; give one like https://example.org/pets.zip.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise InputError(f"'{printable(url)}' cannot be fetched; give a URL that begins with https:// or http://.")
    if parts.username or parts.password:
        raise InputError(f"{_shown_url(url)} has a user name in it; give a URL that needs none.")
    host = f"[{host}]" if ":" in host else host
    location = host if port is None else f"{host}:{port}"
    path, query = (urllib.parse.quote(part, safe=string.punctuation) for part in (parts.path or "/", parts.query))
    return urllib.parse.urlunsplit((parts.scheme, location, path, query, ""))


def _shown_url(url: str) -> str:
    """The URL for messages: without the query and the user, which may hold secrets."""
    parts = urllib.parse.urlsplit(url)
    return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?…' if parts.query else ''}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
