"""Downloads over HTTP that resume after interruptions, and get their file name only when they are complete."""

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
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from kerascnn.errors import InputError
from kerascnn.files.archives.archive import HEAD, UNKNOWN, WEB_PAGE, archive_stem, archive_suffix, describe_other_file
from kerascnn.files.archives.archive_entry import DamagedArchiveError
from kerascnn.files.archives.zip_entries import ZipReader
from kerascnn.files.checksums import Checksum
from kerascnn.files.disk_space import CHECK_EVERY, format_os_error, low_disk_space
from kerascnn.files.file_names import safe_file_name
from kerascnn.files.progress import ByteTrack, untracked_bytes
from kerascnn.files.watched_connections import Watch
from kerascnn.shown_text import printable, shown_url

CHUNK = 1 << 18

# Of files that have an archive's signature and need no archive's suffix.
OTHER_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".npz", ".keras", ".pth", ".pt", ".th")

MAX_REDIRECTS = 10
REDIRECTS = (301, 302, 303, 307, 308)
# Request timeout, too early, too many requests; and all from 500.
TEMPORARY_ERRORS = (408, 425, 429)

# Bytes that an attempt must bring to count as progress.
MIN_PROGRESS = 1 << 14

# Seconds; servers are not taken at their word when they ask to wait longer.
LONGEST_WAIT = 10**6


@dataclass(frozen=True)
class RetryPolicy:
    """How often and after which delays to retry failed requests; times in seconds."""

    timeout: float = 30.0  # for a connection and the headers; after that, 1000 bytes must arrive for each second of it
    max_attempts: int = 6  # in a row without progress
    initial_delay: float = 1.0  # after the first of them; it doubles with each further one
    max_delay: float = 60.0  # of one attempt; a server that asks for a longer one is not asked again


def is_url(source: str) -> bool:
    """Whether the source is an http or https URL; InputError if it is one of another kind, such as file:// or s3://."""
    if source.lower().startswith(("http://", "https://")):
        return True
    # A drive of Windows has one letter.
    if re.match(r"\s*[A-Za-z][A-Za-z0-9+.-]+://", source) and not os.path.exists(source):
        raise InputError(f"{shown_url(source)} is no http or https URL; give one of these, or a path.")
    return False


def download(
    url: str,
    folder: Path,
    *,
    sha256: str | None = None,
    most: int | None = None,
    track: ByteTrack = untracked_bytes,
    retry: RetryPolicy = RetryPolicy(),
) -> Path:
    """Downloads a file into a folder, unless it is there already; `track` shows the progress in bytes.

    An incomplete file has the suffix `.part`. After an interruption, the next call resumes it if the server's file has
    not changed (by its ETag or date), and else starts again. The complete file is named by the server or the URL; an
    archive gets its suffix. InputError if the URL, of http or https, cannot be downloaded, or if its file contradicts
    its name or its `sha256` in hexadecimal, or has more than `most` bytes.
    """
    address = _request_url(url)
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise InputError(f"'{sha256}' is no SHA-256; give its 64 hexadecimal digits.")
    checksum = Checksum("sha256", sha256.lower()) if sha256 else None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _open_part(folder, url) as part:
            part.most = most
            if (complete := part.published()) and (checksum is None or checksum.matches(complete)):
                return complete
            _fill(address, part, track, retry)
            return _publish(part, checksum)
    except _DownloadFailedError as error:
        raise InputError(f"{shown_url(url)} cannot be downloaded: {error}.") from None
    except OSError as error:
        reason = f"{format_os_error(error)}; the downloaded part stays"
        raise InputError(f"{shown_url(url)} cannot be downloaded to {folder}: {reason}.") from None


class _DownloadFailedError(Exception):
    """Another attempt would not help; the message is a phrase."""


class _RetryableError(Exception):
    """Another attempt may help, after `delay` seconds; `changed`: the downloaded part is useless."""

    def __init__(self, reason: str, *, delay: float = 0.0, unreachable: bool = False, changed: bool = False):
        super().__init__(reason)
        self.delay, self.unreachable, self.changed = delay, unreachable, changed


@dataclass
class _RemoteFile:
    """The facts known of the server's file; `published` is the name of the complete file."""

    etag: str | None = None
    last_modified: str | None = None
    length: int | None = None
    name: str | None = None
    published: str | None = None

    @property
    def validator(self) -> str | None:
        """Identifies the file's version; weak tags are not allowed here (RFC 9110, 13.1.5)."""
        strong = self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified
        # Others are no values of a header, though a server may send them.
        return strong if strong and strong.isascii() and strong.isprintable() else None


