"""Files that are whole or not there."""

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kerascnn.files.atomic import atomic_path, atomic_write
from kerascnn.files.disk_space import format_disk_error
from support.messages import names


def test_the_name_appears_when_the_file_is_complete(tmp_path):
    path = tmp_path / "folder" / "file"
    with atomic_write(path) as file:
        file.write(b"whole")
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_an_exception_keeps_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_killed_writer_leaves_no_file_of_that_name(tmp_path):
    program = (
        "import os, signal, sys; from pathlib import Path; from kerascnn.files.atomic import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, tmp_path / "file"], env={**os.environ})
    assert ended.returncode == -signal.SIGKILL
    assert not (tmp_path / "file").exists()


def test_files_get_default_permissions(tmp_path):
    with atomic_write(tmp_path / "file"):
        pass
    (tmp_path / "ordinary").touch()
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_a_file_that_is_written_by_name(tmp_path):
    target = tmp_path / "model.keras"
    for content in ("old", "new"):
        with atomic_path(target) as partial:
            assert partial.parent == tmp_path and partial.suffix == ".keras"
            partial.write_text(content)
        assert target.read_text() == content
    with pytest.raises(ValueError), atomic_path(target) as partial:
        partial.write_text("half")
        raise ValueError
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("write", [atomic_write, atomic_path])
def test_contents_reach_the_disk_before_the_name_and_the_name_before_the_end(write, tmp_path, monkeypatch):
    """In any other order, a power cut may leave the name with no contents, or the old contents after all."""
    steps = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor):
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "contents")
        fsync(descriptor)

    def named(source, target):
        steps.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", named)
    with write(tmp_path / "file") as file:
        file.write_bytes(b"whole") if isinstance(file, Path) else file.write(b"whole")
    assert steps == ["contents", "name", "folder"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk is full"),
        (OSError("Unable to write (errno = 28, error message = 'No space left on device')"), "disk is full"),
        (RuntimeError("runs/x/events.out; No space left on device"), "disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), None),
        (ValueError("other"), None),
    ],
    ids=["full", "quota", "HDF5", "TensorFlow", "read-only", "missing", "other"],
)
def test_disk_errors(error, message):
    if message is None:
        assert format_disk_error(error) is None
    else:
        names(format_disk_error(error), message)
