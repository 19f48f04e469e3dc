"""What a killed program leaves is removed by the next one, and what a living one uses is not."""

import os
import signal
import subprocess
import sys

import pytest

from kerascnn import InputError
from kerascnn.export.atomic_folder import publish, staging
from kerascnn.files import temporary
from kerascnn.files.atomic import atomic_text
from kerascnn.files.temporary import SUFFIX, TemporaryFolder, remove_abandoned
from support.messages import mentioning

OWNER = """
import sys, time
from pathlib import Path
from kerascnn.files.atomic import atomic_write
from kerascnn.files.temporary import TemporaryFolder
folder = Path(sys.argv[1])
with TemporaryFolder(folder, ".pets-") as name, atomic_write(folder / "history.csv") as file:
    Path(name, "model.tflite").write_bytes(bytes(1000))
    print(name, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def owner(tmp_path):
    """A process that writes a folder and a file."""
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().strip().endswith(SUFFIX)
        yield process
        process.kill()


@pytest.fixture(autouse=True)
def no_grace(monkeypatch):
    monkeypatch.setattr(temporary, "GRACE", -1.0)


def test_the_next_run_removes_what_a_killed_one_left(tmp_path, owner):
    (tmp_path / "mine").mkdir()
    (tmp_path / ".pets-abcd1234").mkdir()
    # Its owner lives.
    with staging(tmp_path / "pets"):
        atomic_text(tmp_path / "history.csv", "")
        assert len([*tmp_path.glob(f".pets-*{SUFFIX}")]) == 2 and len([*tmp_path.glob(".history.csv.*.partial")]) == 1
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    with staging(tmp_path / "pets") as staged:
        publish(staged, tmp_path / "pets")
    atomic_text(tmp_path / "history.csv", "1")
    assert sorted(os.listdir(tmp_path)) == [".pets-abcd1234", "history.csv", "mine", "pets"]


def test_links_and_what_is_new_stay(tmp_path, monkeypatch):
    (tmp_path / "precious").mkdir()
    (tmp_path / f"link{SUFFIX}").symlink_to("precious")
    (tmp_path / f"file{SUFFIX}").touch()
    monkeypatch.setattr(temporary, "GRACE", 60.0)
    remove_abandoned(tmp_path, f"*{SUFFIX}")
    assert len(os.listdir(tmp_path)) == 3
    monkeypatch.setattr(temporary, "GRACE", -1.0)
    remove_abandoned(tmp_path, f"*{SUFFIX}")
    assert sorted(os.listdir(tmp_path)) == [f"link{SUFFIX}", "precious"]


def test_folders_of_other_machines_stay_for_a_day(tmp_path):
    theirs = tmp_path / f".pets-abcd1234.elsewhere{SUFFIX}"
    theirs.mkdir()
    remove_abandoned(tmp_path, f"*{SUFFIX}")
    assert theirs.exists()
    os.utime(theirs, (0, 0))
    remove_abandoned(tmp_path, f"*{SUFFIX}")
    assert not theirs.exists()


def test_a_temporary_folder_may_be_renamed(tmp_path):
    with TemporaryFolder(tmp_path, ".é" * 200) as name:
        os.rename(name, tmp_path / "kept")
    assert os.listdir(tmp_path) == ["kept"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("x: No space left on device")])
def test_a_full_disk_during_an_export_is_one_sentence(tmp_path, error):
    with mentioning(InputError, tmp_path / "mine", "full"), staging(tmp_path / "mine"):
        raise error
    assert os.listdir(tmp_path) == []
    with pytest.raises(RuntimeError, match="another"), staging(tmp_path / "mine"):
        raise RuntimeError("another")
