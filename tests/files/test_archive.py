"""Archives of every kind, and where they are unpacked."""

import contextlib
import errno
import io
import shutil
import tarfile
import zipfile
from collections import namedtuple

import pytest

from kerascnn import InputError
from kerascnn.files import disk_space
from kerascnn.files.archives import archive as archive_module
from kerascnn.files.archives.archive import unpack
from support.archives import FILES, PACKERS, found, packed, tarred, zipped
from support.messages import mentioning


@pytest.mark.parametrize("suffix", [".zip", *PACKERS])
def test_unpacked_files_equal_the_packed_ones(tmp_path, suffix):
    assert unpack(packed(tmp_path, suffix, FILES), tmp_path / "out") == []
    assert found(tmp_path / "out") == FILES


@pytest.mark.parametrize("suffix", [".zip", *PACKERS])
def test_the_name_does_not_matter(tmp_path, suffix):
    file = packed(tmp_path, suffix, FILES).rename(tmp_path / "download")
    unpack(file, tmp_path / "out")
    assert found(tmp_path / "out") == FILES


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_zip_compressions(tmp_path, method):
    (tmp_path / "set.zip").write_bytes(zipped(FILES.items(), method))
    unpack(tmp_path / "set.zip", tmp_path / "out")
    assert found(tmp_path / "out") == FILES


def test_zips_of_unknown_compression_are_an_error(tmp_path):
    (tmp_path / "set.zip").write_bytes(zipped(FILES.items(), zipfile.ZIP_LZMA))
    with mentioning(InputError, "set.zip", "4 files", "cat/1.jpg", "method 14"):
        unpack(tmp_path / "set.zip", tmp_path / "out")


def test_zip_streamed_without_sizes_in_its_headers(tmp_path):
    class Pipe(io.RawIOBase):
        """Cannot seek, so that zipfile writes the sizes after the contents, in zip64 form."""

        def __init__(self):
            self.written = io.BytesIO()

        def writable(self):
            return True

        def write(self, data):
            return self.written.write(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as streamed:
        for name, contents in FILES.items():
            with streamed.open(name, "w", force_zip64=True) as entry:
                entry.write(contents)
    (tmp_path / "set.zip").write_bytes(b"#!/bin/sh\n" + pipe.written.getvalue())
    unpack(tmp_path / "set.zip", tmp_path / "out")
    assert found(tmp_path / "out") == FILES


def test_zip64_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    contents = zipped(FILES.items())
    assert b"PK\6\6" in contents
    (tmp_path / "set.zip").write_bytes(contents)
    unpack(tmp_path / "set.zip", tmp_path / "out")
    assert found(tmp_path / "out") == FILES


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_in_every_form_of_tar(tmp_path, form):
    name = "/".join(["folder" * 6] * (3 if form == tarfile.USTAR_FORMAT else 12)) + "/1.jpg"
    (tmp_path / "set.tar").write_bytes(tarred([(name, b"long"), ("1.jpg", b"short")], form))
    unpack(tmp_path / "set.tar", tmp_path / "out")
    assert found(tmp_path / "out") == {name: b"long", "1.jpg": b"short"}


def test_archives_of_several_streams(tmp_path):
    whole = tarred(FILES.items())
    for suffix, pack in PACKERS.items():
        if suffix != ".tar":
            (tmp_path / "set").write_bytes(pack(whole[:70_000]) + pack(whole[70_000:]))
            unpack(tmp_path / "set", tmp_path / suffix)
            assert found(tmp_path / suffix) == FILES


def test_files_get_default_permissions(tmp_path):
    header = tarfile.TarInfo("a/1.jpg")
    header.mode = 0o6777
    unpack(packed(tmp_path, ".tar", [(header, b"1")]), tmp_path / "out")
    (tmp_path / "new").touch()
    assert (tmp_path / "out" / "a" / "1.jpg").stat().st_mode == (tmp_path / "new").stat().st_mode


def test_missing_archives_and_folders_that_are_not_empty(tmp_path):
    with mentioning(InputError, "missing.zip", "No such file"):
        unpack(tmp_path / "missing.zip", tmp_path / "out")
    file = packed(tmp_path, ".zip", FILES)
    with mentioning(InputError, tmp_path, "not empty"):
        unpack(file, tmp_path)
    assert file.exists()


def test_disk_space(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    file = packed(tmp_path, ".zip", FILES)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(1 << 30, 0, disk_space.RESERVE + 1000))
    with mentioning(InputError, "set.zip", "333,000", "67,109,864"):
        unpack(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("ending", "error"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), (InputError, "disk is full")),
        (KeyboardInterrupt(), (KeyboardInterrupt, "")),
    ],
)
def test_interruptions_leave_nothing(tmp_path, monkeypatch, ending, error):
    write = archive_module._write

    def ends(entry, paths):
        if entry.name == "readme.txt":
            raise ending
        return write(entry, paths)

    monkeypatch.setattr(archive_module, "_write", ends)
    with mentioning(*error):
        unpack(packed(tmp_path, ".zip", FILES), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", [".zip", *PACKERS])
def test_progress_is_shown(suffix, tmp_path):
    file = packed(tmp_path, suffix, FILES)
    seen, ended = [], []

    @contextlib.contextmanager
    def track(description, total, done):
        seen.extend([description, total, done])
        yield ended.append
        seen.append("ended")

    unpack(file, tmp_path / "to", track=track)
    size = sum(map(len, FILES.values()))
    total = {".zip": size, ".tar": file.stat().st_size}.get(suffix)
    assert seen == [f"Unpacking set{suffix}", total, 0, "ended"]
    assert sum(ended) == size if suffix == ".zip" else sum(ended) > size


def test_the_progress_bar_ends_before_an_error_is_raised(tmp_path):
    shown = []

    @contextlib.contextmanager
    def track(description, total, done):
        shown.append(True)
        try:
            yield lambda size: None
        finally:
            shown.clear()

    file = packed(tmp_path, ".tar", FILES)
    file.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(InputError):
        unpack(file, tmp_path / "to", track=track)
    assert not shown
