"""Downloads from a real server on this machine that misbehaves in every way."""

import contextlib
import email.message
import errno
import hashlib
import http.server
import io
import json
import os
import re
import shutil
import socket
import tarfile
import threading
import time
import urllib.error
import zipfile
from collections import namedtuple
from dataclasses import replace
from email.utils import formatdate

import numpy as np
import pytest
from rich.console import Console

from kerascnn import InputError, console
from kerascnn.data import disk_room
from kerascnn.data import fetch as fetch_module
from kerascnn.data.fetch import Patience, fetch

QUICK = Patience(timeout=2, tries=3, first_wait=0.001, longest_wait=0.01)
# For servers that fall silent; on a busy machine others may seem to.
HASTY = replace(QUICK, timeout=0.2)
NOISE = np.random.default_rng(0).bytes(200_000)
PAGE = b"<!DOCTYPE html><html><title>Too many requests</title></html>"


def zipped(contents=NOISE):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("a/1.jpg", contents)
    return buffer.getvalue()


PETS = zipped()
OTHER = zipped(NOISE[::-1])


class Server(http.server.ThreadingHTTPServer):
    """Answers each request with the next of `answers`, and all further ones with the last of them."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.requests = [], []
        self.hold = threading.Event()

    def url(self, path="/pets.zip"):
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, request, client_address):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.requests.append(self)
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer(self)

    def log_message(self, *arguments):
        pass

    def begin(self, status, headers):
        self.send_response(status)
        for name, value in {"Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def cut(self):
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close_connection = True


def gives(contents, *, sent=None, length=None, etag='"1"', ranges=True, ending=None, **headers):
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


def says(status, **headers):
    """An answer without contents."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.begin(status, {"Content-Length": 0, **fields})


def hangs_up(handler):
    handler.close_connection = True


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.hold.set()
    server.shutdown()
    server.server_close()
    thread.join()


def ranges(server):
    return [request.headers.get("Range") for request in server.requests]


def parts(folder):
    return [path.stat().st_size for path in folder.glob("*.part")]


def get(server, folder, path="/pets.zip", **options):
    return fetch(server.url(path), folder, **{"patience": QUICK, **options})


def test_a_file_is_fetched_once(server, tmp_path):
    server.answers = [gives(PETS)]
    folder = tmp_path / "new" / "folder"
    file = get(server, folder, sha256=hashlib.sha256(PETS).hexdigest().upper())
    assert file == folder / "pets.zip" and file.read_bytes() == PETS
    assert parts(folder) == []
    assert get(server, folder) == file
    assert len(server.requests) == 1
    file.write_bytes(b"cut")
    assert get(server, folder).read_bytes() == PETS
    assert len(server.requests) == 2


@pytest.mark.parametrize("ending", [None, "reset", "stall"])
def test_what_is_cut_goes_on_where_it_ended(server, tmp_path, ending):
    server.answers = [gives(PETS, sent=50_000, ending=ending), gives(PETS, sent=70_000, ending=ending), gives(PETS)]
    assert get(server, tmp_path, patience=HASTY if ending == "stall" else QUICK).read_bytes() == PETS
    begins = ranges(server)
    assert begins[0] is None and len(begins) == 3
    if ending != "reset":
        # A reset may throw away what is under way.
        assert begins[1:] == ["bytes=50000-", "bytes=120000-"]


def test_a_date_is_enough_to_go_on(server, tmp_path):
    date = formatdate(0, usegmt=True)
    dated = {"etag": None, "Last_Modified": date}
    server.answers = [gives(PETS, sent=50_000, **dated), gives(PETS, **dated)]
    assert get(server, tmp_path).read_bytes() == PETS
    assert server.requests[1].headers["If-Range"] == date
    assert ranges(server) == [None, "bytes=50000-"]


@pytest.mark.parametrize("etag", [None, 'W/"1"'])
def test_without_a_way_to_see_changes_it_starts_anew(server, tmp_path, etag):
    server.answers = [gives(PETS, sent=50_000, etag=etag), gives(PETS, etag=etag)]
    assert get(server, tmp_path).read_bytes() == PETS
    assert ranges(server) == [None, None]


