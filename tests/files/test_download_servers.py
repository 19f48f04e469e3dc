"""Servers that reject requests, delay, redirect or are not there."""

import email.message
import socket
import time
import urllib.error
from email.utils import formatdate

import pytest

from kerascnn import InputError
from kerascnn.files import download as download_module
from kerascnn.files.download import RetryPolicy, download
from support.downloads import HASTY, PETS, get, gives, hangs_up, says
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


def test_progress_counts_more_than_failures(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download_module, "MIN_PROGRESS", 10_000)
    server.answers = [*[gives(PETS, sent=20_000)] * 9, gives(PETS)]
    assert get(server, tmp_path).read_bytes() == PETS


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


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/pets.zip", "http://[::1/"])
def test_redirects_to_other_schemes(server, tmp_path, location):
    server.answers = [says(302, Location=location)]
    with mentioning(InputError, "pets.zip", "redirected", location):
        get(server, tmp_path)


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
    ],
)
def test_invalid_urls(tmp_path, url, parts):
    with mentioning(InputError, *parts) as caught:
        download(url, tmp_path)
    assert "secret" not in str(caught.value)


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
