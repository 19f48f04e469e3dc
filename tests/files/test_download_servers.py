"""Servers that reject requests, delay, redirect or are not there."""

import contextlib
import email.message
import socket
import threading
import time
import urllib.error
from dataclasses import replace
from email.utils import formatdate

import pytest

from kerascnn import InputError
from kerascnn.files import download as download_module
from kerascnn.files.download import RetryPolicy, download
from support.archives import NOISE, zipped
from support.downloads import HASTY, PETS, QUICK, get, gives, hangs_up, says
from support.messages import mentioning


def test_a_server_that_keeps_the_connection_open(server, tmp_path):
    server.answers = [gives(PETS, ending="stall")]
    assert get(server, tmp_path, retry=HASTY).read_bytes() == PETS
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
    with pytest.raises(InputError, match=r"pets.zip .*\d bytes .*0.2 s"):
        get(server, tmp_path, retry=HASTY)
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    "answer", [says(503), says(500), says(429), says(408), hangs_up], ids=["503", "500", "429", "408", "hangs up"]
)
def test_temporary_errors_are_retried(server, tmp_path, answer):
    server.answers = [answer, answer, gives(PETS)]
    assert get(server, tmp_path).read_bytes() == PETS


def test_delays_grow_and_obey_the_server(server, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(download_module.time, "sleep", waits.append)
    soon = formatdate(time.time() + 40, usegmt=True)
    server.answers = [*[says(503)] * 4, says(429, Retry_After="7"), says(503, Retry_After=soon), gives(PETS)]
    get(server, tmp_path, retry=RetryPolicy(timeout=5, max_attempts=9, initial_delay=1, max_delay=50))
    assert waits[:4] == [1, 2, 4, 8] and waits[4] == 16 and 32 <= waits[5] <= 40
    server.answers = [says(429, Retry_After="3600")]
    with mentioning(InputError, "later.zip", "3600 s"):
        get(server, tmp_path, "later.zip", retry=RetryPolicy(max_delay=50))


@pytest.mark.parametrize("status", [401, 403, 404, 410, 304, 204])
def test_permanent_errors_are_not_retried(server, tmp_path, status):
    server.answers = [says(status)]
    with mentioning(InputError, "pets.zip", status):
        get(server, tmp_path)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("9" * 400, "longer than a week"),
        ("9" * 5000, "longer than a week"),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "longer than a week"),
        ("7200", "7200 s"),
    ],
)
def test_waits_that_no_one_waits(server, tmp_path, value, wait):
    server.answers = [says(503, Retry_After=value)]
    with mentioning(InputError, "pets.zip", "503", wait):
        get(server, tmp_path)


@pytest.mark.parametrize("value", ["-5", "soon", "1e400", "Fri, 31 Dec 99999999999 23:59:59 GMT", "", "٣"])
def test_waits_that_are_none(server, tmp_path, value):
    server.answers = [says(503, Retry_After=value.encode().decode("latin-1")), gives(PETS)]
    assert get(server, tmp_path).read_bytes() == PETS


@pytest.mark.parametrize("sent", [400_000, 20_000])
def test_a_link_that_is_cut_again_and_again(server, tmp_path, sent):
    contents = zipped([("a/1.jpg", NOISE * (1 + 20 * sent // len(NOISE)))])
    server.answers = [gives(contents, sent=sent)]
    assert get(server, tmp_path).read_bytes() == contents
    assert len(server.requests) > 3 * QUICK.max_attempts


def test_a_link_that_brings_next_to_nothing(server, tmp_path):
    server.answers = [gives(PETS, sent=100)]
    with mentioning(InputError, "pets.zip", "3 attempts in a row made no progress"):
        get(server, tmp_path)


HEADERS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEADERS + b"\r\n", b"0"),
        (HEADERS + b"\r\n5;", b"x"),
        (HEADERS + b"\r\n", b"1\r\nx\r\n"),
        (HEADERS + b"\r\n0\r\n", b"X: y\r\n"),
    ],
    ids=["status", "headers", "continue", "chunk size", "chunk extension", "chunks", "trailers"],
)
def test_a_trickle_anywhere_ends(server, tmp_path, start, drop):
    def trickles(handler):
        handler.wfile.write(start)
        while not handler.server.hold.wait(0.02):
            handler.wfile.write(drop)
            handler.wfile.flush()

    server.answers, begun = [trickles], time.monotonic()
    with mentioning(InputError, "pets.zip", "0.2 s"):
        get(server, tmp_path, retry=replace(HASTY, max_attempts=2))
    assert time.monotonic() - begun < 2


def test_a_server_whose_first_address_does_not_answer(server, tmp_path, monkeypatch):
    """As by IPv6 where only IPv4 has a way out; the next address is tried after the timeout of the first."""
    connect = socket.create_connection

    def second_address(address, timeout, *rest):
        time.sleep(2 * timeout)
        return connect(address, timeout, *rest)

    monkeypatch.setattr(socket, "create_connection", second_address)
    server.answers = [gives(PETS)]
    assert get(server, tmp_path, retry=HASTY).read_bytes() == PETS
    assert len(server.requests) == 1


def test_a_tls_handshake_that_trickles_ends(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    ended = threading.Event()

    def trickles():
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"\x16\x03\x03\x40\x00")
            while not ended.wait(0.02):
                connection.sendall(b"\x02")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=trickles)
        thread.start()
        with mentioning(InputError, "pets.zip"):
            url = f"https://127.0.0.1:{listening.getsockname()[1]}/pets.zip"
            download(url, tmp_path, retry=replace(HASTY, max_attempts=1))
        ended.set()
        thread.join()