def test_a_second_call_goes_on(server, tmp_path):
    server.answers = [gives(PETS, sent=50_000), says(503)]
    with pytest.raises(InputError, match=r"the server answers 503 .Service Unavailable., and 3 tries in a row"):
        get(server, tmp_path)
    assert parts(tmp_path) == [50_000]
    assert not (tmp_path / "pets.zip").exists()
    server.answers = [gives(PETS)]
    assert get(server, tmp_path).read_bytes() == PETS
    assert ranges(server)[-1] == "bytes=50000-"


def test_a_part_that_was_complete_is_taken_up(server, tmp_path):
    server.answers = [gives(PETS, sent=len(PETS) - 1), says(404)]
    with pytest.raises(InputError):
        get(server, tmp_path)
    (part,) = tmp_path.glob("*.part")
    part.write_bytes(PETS)
    server.answers = [gives(PETS)]
    assert get(server, tmp_path).read_bytes() == PETS
    assert ranges(server)[-1] == f"bytes={len(PETS) - 1}-"


@pytest.mark.parametrize("etag", ['"2"', '"1"'])
def test_a_file_that_changes_between_tries(server, tmp_path, etag):
    other = zipped(NOISE[:40_000])
    # With a new tag the server sends all; with the old one, against the rules, 416 or a part of another length.
    server.answers = [gives(PETS, sent=50_000), gives(other, etag=etag)]
    assert get(server, tmp_path).read_bytes() == other


def test_servers_that_ignore_if_range_are_seen_through(server, tmp_path):
    def careless(handler):
        del handler.headers["If-Range"]
        gives(OTHER, etag='"2"')(handler)

    server.answers = [gives(PETS, sent=50_000), careless]
    assert get(server, tmp_path).read_bytes() == OTHER
    assert ranges(server) == [None, "bytes=50000-", None]


def test_servers_that_ignore_ranges(server, tmp_path):
    server.answers = [gives(PETS, sent=50_000, ranges=False), gives(PETS, ranges=False)]
    assert get(server, tmp_path).read_bytes() == PETS


def test_a_range_that_was_not_asked_for(server, tmp_path):
    def shifted(handler):
        handler.begin(206, {"Content-Length": 10, "Content-Range": f"bytes 5-14/{len(PETS)}", "ETag": '"1"'})
        handler.wfile.write(PETS[5:15])

    server.answers = [gives(PETS, sent=50_000), shifted, gives(PETS)]
    assert get(server, tmp_path).read_bytes() == PETS


def test_a_length_that_is_too_long_never_looks_complete(server, tmp_path):
    server.answers = [gives(PETS, length=len(PETS) + 1000)]
    with pytest.raises(InputError, match=r"the connection was cut after .* of .* bytes|changed on the server"):
        get(server, tmp_path)
    assert not (tmp_path / "pets.zip").exists()


def test_a_length_that_is_too_short_never_looks_complete(server, tmp_path):
    server.answers = [gives(PETS, length=len(PETS) - 1000)]
    with pytest.raises(InputError, match="the server sends more than it announces"):
        get(server, tmp_path)
    assert not (tmp_path / "pets.zip").exists() and parts(tmp_path) == []


def test_without_a_length_the_archive_itself_tells(server, tmp_path):
    server.answers = [gives(PETS, length=0)]
    assert get(server, tmp_path).read_bytes() == PETS
    server.answers = [gives(PETS, length=0, sent=50_000)]
    with pytest.raises(InputError, match=r"gives as cut\.zip is damaged: its directory, at the end"):
        get(server, tmp_path, "/cut.zip")