@contextlib.contextmanager
def _open_part(folder: Path, url: str) -> Iterator[_PartFile]:
    """The `.part` file of a URL, locked meanwhile, with a JSON file of facts about the URL next to it."""
    url_hash = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    url_name = _last_component(url)
    path = folder / f"{safe_file_name(url_name)[:40]}-{url_hash}.part"
    try:
        lock = FileLock(path.with_suffix(".lock"), blocking=False).acquire()
    except Timeout:
        raise _DownloadFailedError(f"another process is downloading it to {folder}; wait for it") from None
    with lock:
        part = _PartFile(folder, path, url_name, url_hash)
        with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
            part.remote = _RemoteFile(**json.loads(part.state.read_text("utf-8")))
        yield part


@dataclass
class _PartFile:
    folder: Path
    path: Path
    url_name: str
    url_hash: str
    remote: _RemoteFile = field(default_factory=_RemoteFile)
    most: int | None = None

    @property
    def state(self) -> Path:
        return self.path.with_suffix(".download.json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def published(self) -> Path | None:
        """The complete file, if it is still there."""
        target = self.folder / (self.remote.published or "")
        complete = target.is_file() and target.stat().st_size == self.remote.length and not self.path.exists()
        return target if complete else None

    def save(self, remote: _RemoteFile) -> None:
        self.remote = remote
        self.state.write_text(json.dumps(asdict(remote)), "utf-8")

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.save(_RemoteFile(published=self.remote.published))

    def require_space(self, size: int) -> None:
        if self.most is not None and self.size + size > self.most:
            raise _DownloadFailedError(f"it has more than the {self.most / 1e6:,.0f} MB that are read of such a file")
        free = low_disk_space(self.folder, size)
        if free is not None:
            raise _DownloadFailedError(
                f"at least {max(size, 1):,} bytes are missing, and {self.folder} has only {free:,} bytes free; "
                "the downloaded part stays"
            )


def _fill(address: str, part: _PartFile, track: ByteTrack, retry: RetryPolicy) -> None:
    """Completes the part, in as many attempts as it takes."""
    failures, furthest, reached = 0, part.size, False
    while True:
        try:
            return _attempt(address, part, track, retry.timeout)
        except _RetryableError as error:
            reached = reached or not error.unreachable
            if not reached:
                raise _DownloadFailedError(f"{error}; check the address and the network") from None
            if error.delay > retry.max_delay:
                wait = f"{error.delay:.0f} s" if error.delay < LONGEST_WAIT else "longer than a week"
                raise _DownloadFailedError(f"{error} and asks to wait {wait}; try again then") from None
            if error.changed:
                part.discard()
            failures = 1 if part.size >= furthest + MIN_PROGRESS else failures + 1
            furthest = max(furthest, part.size)
            if failures >= retry.max_attempts:
                raise _DownloadFailedError(f"{error}, and {failures} attempts in a row made no progress") from None
            time.sleep(max(error.delay, min(retry.initial_delay * 2 ** (failures - 1), retry.max_delay)))


def _attempt(address: str, part: _PartFile, track: ByteTrack, timeout: float) -> None:
    begin = part.size if part.remote.validator else 0
    if begin and part.remote.length is not None:
        # At least the last byte, as an empty range is an error.
        begin = max(0, min(begin, part.remote.length - 1))
    headers = {"User-Agent": "kerascnn", "Accept": "*/*", "Accept-Encoding": "identity"}
    if begin:
        headers |= {"Range": f"bytes={begin}-", "If-Range": part.remote.validator}
    with Watch(timeout) as watch, _open_url(address, headers, watch, timeout) as response:
        watch.restart()
        begin, total = _check_response(response, part, begin)
        part.require_space((total or 0) - begin)
        description = f"Downloading {printable(part.remote.name)}"
        with part.path.open("r+b" if begin else "wb") as file, track(description, total, begin) as tick:
            file.seek(begin)
            file.truncate()
            for piece in _pieces(response, watch, timeout):
                file.write(piece)
                tick(len(piece))
                if file.tell() // CHECK_EVERY != (file.tell() - len(piece)) // CHECK_EVERY:
                    part.require_space(0)
            os.fsync(file.fileno())
    if total is not None and part.size > total:
        part.discard()
        raise _DownloadFailedError("the server sends more than it announces")
    if total is not None and part.size < total:
        raise _RetryableError(f"the connection was cut after {part.size:,} of {total:,} bytes")


def _open_url(address: str, headers: dict[str, str], watch: Watch, timeout: float) -> http.client.HTTPResponse:
    """The server's response, after redirects."""
    opener = urllib.request.build_opener(_NoRedirects, watch.handler())
    for _ in range(MAX_REDIRECTS + 1):
        try:
            return opener.open(urllib.request.Request(address, headers=headers), timeout=timeout)
        except urllib.error.HTTPError as error:
            with error:
                address = _redirect_target(address, error)
        # Of names of hosts that are too long, too, and of proxies that the environment names.
        except (http.client.InvalidURL, ValueError):
            proxy = ", or that of its proxy is none" if urllib.request.getproxies() else ""
            raise _DownloadFailedError(f"it is no valid address{proxy}") from None
        except (http.client.HTTPException, OSError) as error:
            if watch.is_late:
                raise _RetryableError(f"the server does not answer within {timeout:g} s") from None
            raise _connection_error(error.reason if isinstance(error, urllib.error.URLError) else error) from None
    raise _DownloadFailedError(f"it is redirected in a circle, or more than {MAX_REDIRECTS} times")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves redirects to `_open_url`; urllib would read their bodies to the end, and follow them to ftp."""

    def http_error_302(self, *args):
        return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _redirect_target(address: str, answer: urllib.error.HTTPError) -> str:
    """Where a redirect leads; raises an error for any other answer."""
    location = answer.headers.get("Location")
    if answer.code in REDIRECTS and location:
        # urllib decodes header fields as Latin-1, whatever the server wrote.
        location = urllib.parse.quote(location, safe=string.punctuation, encoding="latin-1", errors="replace")
        try:
            target = _request_url(urllib.parse.urljoin(address, location))
        except (InputError, ValueError):
            raise _DownloadFailedError(f"it is redirected to {shown_url(location)}, no web address") from None
        if address.startswith("https:") and not target.startswith("https:"):
            raise _DownloadFailedError(f"it is redirected from https to {shown_url(target)}, which is not secure")
        return target
    reason = f"the server answers {answer.code} ({printable(answer.reason) or 'without a reason'})"
    if answer.code == 416:
        # The range begins after the end: the file has changed.
        raise _RetryableError("the file changed on the server", changed=True)
    if answer.code in TEMPORARY_ERRORS or answer.code >= 500:
        raise _RetryableError(reason, delay=_retry_after(answer.headers.get("Retry-After")))
    raise _DownloadFailedError(reason)


def _retry_after(value: str | None) -> float:
    """Seconds to wait, from a number of seconds or a date (RFC 9110, 10.2.3)."""
    if re.fullmatch(r"\s*\d+\s*", value or "", re.ASCII):
        return float(value)
    with contextlib.suppress(ValueError, TypeError, IndexError, OverflowError, OSError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return 0.0


def _connection_error(reason: object) -> Exception:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return _DownloadFailedError(f"its certificate is not valid ({reason.verify_message})")
    if isinstance(reason, TimeoutError):
        return _RetryableError("the server does not answer")
    if isinstance(reason, socket.gaierror):
        return _RetryableError("its server is not known", unreachable=True)
    if isinstance(reason, http.client.RemoteDisconnected | ConnectionResetError):
        return _RetryableError("the connection was cut")
    if isinstance(reason, http.client.HTTPException):
        return _DownloadFailedError("the server does not speak http")
    phrase = format_os_error(reason) if isinstance(reason, OSError) else str(reason)
    return _RetryableError(f"its server cannot be reached ({phrase})", unreachable=True)


def _check_response(response: http.client.HTTPResponse, part: _PartFile, begin: int) -> tuple[int, int | None]:
    """The offset of the response's first byte, and the length of the whole file; saves the server's answer."""
    before, headers = part.remote, response.headers
    tag, date, name = headers.get("ETag"), headers.get("Last-Modified"), _file_name(response, part.url_name)
    now = _RemoteFile(tag, date, response.length, name, before.published)
    if response.status == 200:
        part.save(now)
        return 0, now.length
    if response.status != 206:
        raise _DownloadFailedError(f"the server answers {response.status} ({printable(response.reason)})")
    given = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", headers.get("Content-Range", "").strip())
    total = int(given[2]) if given and given[2] != "*" else None
    if (
        not given
        or int(given[1]) != begin
        or (now.validator and now.validator != before.validator)
        or (None not in (total, before.length) and total != before.length)
    ):
        raise _RetryableError("the file changed on the server", changed=True)
    return begin, total if total is not None else before.length


def _pieces(response: http.client.HTTPResponse, watch: Watch, timeout: float) -> Iterator[bytes]:
    """The body as it arrives, and one byte more if the server sends more than it announces."""
    announced, got = response.length, 0
    if announced is not None:
        # Else Python stops at the announced length.
        response.length = announced + 1
    while True:
        reason, piece = f"the connection was cut after {got:,} bytes", None
        try:
            piece = response.read1(CHUNK)
        except TimeoutError:
            reason = f"nothing arrived for {timeout:g} s"
        except (http.client.HTTPException, OSError, ValueError):
            pass
        # The file may be complete, and the server leaves the connection open although it was asked to close it.
        if got == announced and not piece:
            return
        if watch.is_late:
            raise _RetryableError(f"only {got:,} bytes arrived, fewer than 1000 per second for {timeout:g} s")
        if piece is None:
            raise _RetryableError(reason)
        if not piece:
            return
        got += len(piece)
        watch.arrived(len(piece))
        yield piece


def _publish(part: _PartFile, checksum: Checksum | None) -> Path:
    """Renames a complete part if its checksum and kind are right; else removes it."""
    try:
        if checksum and (found := Checksum.of(part.path)) != checksum:
            raise _DownloadFailedError(
                f"its SHA-256 is {found.digits}, not {checksum.digits}; it is damaged or another file"
            )
        name = _checked_name(part.path, part.remote.name)
    except _DownloadFailedError:
        part.discard()
        raise
    target = part.folder / name
    if target.exists() and name != part.remote.published:
        # The file of another URL, or the user's.
        stem = archive_stem(target) or target.stem
        target = part.folder / f"{stem}-{part.url_hash}{name[len(stem) :]}"
    part.save(_RemoteFile(length=part.size, published=target.name))
    os.replace(part.path, target)
    return target


def _checked_name(path: Path, name: str) -> str:
    """The name, with an archive's suffix for an archive; raises an error if the contents contradict the name."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    suffix, has_suffix, ends = archive_suffix(head), archive_stem(Path(name)) is not None, name.lower().endswith
    if suffix is None:
        kind = describe_other_file(head)
        if (has_suffix and (kind != UNKNOWN or not ends(".zip"))) or not head:
            raise _DownloadFailedError(f"the server's file {printable(name)} is {kind}")
        if WEB_PAGE.match(head) and not ends((".html", ".htm", ".xml", ".svg")):
            raise _DownloadFailedError(f"the server's file {printable(name)} is a web page")
    if suffix == ".zip" or (suffix is None and ends(".zip")):
        try:
            ZipReader(path)
        except DamagedArchiveError as error:
            raise _DownloadFailedError(f"the server's file {printable(name)} is damaged: {error}") from None
    needs_suffix = suffix and not has_suffix and not ends(OTHER_SUFFIXES)
    return safe_file_name(name + suffix) if needs_suffix else name


def _file_name(response: http.client.HTTPResponse, url_name: str) -> str:
    """The file's name by the server, else by its last or its first URL."""
    offered = response.headers.get_filename() or ""
    with contextlib.suppress(UnicodeError):
        offered = offered.encode("latin-1").decode("utf-8")
    candidates = (_base_name(offered), _last_component(response.url), url_name)
    names = [safe_file_name(name) for name in candidates if name] or ["download"]
    return next((name for name in names if archive_stem(Path(name))), names[0])


def url_file_name(url: str) -> str:
    """The file name at the end of a URL's path, which may be empty; InputError if it is no URL of http or https.

    Example:
        >>> url_file_name("https://example.org/my%20pets.zip?token=secret")
        'my pets.zip'
    """
    return _last_component(_request_url(url))


def _last_component(url: str) -> str:
    return _base_name(urllib.parse.unquote(urllib.parse.urlsplit(url).path.rstrip("/").rpartition("/")[2]))


def _base_name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2].strip(" .")


def _request_url(url: str) -> str:
    """The URL, encoded for HTTP."""
    try:
        parts = urllib.parse.urlsplit(url.strip())
        host, port = parts.hostname, parts.port
        if host and not host.isascii():
            host = host.encode("idna").decode()
        # Bytes of the command line that are no UTF-8 stay what they are.
        quoted = {"safe": string.punctuation, "errors": "surrogateescape"}
        path, query = (urllib.parse.quote(part, **quoted) for part in (parts.path or "/", parts.query))
    except (ValueError, UnicodeError):
        raise InputError(f"'{shown_url(url)}' is no valid URL; give one like https://example.org/pets.zip.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise InputError(f"'{shown_url(url)}' cannot be downloaded; give a URL that begins with https:// or http://.")
    if parts.username or parts.password:
        raise InputError(f"{shown_url(url)} has a user name in it; give a URL that needs none.")
    host = f"[{host}]" if ":" in host else host
    location = host if port is None else f"{host}:{port}"
    return urllib.parse.urlunsplit((parts.scheme, location, path, query, ""))
