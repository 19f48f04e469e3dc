"""Files that are fetched once, from a server on this machine, and stay the published ones."""

import hashlib
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.files import cached_download as cached_download_module
from kerascnn.files.cached_download import cached_download
from kerascnn.files.checksums import Checksum
from kerascnn.files.download import RetryPolicy
from support.messages import mentioning

CONTENTS = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENTS).hexdigest()
MD5 = hashlib.md5(CONTENTS).hexdigest()
BEGINNING = Checksum("sha256", SHA256[:8])
NAME = "net-0a1b2c3d.pth"
QUICK = RetryPolicy(timeout=5, max_attempts=2, initial_delay=0.001, max_delay=0.01)

# Prints a line when it begins, so that a test can wait for it.
PROGRAM = """
import sys
from pathlib import Path
from kerascnn.files.checksums import Checksum
from kerascnn.files.cached_download import cached_download
print("begun", flush=True)
print(cached_download(sys.argv[1], Path(sys.argv[2]), Checksum("sha256", sys.argv[3])).stat().st_size)
"""


@pytest.fixture
def server(file_server):
    file_server.files[NAME] = CONTENTS
    return file_server


@pytest.fixture
def path(tmp_path):
    return tmp_path / "models" / NAME


def get(server, path, checksum=BEGINNING):
    return cached_download(server.url(NAME), path, checksum, retry=QUICK)


def count_hashing(monkeypatch):
    hashed = []
    of = Checksum.of.__func__
    monkeypatch.setattr(
        Checksum, "of", classmethod(lambda cls, path, *rest: hashed.append(path.name) or of(cls, path, *rest))
    )
    return hashed


@pytest.mark.parametrize(
    "checksum", [Checksum("sha256", SHA256[:8]), Checksum("sha256", SHA256), Checksum("md5", MD5), None]
)
def test_a_file_is_downloaded_once(checksum, server, path):
    for _ in range(2):
        assert get(server, path, checksum) == path
        assert path.read_bytes() == CONTENTS
    assert server.asked == [NAME]
    assert [name for name in os.listdir(path.parent) if not name.startswith(".")] == [NAME]


def test_its_checksum_is_computed_once(server, path, monkeypatch):
    hashed = count_hashing(monkeypatch)
    for _ in range(3):
        get(server, path)
    assert hashed == [NAME]
    # Another date: it may be another file.
    os.utime(path, (0, 0))
    for _ in range(2):
        get(server, path)
    assert hashed == [NAME, NAME] and server.asked == [NAME]


@pytest.mark.parametrize("checksum", [Checksum("md5", MD5), None])
@pytest.mark.parametrize("damage", [b"cut", CONTENTS[:-1] + b"?"], ids=["cut", "one byte"])
def test_damaged_files_are_downloaded_again(damage, checksum, server, path):
    get(server, path, checksum)
    path.write_bytes(damage)
    os.utime(path, (0, 0))
    get(server, path, checksum)
    assert path.read_bytes() == CONTENTS
    assert server.asked == [NAME, NAME]


def test_a_file_put_there_by_hand_is_used_if_its_checksum_matches(server, path):
    path.parent.mkdir()
    path.write_bytes(CONTENTS)
    get(server, path)
    assert server.asked == []
    path.write_bytes(b"another file")
    get(server, path)
    assert server.asked == [NAME] and path.read_bytes() == CONTENTS


def test_a_read_only_folder_works(server, path, monkeypatch):
    path.parent.mkdir()
    path.write_bytes(CONTENTS)

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cached_download_module, "atomic_write", refuse)
    assert get(server, path) == path and server.asked == []


def test_another_file_is_not_stored(server, path):
    server.files[NAME] = CONTENTS[::-1]
    with mentioning(InputError, NAME, hashlib.md5(CONTENTS[::-1]).hexdigest(), MD5):
        get(server, path, Checksum("md5", MD5))
    assert not path.exists()
    server.files[NAME] = CONTENTS
    assert get(server, path).read_bytes() == CONTENTS


def test_an_interrupted_download_resumes(server, path):
    server.slowly = True
    with mentioning(InputError, server.url(NAME), "0.2 s"):
        cached_download(server.url(NAME), path, Checksum("md5", MD5), retry=RetryPolicy(timeout=0.2, max_attempts=1))
    assert not path.exists()
    server.slowly = False
    get(server, path)
    assert server.asked == [NAME, (NAME, "bytes=150000-")] and path.read_bytes() == CONTENTS


def test_without_a_network(server, path):
    url = server.url(NAME)
    server.shutdown()
    server.server_close()
    with mentioning(InputError, url, "server", f"as {NAME}", path.parent) as caught:
        cached_download(url, path, Checksum("md5", MD5), retry=QUICK)
    assert "\n" not in str(caught.value)
    path.write_bytes(CONTENTS)
    assert cached_download(url, path, Checksum("md5", MD5)) == path


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "models").write_text("a file")
    with mentioning(InputError, tmp_path / "models", "stored"):
        get(server, tmp_path / "models" / NAME)


def program(server, path):
    arguments = [sys.executable, "-c", PROGRAM, server.url(NAME), str(path), SHA256]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    return process


def wait_until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_only_one_of_two_processes_downloads(server, path):
    server.slowly = True
    first = program(server, path)
    wait_until(lambda: server.asked)
    second = program(server, path)
    # Both are at it, and the file is not there yet.
    time.sleep(0.2)
    assert second.poll() is None and not path.exists()
    server.go_on.set()
    assert [process.communicate(timeout=20)[0] for process in (first, second)] == ["300000\n"] * 2
    assert server.asked == [NAME]


def test_a_process_that_is_killed_leaves_no_lock(server, path):
    server.slowly = True
    first = program(server, path)
    wait_until(lambda: server.asked)
    first.kill()
    first.communicate()
    server.slowly = False
    assert get(server, path).read_bytes() == CONTENTS