@pytest.mark.parametrize("whole", [True, False])
def test_chunked(server, tmp_path, whole):
    def chunked(handler):
        handler.begin(200, {"Transfer-Encoding": "chunked"})
        for at in range(0, len(PETS), 60_000):
            piece = PETS[at : at + 60_000]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if whole:
            handler.wfile.write(b"0\r\n\r\n")

    server.answers = [chunked]
    if whole:
        assert get(server, tmp_path).read_bytes() == PETS
    else:
        with pytest.raises(InputError, match=r"the connection was cut after 200,\d\d\d bytes, and 3 tries in a row"):
            get(server, tmp_path)


def test_a_server_that_keeps_the_connection(server, tmp_path):
    server.answers = [gives(PETS, ending="stall")]
    assert get(server, tmp_path, patience=HASTY).read_bytes() == PETS
    assert len(server.requests) == 1


def test_a_trickle_is_no_progress(server, tmp_path):
    def trickles(handler):
        handler.begin(200, {"Content-Length": len(PETS)})
        for at in range(100):
            handler.wfile.write(PETS[at : at + 1])
            handler.wfile.flush()
            if handler.server.hold.wait(0.05):
                return

    server.answers = [trickles]
    begun = time.monotonic()
    with pytest.raises(InputError, match=r"only \d bytes arrived in 0.2 s"):
        get(server, tmp_path, patience=HASTY)
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    "answer", [says(503), says(500), says(429), says(408), hangs_up], ids=["503", "500", "429", "408", "hangs up"]
)
def test_what_passes_is_tried_again(server, tmp_path, answer):
    server.answers = [answer, answer, gives(PETS)]
    assert get(server, tmp_path).read_bytes() == PETS


