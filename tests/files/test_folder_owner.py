"""A folder has one owner, which is named; owners that are gone are recognized."""

import json
import os
import platform
import subprocess
import sys
import threading
import time

import pytest

from kerascnn import InputError
from kerascnn.files import folder_owner
from kerascnn.files.folder_owner import HOLDER, LOCK, FolderInUseError, owned, owned_when_free
from support.messages import mentioning

OWNER = """
import sys, time
from pathlib import Path
from kerascnn.files.folder_owner import owned
with owned(Path(sys.argv[1])):
    print("mine", flush=True)
    time.sleep(60)
"""


def test_another_process_is_named_until_it_is_killed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", OWNER, tmp_path], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "mine\n"
        with mentioning(FolderInUseError, tmp_path, str(other.pid), platform.node()), owned(tmp_path):
            pass
        other.kill()
    assert (tmp_path / HOLDER).exists()
    with owned(tmp_path):
        assert json.loads((tmp_path / HOLDER).read_text())["pid"] == os.getpid()
    assert not (tmp_path / HOLDER).exists()


def test_one_process_owns_a_folder_once(tmp_path):
    with owned(tmp_path), mentioning(FolderInUseError, str(os.getpid())), owned(tmp_path):
        pass


@pytest.mark.parametrize(
    ("holder", "age", "alive"),
    [
        ({"pid": 1, "machine": "elsewhere", "boot": "other"}, 0, True),
        ({"pid": 1, "machine": "elsewhere", "boot": "other"}, 3600, False),
        # Before this machine was started again; in another container on it; damaged.
        ({"pid": os.getpid(), "machine": platform.node(), "boot": "other"}, 0, False),
        ({"pid": 1, "machine": "container", "boot": folder_owner._boot() or "none"}, 3600, False),
        ([1], 0, False),
        ({}, 0, False),
    ],
)
def test_owners_whose_lock_is_not_seen(tmp_path, holder, age, alive):
    (tmp_path / HOLDER).write_text(json.dumps(holder))
    os.utime(tmp_path / HOLDER, (time.time() - age,) * 2)
    if alive:
        with mentioning(FolderInUseError, "process 1 on elsewhere"), owned(tmp_path):
            pass
    else:
        with owned(tmp_path):
            pass


def test_an_owner_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_owner, "BEAT", 0.01)
    with owned(tmp_path):
        os.utime(tmp_path / HOLDER, (0, 0))
        deadline = time.monotonic() + 10
        while (tmp_path / HOLDER).stat().st_mtime == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_waiting_for_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_owner, "POLL_SECONDS", 0.01)
    said, entered, leave = [], threading.Event(), threading.Event()

    def other():
        with owned(tmp_path):
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    assert entered.wait(10)

    def say(sentence):
        said.append(sentence)
        leave.set()

    with owned_when_free(tmp_path, say):
        assert (tmp_path / LOCK).exists()
    thread.join()
    assert len(said) == 1 and str(tmp_path) in said[0]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with mentioning(InputError, "cannot be written"), owned(tmp_path / "file" / "folder"):
        pass
