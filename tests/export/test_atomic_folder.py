"""An export replaces the previous one as a whole, whenever the program that writes it is killed."""

import os
import signal
import subprocess
import sys

import pytest

from kerascnn import InputError
from kerascnn.export import atomic_folder
from kerascnn.export.atomic_folder import publish, staging
from support.messages import mentioning

# Publishes one generation after the other, each with its number in two files.
PROGRAM = """
import runpy
import sys
from pathlib import Path
# The file alone: importing the package takes seconds.
module = runpy.run_path(sys.argv[2])
publish, staging = module["publish"], module["staging"]
folder = Path(sys.argv[1])
generation = 0
while True:
    with staging(folder) as staged:
        for name in ("first", "second"):
            (staged / name).write_text(str(generation))
        publish(staged, folder)
    if generation == 3:
        print("published", flush=True)
    generation += 1
"""


def generation(folder):
    """The number in both files of a folder."""
    # Held open, the folder stays the same one while it is read.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        numbers = set()
        for name in ("first", "second"):
            with open(os.open(name, os.O_RDONLY, dir_fd=descriptor)) as file:
                numbers.add(int(file.read()))
    finally:
        os.close(descriptor)
    [number] = numbers
    return number


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can exchange two folders")
def test_killed_in_the_middle(tmp_path):
    folder = tmp_path / "mine"
    seen = []
    for _ in range(3):
        arguments = [sys.executable, "-c", PROGRAM, str(folder), atomic_folder.__file__]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "published\n"
        for _ in range(500):
            # The folder is there at every moment.
            assert folder.is_dir()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        seen.append(generation(folder))
    assert min(seen) >= 3


def folder_with(path, text):
    path.mkdir()
    (path / "file").write_text(text)
    return path


@pytest.mark.parametrize("exchange", [True, False])
def test_nothing_else_is_left(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(atomic_folder, "_exchange", lambda first, second: False)
    folder = folder_with(tmp_path / "mine", "old")
    with staging(folder) as staged:
        (staged / "file").write_text("new")
        assert (folder / "file").read_text() == "old"
        publish(staged, folder)
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine"]
    assert (folder / "file").read_text() == "new"


def test_an_interruption_leaves_the_old_one(tmp_path):
    folder = folder_with(tmp_path / "mine", "old")
    with pytest.raises(KeyboardInterrupt), staging(folder) as staged:
        (staged / "file").write_text("half")
        raise KeyboardInterrupt
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine"]
    assert (folder / "file").read_text() == "old"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with mentioning(InputError, closed / "mine", "Permission denied"), staging(closed / "mine"):
        pass