def test_waits_grow_and_obey_the_server(server, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(fetch_module.time, "sleep", waits.append)
    soon = formatdate(time.time() + 40, usegmt=True)
    server.answers = [*[says(503)] * 4, says(429, Retry_After="7"), says(503, Retry_After=soon), gives(PETS)]
    get(server, tmp_path, patience=Patience(timeout=5, tries=9, first_wait=1, longest_wait=50))
    assert waits[:4] == [1, 2, 4, 8] and waits[4] == 16 and 32 <= waits[5] <= 40
    server.answers = [says(429, Retry_After="3600")]
    with pytest.raises(InputError, match="asks to wait 3600 s; start again then"):
        get(server, tmp_path, "/later.zip", patience=Patience(longest_wait=50))


@pytest.mark.parametrize("status", [401, 403, 404, 410, 304, 204])
def test_what_does_not_pass_is_told_at_once(server, tmp_path, status):
    server.answers = [says(status)]
    with pytest.raises(InputError, match=rf"pets\.zip cannot be fetched: the server answers {status}"):
        get(server, tmp_path)
    assert len(server.requests) == 1


def test_progress_counts_more_than_failures(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch_module, "PROGRESS", 10_000)
    server.answers = [*[gives(PETS, sent=20_000)] * 9, gives(PETS)]
    assert get(server, tmp_path).read_bytes() == PETS


def test_redirects(server, tmp_path):
    nearby = "/a b/ü".encode().decode("latin-1")
    server.answers = [says(302, Location=nearby), says(307, Location=server.url("/c")), gives(PETS)]
    assert get(server, tmp_path).name == "pets.zip"
    assert [request.path for request in server.requests] == ["/pets.zip", "/a%20b/%C3%BC", "/c"]


def test_redirects_in_a_circle(server, tmp_path):
    server.answers = [says(302, Location="/pets.zip")]
    with pytest.raises(InputError, match="it is redirected in a circle, or more than 10 times"):
        get(server, tmp_path)
    assert len(server.requests) == 11


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/pets.zip", "http://[::1/"])
def test_redirects_to_elsewhere(server, tmp_path, location):
    server.answers = [says(302, Location=location)]
    with pytest.raises(InputError, match=r"it is redirected to .*, which is no web address"):
        get(server, tmp_path)


def test_redirects_from_https_to_http():
    headers = email.message.Message()
    headers["Location"] = "http://example.org/pets.zip?secret=1"
    answer = urllib.error.HTTPError("https://example.org", 302, "Found", headers, None)
    with pytest.raises(fetch_module._RefusedError, match=r"from https to http://example.org/pets.zip\?…"):
        fetch_module._redirected("https://example.org", answer)


@pytest.mark.parametrize("path", ["/pets.zip", "/pets.tar.gz", "/download?id=3"])
def test_an_error_page_instead_of_an_archive(server, tmp_path, path):
    server.answers = [gives(PAGE, Content_Type="application/zip"), gives(PETS)]
    with pytest.raises(InputError, match=r"what the server gives as (pets|download)[a-z.]* is a web page"):
        get(server, tmp_path, path)
    assert parts(tmp_path) == []
    assert get(server, tmp_path, path).read_bytes() == PETS


def test_nothing_at_all(server, tmp_path):
    server.answers = [gives(b"")]
    with pytest.raises(InputError, match=r"gives as pets.zip is empty"):
        get(server, tmp_path)


def test_a_checksum_that_does_not_match(server, tmp_path):
    server.answers = [gives(PETS)]
    with pytest.raises(InputError, match=f"its SHA-256 is {hashlib.sha256(PETS).hexdigest()}, not {'0' * 64}"):
        get(server, tmp_path, sha256="0" * 64)
    assert not (tmp_path / "pets.zip").exists() and parts(tmp_path) == []
    with pytest.raises(InputError, match="'abc' is no SHA-256; give its 64 hexadecimal digits"):
        get(server, tmp_path, sha256="abc")


def test_a_new_checksum_asks_the_server_again(server, tmp_path):
    server.answers = [gives(PETS), gives(OTHER)]
    get(server, tmp_path)
    assert get(server, tmp_path, sha256=hashlib.sha256(OTHER).hexdigest()).read_bytes() == OTHER
    assert [path.name for path in tmp_path.glob("*.zip")] == ["pets.zip"]


@pytest.mark.parametrize(
    ("path", "disposition", "name"),
    [
        ("/a/pets.zip?token=1", None, "pets.zip"),
        ("/get?id=1", 'attachment; filename="cats & dogs.zip"', "cats & dogs.zip"),
        ("/get", "attachment; filename*=UTF-8''f%C3%BCr.zip", "für.zip"),
        ("/get", 'attachment; filename="../../up.zip"', "up.zip"),
        ("/get", 'attachment; filename="C:\\\\up\\\\evil.zip"', "evil.zip"),
        ("/get", 'attachment; filename=".."', "get.zip"),
        ("/x/%2e%2e%2fup.zip", None, "up.zip"),
        ("/pets", None, "pets.zip"),
        ("/pets.php", None, "pets.php.zip"),
        ("/pets.npz", None, "pets.npz"),
        ("/", None, "download.zip"),
        ("/" + "x" * 400 + ".zip", None, "x" * 251 + ".zip"),
    ],
)
def test_names(server, tmp_path, path, disposition, name):
    server.answers = [gives(PETS, **({"Content_Disposition": disposition} if disposition else {}))]
    file = get(server, tmp_path / "in", path)
    assert file == tmp_path / "in" / name
    assert [entry.name for entry in tmp_path.iterdir()] == ["in"]


def test_tars_get_their_suffix(server, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        packed.addfile(tarfile.TarInfo("1.jpg"))
    server.answers = [gives(buffer.getvalue())]
    assert get(server, tmp_path, "/get").name == "get.tar.gz"


def test_other_files_are_not_overwritten(server, tmp_path):
    (tmp_path / "pets.zip").write_bytes(b"mine")
    server.answers = [gives(PETS)]
    first, second = get(server, tmp_path), get(server, tmp_path, "/other/pets.zip")
    assert (tmp_path / "pets.zip").read_bytes() == b"mine"
    assert re.fullmatch(r"pets-[0-9a-f]{8}\.zip", first.name) and first.name != second.name
    assert get(server, tmp_path) == first


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://example.org/pets.zip", "give a URL that begins with https:// or http://"),
        ("pets.zip", "give a URL that begins with"),
        ("http://", "give a URL that begins with"),
        ("http://[::1/pets.zip", "is no valid URL"),
        ("http://127.0.0.1:99999/pets.zip", "is no valid URL"),
        ("http://me:secret@127.0.0.1/pets.zip", r"^http://127.0.0.1/pets.zip has a user name in it"),
    ],
)
def test_urls_that_are_none(tmp_path, url, sentence):
    with pytest.raises(InputError, match=sentence):
        fetch(url, tmp_path)


