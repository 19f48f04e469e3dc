"""Downloads from a server on this machine: their contents and their names."""

import contextlib
import errno
import hashlib
import io
import os
import re
import shutil
import tarfile
from collections import namedtuple

import pytest
from rich.console import Console

from kerascnn import InputError, console
from kerascnn.files import disk_space
from support.downloads import OTHER, PETS, get, gives, parts
from support.messages import mentioning

PAGE = b"<!DOCTYPE html><html><title>Too many requests</title></html>"


def test_a_file_is_downloaded_once(server, tmp_path):
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


@pytest.mark.parametrize("path", ["pets.zip", "pets.tar.gz", "download?id=3"])
def test_an_error_page_instead_of_an_archive(server, tmp_path, path):
    server.answers = [gives(PAGE, Content_Type="application/zip"), gives(PETS)]
    with mentioning(InputError, path.partition("?")[0], "web page"):
        get(server, tmp_path, path)
    assert parts(tmp_path) == []
    assert get(server, tmp_path, path).read_bytes() == PETS


def test_an_empty_file(server, tmp_path):
    server.answers = [gives(b"")]
    with mentioning(InputError, "pets.zip", "empty"):
        get(server, tmp_path)


def test_a_checksum_that_does_not_match(server, tmp_path):
    server.answers = [gives(PETS)]
    with mentioning(InputError, "SHA-256", hashlib.sha256(PETS).hexdigest(), "0" * 64):
        get(server, tmp_path, sha256="0" * 64)
    assert not (tmp_path / "pets.zip").exists() and parts(tmp_path) == []
    with mentioning(InputError, "'abc'", "SHA-256", "64"):
        get(server, tmp_path, sha256="abc")


def test_another_checksum_downloads_again(server, tmp_path):
    server.answers = [gives(PETS), gives(OTHER)]
    get(server, tmp_path)
    assert get(server, tmp_path, sha256=hashlib.sha256(OTHER).hexdigest()).read_bytes() == OTHER
    assert [path.name for path in tmp_path.glob("*.zip")] == ["pets.zip"]


@pytest.mark.parametrize(
    ("path", "disposition", "name"),
    [
        ("a/pets.zip?token=1", None, "pets.zip"),
        ("get?id=1", 'attachment; filename="cats & dogs.zip"', "cats & dogs.zip"),
        ("get", "attachment; filename*=UTF-8''f%C3%BCr.zip", "für.zip"),
        ("get", 'attachment; filename="../../up.zip"', "up.zip"),
        ("get", 'attachment; filename="C:\\\\up\\\\evil.zip"', "evil.zip"),
        ("get", 'attachment; filename=".."', "get.zip"),
        ("x/%2e%2e%2fup.zip", None, "up.zip"),
        ("pets", None, "pets.zip"),
        ("pets.php", None, "pets.php.zip"),
        ("pets.npz", None, "pets.npz"),
        ("", None, "download.zip"),
        ("x" * 400 + ".zip", None, "x" * 251 + ".zip"),
    ],
)
def test_names(server, tmp_path, path, disposition, name):
    server.answers = [gives(PETS, **({"Content_Disposition": disposition} if disposition else {}))]
    file = get(server, tmp_path / "in", path)
    assert file == tmp_path / "in" / name
    assert [entry.name for entry in tmp_path.iterdir()] == ["in"]


def test_tar_files_get_their_suffix(server, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        packed.addfile(tarfile.TarInfo("1.jpg"))
    server.answers = [gives(buffer.getvalue())]
    assert get(server, tmp_path, "get").name == "get.tar.gz"


def test_other_files_are_not_overwritten(server, tmp_path):
    (tmp_path / "pets.zip").write_bytes(b"mine")
    server.answers = [gives(PETS)]
    first, second = get(server, tmp_path), get(server, tmp_path, "other/pets.zip")
    assert (tmp_path / "pets.zip").read_bytes() == b"mine"
    assert re.fullmatch(r"pets-[0-9a-f]{8}\.zip", first.name) and first.name != second.name
    assert get(server, tmp_path) == first


def test_progress_is_shown(server, tmp_path):
    seen = []

    @contextlib.contextmanager
    def track(description, total, done):
        seen.append([description, total, done])
        yield seen[-1].append

    server.answers = [gives(PETS, sent=50_000), gives(PETS)]
    get(server, tmp_path, track=track)
    (*first, one), (*second, other) = ([*row[:3], sum(row[3:])] for row in seen)
    assert first == ["Downloading pets.zip", len(PETS), 0] and one == 50_000
    assert second == ["Downloading pets.zip", len(PETS), 50_000] and other == len(PETS) - 50_000


def test_the_console_shows_bytes_on_a_terminal_only(server, tmp_path, monkeypatch):
    server.answers = [gives(PETS)]
    for terminal in (True, False):
        screen = io.StringIO()
        shown = Console(file=screen, force_terminal=terminal, width=100)
        monkeypatch.setattr(console, "messages", lambda shown=shown: shown)
        get(server, tmp_path / f"{terminal}", track=console.track_bytes)
        assert ("Downloading pets.zip" in screen.getvalue()) is terminal


def test_a_full_disk(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    server.answers = [gives(PETS)]
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda folder: usage(1 << 30, 0, disk_space.RESERVE + 1000))
        with pytest.raises(InputError, match=rf"pets.zip .*200,\d\d\d bytes .*{re.escape(str(tmp_path))}"):
            get(server, tmp_path)

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with mentioning(InputError, "pets.zip", "disk is full", "stays"):
        get(server, tmp_path)


def test_a_file_that_is_too_large_for_what_it_is_for(server, tmp_path, monkeypatch):
    server.answers = [gives(PETS)]
    with mentioning(InputError, "pets.zip", "more than"):
        get(server, tmp_path, most=len(PETS) - 1)
    assert get(server, tmp_path, most=len(PETS)).read_bytes() == PETS
    # Of a server that does not say how long it is.
    monkeypatch.setattr("kerascnn.files.download.CHECK_EVERY", 1 << 14)
    server.answers = [gives(PETS, length=0)]
    with mentioning(InputError, "pets.zip", "more than"):
        get(server, tmp_path / "other", most=100_000)


def test_folders_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=rf"{re.escape(str(tmp_path))}.*(File exists|Not a directory)"):
        get(server, tmp_path / "file")