def test_redirects(server, tmp_path):
    nearby = "/a b/ü".encode().decode("latin-1")
    server.answers = [says(302, Location=nearby), says(307, Location=server.url("c")), gives(PETS)]
    assert get(server, tmp_path).name == "pets.zip"
    assert [request.path for request in server.requests] == ["/pets.zip", "/a%20b/%C3%BC", "/c"]


def test_redirects_in_a_circle(server, tmp_path):
    server.answers = [says(302, Location="/pets.zip")]
    with mentioning(InputError, "pets.zip", "redirected", "10"):
        get(server, tmp_path)
    assert len(server.requests) == 11


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("file:///etc/passwd", "file:///etc/passwd"),
        ("ftp://me:secret@127.0.0.1/pets.zip", "ftp://127.0.0.1/pets.zip"),
        ("http://[::1/?token=secret", "http://[::1/?…"),
        ("http://me:secret@127.0.0.1/pets.zip", "http://127.0.0.1/pets.zip"),
    ],
)
def test_redirects_to_other_schemes(server, tmp_path, location, shown):
    server.answers = [says(302, Location=location)]
    with mentioning(InputError, "pets.zip", "redirected", shown) as caught:
        get(server, tmp_path)
    assert "secret" not in str(caught.value)


def test_redirects_from_https_to_http():
    headers = email.message.Message()
    headers["Location"] = "http://example.org/pets.zip?secret=1"
    answer = urllib.error.HTTPError("https://example.org", 302, "Found", headers, None)
    with mentioning(download_module._DownloadFailedError, "from https", "http://example.org/pets.zip?…"):
        download_module._redirect_target("https://example.org", answer)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("ftp://example.org/pets.zip", ("ftp://example.org/pets.zip", "https://", "http://")),
        ("pets.zip", ("pets.zip", "https://", "http://")),
        ("http://", ("https://",)),
        ("http://[::1/pets.zip", ("http://[::1/pets.zip", "valid URL")),
        ("http://127.0.0.1:99999/pets.zip", (":99999/pets.zip", "valid URL")),
        ("http://me:secret@127.0.0.1/pets.zip", ("http://127.0.0.1/pets.zip", "user name")),
        ("http://[::1/x?token=secret", ("http://[::1/x?…", "valid URL")),
        ("http://me:secret@[::1/x", ("valid URL",)),
        (f"http://{'a' * 70}.invalid/pets.zip?secret", ("aaaa.invalid/pets.zip?…", "valid address")),
        ("http://a..b/pets.zip#secret", ("http://a..b/pets.zip ", "valid address")),
        ("http://exa\0mple.org/", (r"http://exa\x00mple.org/", "cannot be downloaded")),
    ],
)
def test_invalid_urls(tmp_path, url, parts):
    with mentioning(InputError, *parts) as caught:
        download(url, tmp_path)
    assert "secret" not in str(caught.value)


def test_a_proxy_that_is_no_address(tmp_path, monkeypatch):
    for proxy in ("http:/me:SECRET@host", "http://127.0.0.1:SECRET"):
        monkeypatch.setenv("http_proxy", proxy)
        with mentioning(InputError, "http://example.org/x.zip", "proxy") as refusal:
            download("http://example.org/x.zip", tmp_path, retry=QUICK)
        assert "SECRET" not in str(refusal.value)


def test_unreachable_servers(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with mentioning(InputError, f"127.0.0.1:{port}/pets.zip", "Connection refused", "address"):
            download(f"http://127.0.0.1:{port}/pets.zip?secret=1", tmp_path)

    def unknown(*arguments, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with mentioning(InputError, "nowhere.invalid", "address", "network"):
        download("http://nowhere.invalid/pets.zip", tmp_path)


def test_a_silent_server(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as silent, mentioning(InputError, "pets.zip", "not answer"):
        download(f"http://127.0.0.1:{silent.getsockname()[1]}/pets.zip", tmp_path, retry=HASTY)