def test_servers_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=r"cannot be reached .Connection refused.; check the address"):
            fetch(f"http://127.0.0.1:{port}/pets.zip?secret=1", tmp_path)

    def unknown(*arguments, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(InputError, match="its server is not known; check the address and the network"):
        fetch("http://nowhere.invalid/pets.zip", tmp_path)


def test_a_server_that_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(InputError, match="the server does not answer"),
    ):
        fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/pets.zip", tmp_path, patience=HASTY)


def test_progress_is_shown(server, tmp_path):
    seen = []

    @contextlib.contextmanager
    def track(description, total, done):
        seen.append([description, total, done])
        yield seen[-1].append

    server.answers = [gives(PETS, sent=50_000), gives(PETS)]
    get(server, tmp_path, track=track)
    (*first, one), (*second, other) = ([*row[:3], sum(row[3:])] for row in seen)
    assert first == ["Fetching pets.zip", len(PETS), 0] and one == 50_000
    assert second == ["Fetching pets.zip", len(PETS), 50_000] and other == len(PETS) - 50_000


def test_the_console_shows_bytes_on_a_terminal_only(server, tmp_path, monkeypatch):
    server.answers = [gives(PETS)]
    for terminal in (True, False):
        screen = io.StringIO()
        shown = Console(file=screen, force_terminal=terminal, width=100)
        monkeypatch.setattr(console, "messages", lambda shown=shown: shown)
        get(server, tmp_path / f"{terminal}", track=console.track_bytes)
        assert ("Fetching pets.zip" in screen.getvalue()) is terminal


def test_ctrl_c_keeps_the_part(server, tmp_path):
    @contextlib.contextmanager
    def track(description, total, done):
        def tick(size):
            raise KeyboardInterrupt

        yield tick

    server.answers = [gives(PETS)]
    with pytest.raises(KeyboardInterrupt):
        get(server, tmp_path, track=track)
    (kept,) = parts(tmp_path)
    assert kept > 0
    assert get(server, tmp_path).read_bytes() == PETS
    assert ranges(server) == [None, f"bytes={min(kept, len(PETS) - 1)}-"]


def test_a_full_disk(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    server.answers = [gives(PETS)]
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda folder: usage(1 << 30, 0, disk_room.RESERVE + 1000))
        with pytest.raises(InputError, match=r"200,\d\d\d bytes or more are still to come, and .* has room for"):
            get(server, tmp_path)

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="the disk is full; what has arrived is kept"):
        get(server, tmp_path)


def test_folders_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be fetched into .*: (File exists|Not a directory)"):
        get(server, tmp_path / "file")


def test_damaged_notes_start_anew(server, tmp_path):
    server.answers = [gives(PETS, sent=50_000), says(404)]
    with pytest.raises(InputError):
        get(server, tmp_path)
    (notes,) = tmp_path.glob("*.json")
    assert json.loads(notes.read_text())["length"] == len(PETS)
    for damage in ("", "{", "[1]", '{"colour": 1}', '"text"'):
        notes.write_text(damage)
        server.answers = [gives(PETS)]
        assert get(server, tmp_path).read_bytes() == PETS
        (tmp_path / "pets.zip").unlink()
    assert ranges(server)[2:] == [None] * 5


def test_two_at_once_do_not_mix(server, tmp_path):
    pytest.importorskip("fcntl")
    server.answers = [gives(PETS)]
    with fetch_module._Part(tmp_path, server.url()), pytest.raises(InputError, match="another process is fetching it"):
        get(server, tmp_path)
    assert get(server, tmp_path).read_bytes() == PETS
