"""Entries of archives: names of every kind, links, devices."""

import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from kerascnn.files import file_names
from kerascnn.files.archives import archive as archive_module
from kerascnn.files.archives.archive import unpack
from support.archives import found, packed, reasons, tarred, zipped

HOSTILE_NAMES = ["../out.jpg", "a/../../out.jpg", "/tmp/out.jpg", "..\\out.jpg", "C:\\out.jpg", "c:/out.jpg", "a/.."]


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_names_that_lead_outside_the_folder(tmp_path, suffix):
    (tmp_path / "in").mkdir()
    file = packed(tmp_path, suffix, [("a/1.jpg", b"1"), *((name, b"evil") for name in HOSTILE_NAMES)])
    skipped = reasons(unpack(file, tmp_path / "in" / "side"))
    assert len(skipped) == len(HOSTILE_NAMES)
    assert all("outside" in reason for reason in skipped.values())
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
    skipped = reasons(unpack(file, tmp_path / "out"))
    assert set(skipped) == {*kinds, "door"}
    for name, reason in skipped.items():
        assert ("regular file" if name in ("fifo", "device") else "link") in reason
    assert found(tmp_path / "out") == {"a/1.jpg": b"1", "door/evil.jpg": b"e"}
    assert not (tmp_path / "evil.jpg").exists()


def test_links_and_devices_in_zips(tmp_path):
    entries = [("a/1.jpg", b"1")]
    for name, kind in (("link", stat.S_IFLNK), ("fifo", stat.S_IFIFO)):
        entry = zipfile.ZipInfo(name)
        entry.create_system, entry.external_attr = 3, (kind | 0o777) << 16
        entries.append((entry, b"/etc/passwd"))
    skipped = reasons(unpack(packed(tmp_path, ".zip", entries), tmp_path / "out"))
    assert set(skipped) == {"link", "fifo"}
    assert "link" in skipped["link"] and "regular file" in skipped["fifo"]
    assert found(tmp_path / "out") == {"a/1.jpg": b"1"}


def test_sparse_tar_entries(tmp_path):
    header = tarfile.TarInfo("holes.bin")
    header.type = tarfile.GNUTYPE_SPARSE
    first = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    first[482] = 1
    first[148:156] = b"%06o\0 " % (sum(first) - sum(first[148:156]) + 256)
    contents = bytes(first) + bytes(512) + tarred([("a/1.jpg", b"1")])
    (tmp_path / "set.tar").write_bytes(contents)
    [(path, reason)] = reasons(unpack(tmp_path / "set.tar", tmp_path / "out")).items()
    assert path == "holes.bin" and "sparse" in reason
    assert found(tmp_path / "out") == {"a/1.jpg": b"1"}


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_second_file_of_the_same_name_gets_a_number(tmp_path, suffix):
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
    monkeypatch.setattr(archive_module, "_is_case_sensitive", lambda folder: False)
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
    skipped = unpack(packed(tmp_path, ".zip", [(name, b"1") for name in names]), tmp_path / "out")
    [deep] = skipped
    assert "64 folders" in deep.reason
    assert set(found(tmp_path / "out")) == {"ü" * 125 + ".jpg", "ü" * 123 + " (2).jpg", "x" * 255}


def test_paths_too_long_for_the_system(tmp_path):
    name = "/".join(["x" * 200] * 40) + "/1.jpg"
    skipped = unpack(packed(tmp_path, ".zip", [(name, b"1"), ("a/1.jpg", b"1")]), tmp_path / "out")
    [item] = skipped
    assert "name" in item.reason and len(item.path) == 200
    assert found(tmp_path / "out") == {"a/1.jpg": b"1"}


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("con.jpg", "_con.jpg"),
        ("COM1", "_COM1"),
        ("console.jpg", "console.jpg"),
        ("end. .", "end___"),
        ('a:b?"c.jpg', "a_b__c.jpg"),
    ],
)
def test_names_that_windows_forbids(name, safe):
    assert file_names.safe_file_name(name, windows=True) == safe
    assert file_names.safe_file_name(name, windows=False) == name
