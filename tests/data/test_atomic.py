"""Files that are whole or not there."""

import os
import signal
import subprocess
import sys

import pytest

from kerascnn.data.atomic import replacing


def test_the_name_appears_with_the_last_byte(tmp_path):
    path = tmp_path / "folder" / "file"
    with replacing(path) as file:
        file.write(b"whole")
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_an_exception_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_killed_writer_leaves_no_file_of_that_name(tmp_path):
    program = (
        "import os, signal, sys; from pathlib import Path; from kerascnn.data.atomic import replacing\n"
        "with replacing(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, tmp_path / "file"], env={**os.environ})
    assert ended.returncode == -signal.SIGKILL
    assert not (tmp_path / "file").exists()


def test_others_may_read_what_they_may_read_elsewhere(tmp_path):
    with replacing(tmp_path / "file"):
        pass
    (tmp_path / "ordinary").touch()
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "ordinary").stat().st_mode
