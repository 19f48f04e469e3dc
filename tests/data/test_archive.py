"""Archives of every kind, honest, damaged and hostile."""

import bz2
import contextlib
import errno
import gzip
import io
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import zstandard

from kerascnn import InputError
from kerascnn.data import archive as archive_module
from kerascnn.data import disk_room, file_names
from kerascnn.data.archive import Limits, unpack

NOISE = np.random.default_rng(0).bytes(300_000)
FILES = {"cat/1.jpg": NOISE[:3000], "cat/2.jpg": b"", "dog/deep/er/1.jpg": NOISE, "readme.txt": b"words " * 5000}
PACKERS = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
    ".tar.zst": lambda packed: zstandard.ZstdCompressor().compress(packed),
}


def tarred(entries, form=tarfile.PAX_FORMAT):
    """A .tar of names and contents, or of headers."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as packed:
        for entry, contents in entries:
            if isinstance(entry, str):
                entry = tarfile.TarInfo(entry)
            entry.size = len(contents)
            packed.addfile(entry, io.BytesIO(contents))
    return buffer.getvalue()


def zipped(entries, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as packed:
        for name, contents in entries:
            packed.writestr(name, contents)
    return buffer.getvalue()


def packed(tmp_path, suffix, entries):
    entries = list(entries.items()) if isinstance(entries, dict) else entries
    file = tmp_path / f"set{suffix}"
    file.write_bytes(zipped(entries) if suffix == ".zip" else PACKERS[suffix](tarred(entries)))
    return file


def found(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def reasons(set_aside):
    return {item.path: item.reason for item in set_aside}


@pytest.mark.parametrize("suffix", [".zip", *PACKERS])
def test_what_went_in_comes_out(tmp_path, suffix):
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


def test_zips_of_unknown_compression_are_told(tmp_path):
    (tmp_path / "set.zip").write_bytes(zipped(FILES.items(), zipfile.ZIP_LZMA))
    with pytest.raises(InputError, match=r"none of its 4 files can be, .*cat/1.jpg: it is compressed with method 14"):
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


HOSTILE_NAMES = ["../out.jpg", "a/../../out.jpg", "/tmp/out.jpg", "..\\out.jpg", "C:\\out.jpg", "c:/out.jpg", "a/.."]


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_names_that_lead_outside(tmp_path, suffix):
    (tmp_path / "in").mkdir()
    file = packed(tmp_path, suffix, [("a/1.jpg", b"1"), *((name, b"evil") for name in HOSTILE_NAMES)])
    set_aside = reasons(unpack(file, tmp_path / "in" / "side"))
    assert len(set_aside) == len(HOSTILE_NAMES)
    assert set(set_aside.values()) == {"its name leads outside the archive"}
    assert found(tmp_path / "in") == {"side/a/1.jpg": b"1"}
    assert not Path("/tmp/out.jpg").exists()


def test_backslashes_separate_folders(tmp_path):
    unpack(packed(tmp_path, ".zip", [("Cat\\1.jpg", b"1"), ("Dog\\2.jpg", b"2")]), tmp_path / "out")
    assert found(tmp_path / "out") == {"Cat/1.jpg": b"1", "Dog/2.jpg": b"2"}


def test_links_and_devices_in_tars(tmp_path):
    kinds = {"sym": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "fifo": tarfile.FIFOTYPE, "device": tarfile.CHRTYPE}
    entries = [("a/1.jpg", b"1")]
    for name, kind in kinds.items():
        header = tarfile.TarInfo(name)
        header.type, header.linkname = kind, "a/1.jpg"
        entries.append((header, b""))
    # Through a link to a folder outside a second entry would be written there.
    link = tarfile.TarInfo("door")
    link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
    file = packed(tmp_path, ".tar", [*entries, (link, b""), ("door/evil.jpg", b"e")])
    set_aside = reasons(unpack(file, tmp_path / "out"))
    assert set_aside == {
        "sym": "it is a link",
        "hard": "it is a link",
        "door": "it is a link",
        "fifo": "it is no regular file",
        "device": "it is no regular file",
    }
    assert found(tmp_path / "out") == {"a/1.jpg": b"1", "door/evil.jpg": b"e"}
    assert not (tmp_path / "evil.jpg").exists()


def test_links_and_devices_in_zips(tmp_path):
    entries = [("a/1.jpg", b"1")]
    for name, kind in (("link", stat.S_IFLNK), ("fifo", stat.S_IFIFO)):
        entry = zipfile.ZipInfo(name)
        entry.create_system, entry.external_attr = 3, (kind | 0o777) << 16
        entries.append((entry, b"/etc/passwd"))
    set_aside = reasons(unpack(packed(tmp_path, ".zip", entries), tmp_path / "out"))
    assert set_aside == {"link": "it is a link", "fifo": "it is no regular file"}
    assert found(tmp_path / "out") == {"a/1.jpg": b"1"}


def test_sparse_tar_entries(tmp_path):
    header = tarfile.TarInfo("holes.bin")
    header.type = tarfile.GNUTYPE_SPARSE
    first = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    first[482] = 1
    first[148:156] = b"%06o\0 " % (sum(first) - sum(first[148:156]) + 256)
    contents = bytes(first) + bytes(512) + tarred([("a/1.jpg", b"1")])
    (tmp_path / "set.tar").write_bytes(contents)
    assert reasons(unpack(tmp_path / "set.tar", tmp_path / "out")) == {"holes.bin": "it is a sparse file"}
    assert found(tmp_path / "out") == {"a/1.jpg": b"1"}


def test_rights_are_those_of_new_files(tmp_path):
    header = tarfile.TarInfo("a/1.jpg")
    header.mode = 0o6777
    unpack(packed(tmp_path, ".tar", [(header, b"1")]), tmp_path / "out")
    (tmp_path / "new").touch()
    assert (tmp_path / "out" / "a" / "1.jpg").stat().st_mode == (tmp_path / "new").stat().st_mode


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_second_file_of_a_name_gets_a_name_of_its_own(tmp_path, suffix):
    entries = [("a/1.jpg", b"1"), ("a/1.jpg", b"2"), ("./a//1.jpg", b"3"), ("a/1 (2).jpg", b"4"), ("a", b"5")]
    assert unpack(packed(tmp_path, suffix, entries), tmp_path / "out") == []
    assert found(tmp_path / "out") == {
        "a/1.jpg": b"1",
        "a/1 (2).jpg": b"2",
        "a/1 (3).jpg": b"3",
        "a/1 (2) (2).jpg": b"4",
        "a (2)": b"5",
    }


def test_a_file_where_a_folder_must_be(tmp_path):
    unpack(packed(tmp_path, ".tar", [("a", b"file"), ("a/1.jpg", b"1"), ("a/2.jpg", b"2")]), tmp_path / "out")
    assert found(tmp_path / "out") == {"a": b"file", "a (2)/1.jpg": b"1", "a (2)/2.jpg": b"2"}


def test_case_clashes(tmp_path, monkeypatch):
    entries = [("a/1.jpg", b"1"), ("A/1.jpg", b"2"), ("a/1.JPG", b"3")]
    file = packed(tmp_path, ".zip", entries)
    unpack(file, tmp_path / "telling")
    monkeypatch.setattr(archive_module, "_tells_cases", lambda folder: False)
    unpack(file, tmp_path / "not")
    assert found(tmp_path / "not") == {"a/1.jpg": b"1", "A (2)/1.jpg": b"2", "a/1 (2).JPG": b"3"}
    if (tmp_path / "not" / "a" / "1.jpg") != (tmp_path / "not" / "A" / "1.jpg"):
        assert found(tmp_path / "telling") == dict(entries)


def renamed(contents, name, raw, utf8=False):
    """A .zip in which a name is replaced by bytes of its length, marked as UTF-8 or not."""
    assert len(name) == len(raw)
    contents = bytearray(contents.replace(name.encode(), raw))
    if utf8:
        at = contents.index(b"PK\1\2")
        contents[at + 9] |= 0x08
    return bytes(contents)


@pytest.mark.parametrize(
    ("raw", "utf8", "name"),
    [
        ("für".encode() + b"1.jpg", False, "für1.jpg"),
        (b"f\x81r1.jpg ", False, "für1.jpg "),
        (b"f\xffr1.jpg ", True, "f\xa0r1.jpg "),
        (b"\n\x1b[1.jpg ", False, "__[1.jpg "),
        (b"ab\x001.jpg ", False, "ab_1.jpg "),
    ],
)
def test_names_of_any_bytes_in_zips(tmp_path, raw, utf8, name):
    contents = renamed(zipped([("NAMENAME1", b"1")]), "NAMENAME1", raw, utf8)
    (tmp_path / "set.zip").write_bytes(contents)
    assert unpack(tmp_path / "set.zip", tmp_path / "out") == []
    assert found(tmp_path / "out") == {name: b"1"}


def test_names_of_any_bytes_in_tars(tmp_path):
    entries = [(os.fsdecode(name), b"1") for name in (b"f\xfcr/1.jpg", "für/2.jpg".encode(), b"\x1b[31m\n.jpg")]
    (tmp_path / "set.tar").write_bytes(tarred(entries, tarfile.GNU_FORMAT))
    assert unpack(tmp_path / "set.tar", tmp_path / "out") == []
    assert set(found(tmp_path / "out")) == {"für/1.jpg", "für/2.jpg", "_[31m_.jpg"}


def test_names_too_long_for_a_file(tmp_path):
    names = ["ü" * 300 + ".jpg", "ü" * 299 + "x.jpg", "x" * 400, "/".join("d" * 80)]
    set_aside = unpack(packed(tmp_path, ".zip", [(name, b"1") for name in names]), tmp_path / "out")
    assert [item.reason for item in set_aside] == ["it lies more than 64 folders deep"]
    assert set(found(tmp_path / "out")) == {"ü" * 125 + ".jpg", "ü" * 123 + " (2).jpg", "x" * 255}


def test_paths_too_long_for_the_system(tmp_path):
    name = "/".join(["x" * 200] * 40) + "/1.jpg"
    set_aside = unpack(packed(tmp_path, ".zip", [(name, b"1"), ("a/1.jpg", b"1")]), tmp_path / "out")
    assert [item.reason for item in set_aside] == ["the file system cannot hold its name"]
    assert len(set_aside[0].path) == 200
    assert found(tmp_path / "out") == {"a/1.jpg": b"1"}


@pytest.mark.parametrize(
    ("name", "fitted"),
    [
        ("con.jpg", "_con.jpg"),
        ("COM1", "_COM1"),
        ("console.jpg", "console.jpg"),
        ("end. .", "end___"),
        ('a:b?"c.jpg', "a_b__c.jpg"),
    ],
)
def test_names_that_windows_has_no_files_for(name, fitted):
    assert file_names.fitted(name, windows=True) == fitted
    assert file_names.fitted(name, windows=False) == name


def flagged_as_encrypted(contents, count):
    contents, at = bytearray(contents), 0
    for _ in range(count):
        at = contents.index(b"PK\1\2", at) + 4
        contents[at + 4] |= 1
    return bytes(contents)


def test_encrypted_entries(tmp_path):
    contents = zipped(FILES.items())
    (tmp_path / "one.zip").write_bytes(flagged_as_encrypted(contents, 1))
    assert reasons(unpack(tmp_path / "one.zip", tmp_path / "out")) == {"cat/1.jpg": "it is encrypted"}
    assert found(tmp_path / "out") == {name: file for name, file in FILES.items() if name != "cat/1.jpg"}
    (tmp_path / "all.zip").write_bytes(flagged_as_encrypted(contents, 4))
    with pytest.raises(InputError, match=r"all.zip cannot be unpacked: it is encrypted; unpack it with its password"):
        unpack(tmp_path / "all.zip", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_damaged_entry_of_a_zip_is_set_aside(tmp_path):
    for method, reason in ((zipfile.ZIP_STORED, "its checksum does not match"), (zipfile.ZIP_DEFLATED, "damaged")):
        contents = bytearray(zipped(FILES.items(), method))
        at = contents.index(b"readme.txt") + len("readme.txt") + (0 if method else 100)
        contents[at] = 0xFF if method else contents[at] ^ 1
        (tmp_path / "set.zip").write_bytes(contents)
        out = tmp_path / f"out{method}"
        set_aside = reasons(unpack(tmp_path / "set.zip", out))
        assert set(set_aside) == {"readme.txt"} and reason in set_aside["readme.txt"]
        assert set(found(out)) == set(FILES) - {"readme.txt"}


@pytest.mark.parametrize("suffix", [".zip", *PACKERS])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.995])
def test_archives_cut_short_leave_nothing(tmp_path, suffix, share):
    entries = {f"{number}.bin": np.random.default_rng(number).bytes(3000) for number in range(20)}
    file = packed(tmp_path, suffix, entries)
    whole = file.read_bytes()
    # The last blocks of a bare .tar are the mark of its end, padded to 10 kB.
    length = len(whole) if suffix != ".tar" else whole.rindex(entries["19.bin"][-8:])
    file.write_bytes(whole[: int(share * length)])
    with pytest.raises(InputError, match=r"cannot be unpacked: it is (cut short|empty)|directory, at the end"):
        unpack(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError):
        unpack(file, tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []


def test_a_tar_without_its_last_entries_is_cut_short(tmp_path):
    whole = tarred([("1.jpg", b"1"), ("2.jpg", b"2")])
    (tmp_path / "set.tar").write_bytes(whole[:1024])
    with pytest.raises(InputError, match="it is cut short"):
        unpack(tmp_path / "set.tar", tmp_path / "out")


@pytest.mark.parametrize("suffix", list(PACKERS)[1:])
def test_damaged_compression(tmp_path, suffix):
    file = packed(tmp_path, suffix, FILES)
    contents = bytearray(file.read_bytes())
    contents[len(contents) // 2] ^= 0x55
    file.write_bytes(contents)
    if suffix == ".tar.zst":
        # Its frames carry no checksum unless one was asked for.
        file.write_bytes(contents[: len(contents) // 2])
    with pytest.raises(InputError, match=r"damaged|cut short"):
        unpack(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "contents", "sentence"),
    [
        ("page.zip", b"<!DOCTYPE html><title>404</title>", "it is a web page, not an archive"),
        ("page.tar.gz", b"\n<html>", "it is a web page, not an archive"),
        ("pets.zip", b"Rar!\x1a\x07\x01\x00", "a .rar archive; unpack it and give the folder"),
        ("text.tar", b"words " * 1000, "it is neither a .zip nor a .tar file"),
        ("text.zip", b"words " * 1000, "its directory, at the end of a .zip file, is missing"),
        ("nothing.zip", b"", "it is empty"),
        ("inner.tar.gz", gzip.compress(b"words " * 1000), "an entry's header is damaged"),
    ],
    # Names of their own, because a compressed file has the time in it.
    ids=lambda value: "" if isinstance(value, bytes) else str(value),
)
def test_what_is_no_archive(tmp_path, name, contents, sentence):
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(InputError, match=sentence):
        unpack(tmp_path / name, tmp_path / "out")


def test_missing_archives_and_full_folders(tmp_path):
    with pytest.raises(InputError, match="No such file or directory"):
        unpack(tmp_path / "missing.zip", tmp_path / "out")
    file = packed(tmp_path, ".zip", FILES)
    with pytest.raises(InputError, match="is not empty; give a new or an empty folder"):
        unpack(file, tmp_path)
    assert file.exists()


SMALL = Limits(total=1 << 20, ratio=50, ratio_from=1 << 16, entries=10)


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst"])
def test_bombs(tmp_path, suffix):
    file = packed(tmp_path, suffix, {"a/1.jpg": NOISE[:10], "bomb": bytes(20 << 20)})
    with pytest.raises(InputError, match=r"unpacks to more than .* (times its size|the most allowed)"):
        unpack(file, tmp_path / "out", SMALL)
    assert not (tmp_path / "out").exists()
    unpack(file, tmp_path / "out")


def test_a_bomb_that_hides_its_size_writes_no_more_than_it_admits(tmp_path):
    contents = bytearray(zipped([("a/1.jpg", b"1"), ("bomb", bytes(20 << 20))]))
    at = contents.rindex(b"PK\1\2")
    contents[at + 24 : at + 28] = struct.pack("<L", 1000)
    (tmp_path / "set.zip").write_bytes(contents)
    set_aside = reasons(unpack(tmp_path / "set.zip", tmp_path / "out", SMALL))
    assert set_aside == {"bomb": "it is not as long as the archive says"}
    assert found(tmp_path / "out") == {"a/1.jpg": b"1"}


def overlapping(count, size):
    """A .zip of `count` directory entries that share one body (Fifield's full overlap)."""
    name, body = b"0", zlib.compressobj(9, wbits=-15)
    body = body.compress(bytes(size)) + body.flush()
    checksum = zlib.crc32(bytes(size))
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, checksum, len(body), size, len(name), 0) + name + body
    directory = b"".join(
        struct.pack(
            "<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, 0, 0, checksum, len(body), size, len(str(n)), 0, 0, 0, 0, 0, 0
        )
        + str(n).encode()
        for n in range(count)
    )
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), len(local), 0)
    return local + directory + end


