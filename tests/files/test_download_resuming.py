"""Downloads that were cut, and files that a server has changed since."""

import contextlib
import json
from email.utils import formatdate

import pytest

from kerascnn import InputError
from kerascnn.files import download as download_module
from support.archives import NOISE, zipped
from support.downloads import HASTY, OTHER, PETS, QUICK, get, gives, parts, ranges, says
from support.messages import mentioning


@pytest.mark.parametrize("ending", [None, "reset", "stall"])
def test_interrupted_downloads_resume(server, tmp_path, ending):
    server.answers = [gives(PETS, sent=50_000, ending=ending), gives(PETS, sent=70_000, ending=ending), gives(PETS)]
    assert get(server, tmp_path, retry=HASTY if ending == "stall" else QUICK).read_bytes() == PETS
    begins = ranges(server)
    assert begins[0] is None and len(begins) == 3
    if ending != "reset":
        # A reset may throw away bytes that are under way.
        assert begins[1:] == ["bytes=50000-", "bytes=120000-"]


def test_a_date_is_enough_to_resume(server, tmp_path):
    date = formatdate(0, usegmt=True)
    dated = {"etag": None, "Last_Modified": date}
    server.answers = [gives(PETS, sent=50_000, **dated), gives(PETS, **dated)]
    assert get(server, tmp_path).read_bytes() == PETS
    assert server.requests[1].headers["If-Range"] == date
    assert ranges(server) == [None, "bytes=50000-"]


@pytest.mark.parametrize("etag", [None, 'W/"1"'])
def test_without_etag_and_date_a_download_starts_again(server, tmp_path, etag):
    server.answers = [gives(PETS, sent=50_000, etag=etag), gives(PETS, etag=etag)]
    assert get(server, tmp_path).read_bytes() == PETS
    assert ranges(server) == [None, None]


def test_a_second_call_resumes(server, tmp_path):
    server.answers = [gives(PETS, sent=50_000), says(503)]
    with mentioning(InputError, "pets.zip", "503", "3 attempts"):
        get(server, tmp_path)
    assert parts(tmp_path) == [50_000]
    assert not (tmp_path / "pets.zip").exists()
    server.answers = [gives(PETS)]
    assert get(server, tmp_path).read_bytes() == PETS
    assert ranges(server)[-1] == "bytes=50000-"


def test_a_complete_part_is_used(server, tmp_path):
    server.answers = [gives(PETS, sent=len(PETS) - 1), says(404)]
    with pytest.raises(InputError):
        get(server, tmp_path)
    (part,) = tmp_path.glob("*.part")
    part.write_bytes(PETS)
    server.answers = [gives(PETS)]
    assert get(server, tmp_path).read_bytes() == PETS
    assert ranges(server)[-1] == f"bytes={len(PETS) - 1}-"


@pytest.mark.parametrize("etag", ['"2"', '"1"'])
def test_a_file_that_changes_between_attempts(server, tmp_path, etag):
    other = zipped([("a/1.jpg", NOISE[:40_000])])
    # With a new tag the server sends all; with the old one, against the rules, 416 or a part of another length.
    server.answers = [gives(PETS, sent=50_000), gives(other, etag=etag)]
    assert get(server, tmp_path).read_bytes() == other


def test_servers_that_ignore_if_range(server, tmp_path):
    def careless(handler):
        del handler.headers["If-Range"]
        gives(OTHER, etag='"2"')(handler)

    server.answers = [gives(PETS, sent=50_000), careless]
    assert get(server, tmp_path).read_bytes() == OTHER
    assert ranges(server) == [None, "bytes=50000-", None]


def test_servers_that_ignore_ranges(server, tmp_path):
    server.answers = [gives(PETS, sent=50_000, ranges=False), gives(PETS, ranges=False)]
    assert get(server, tmp_path).read_bytes() == PETS


def test_a_wrong_range(server, tmp_path):
    def shifted(handler):
        handler.begin(206, {"Content-Length": 10, "Content-Range": f"bytes 5-14/{len(PETS)}", "ETag": '"1"'})
        handler.wfile.write(PETS[5:15])

    server.answers = [gives(PETS, sent=50_000), shifted, gives(PETS)]
    assert get(server, tmp_path).read_bytes() == PETS


def test_a_length_that_is_too_long_never_looks_complete(server, tmp_path):
    server.answers = [gives(PETS, length=len(PETS) + 1000)]
    with pytest.raises(InputError, match=r"pets.zip .*(cut after .* of .* bytes|changed)"):
        get(server, tmp_path)
    assert not (tmp_path / "pets.zip").exists()


def test_a_length_that_is_too_short_never_looks_complete(server, tmp_path):
    server.answers = [gives(PETS, length=len(PETS) - 1000)]
    with mentioning(InputError, "pets.zip", "more than"):
        get(server, tmp_path)
    assert not (tmp_path / "pets.zip").exists() and parts(tmp_path) == []


def test_without_a_length_the_archive_is_checked(server, tmp_path):
    server.answers = [gives(PETS, length=0)]
    assert get(server, tmp_path).read_bytes() == PETS
    server.answers = [gives(PETS, length=0, sent=50_000)]
    with mentioning(InputError, "cut.zip", "damaged", "directory"):
        get(server, tmp_path, "cut.zip")


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
        with pytest.raises(InputError, match=r"cut after 200,\d\d\d bytes.* 3 attempts"):
            get(server, tmp_path)


def test_ctrl_c_keeps_the_part(server, tmp_path):
    @contextlib.contextmanager
    def track(description, total, done):
        def tick(size):
            raise KeyboardInterrupt

        yield tick

    server.answers = [gives(PETS)]
    with pytest.raises(KeyboardInterrupt):
        get(server, tmp_path, track=track)
    (size,) = parts(tmp_path)
    assert size > 0
    assert get(server, tmp_path).read_bytes() == PETS
    assert ranges(server) == [None, f"bytes={min(size, len(PETS) - 1)}-"]


def test_a_damaged_state_file_starts_the_download_again(server, tmp_path):
    server.answers = [gives(PETS, sent=50_000), says(404)]
    with pytest.raises(InputError):
        get(server, tmp_path)
    (notes,) = tmp_path.glob("*.json")
    assert json.loads(notes.read_text())["length"] == len(PETS)
    for damage in ("", "{", "[1]", '{"color": 1}', '"text"'):
        notes.write_text(damage)
        server.answers = [gives(PETS)]
        assert get(server, tmp_path).read_bytes() == PETS
        (tmp_path / "pets.zip").unlink()
    assert ranges(server)[2:] == [None] * 5


def test_two_downloads_at_once_are_an_error(server, tmp_path):
    pytest.importorskip("fcntl")
    server.answers = [gives(PETS)]
    with download_module._open_part(tmp_path, server.url()), mentioning(InputError, "another process"):
        get(server, tmp_path)
    assert get(server, tmp_path).read_bytes() == PETS