def test_overlapping_entries(tmp_path):
    (tmp_path / "one.zip").write_bytes(overlapping(1, 1000))
    unpack(tmp_path / "one.zip", tmp_path / "out")
    assert found(tmp_path / "out") == {"0": bytes(1000)}
    (tmp_path / "many.zip").write_bytes(overlapping(200, 1 << 20))
    with pytest.raises(InputError, match="its entries overlap, as in a zip bomb"):
        unpack(tmp_path / "many.zip", tmp_path / "none")


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_too_many_files(tmp_path, suffix):
    file = packed(tmp_path, suffix, {str(number): b"" for number in range(11)})
    with pytest.raises(InputError, match="has more than 10 files, the most that are unpacked"):
        unpack(file, tmp_path / "out", SMALL)


def test_tar_headers_that_would_fill_the_memory(tmp_path):
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    (tmp_path / "one.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 16))
    with pytest.raises(InputError, match="an entry's header is damaged"):
        unpack(tmp_path / "one.tar", tmp_path / "out")
    header.size = 512
    chain = (header.tobuf() + b"20 comment=00000000\n".ljust(512, b"\0")) * 5000
    (tmp_path / "chain.tar").write_bytes(chain + tarred([("a/1.jpg", b"1")]))
    unpack(tmp_path / "chain.tar", tmp_path / "out")
    assert found(tmp_path / "out") == {"a/1.jpg": b"1"}


def test_room_on_the_disk(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    file = packed(tmp_path, ".zip", FILES)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(1 << 30, 0, disk_room.RESERVE + 1000))
    with pytest.raises(InputError, match=r"unpacks to 333,000 bytes or more, and .* has room for 67,109,864 only"):
        unpack(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("ending", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_what_ends_in_the_middle_leaves_nothing(tmp_path, monkeypatch, ending):
    written = archive_module._written

    def ends(entry, places):
        if entry.name == "readme.txt":
            raise ending
        return written(entry, places)

    monkeypatch.setattr(archive_module, "_written", ends)
    with pytest.raises(InputError if isinstance(ending, OSError) else KeyboardInterrupt, match=r"disk is full|^$"):
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


def test_progress_is_over_before_an_error_is_told(tmp_path):
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
