"""Archives that are damaged, encrypted, or made to fill the disk or the memory."""

import gzip
import re
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.files.archives.archive import UnpackLimits, unpack
from support.archives import FILES, NOISE, PACKERS, found, packed, reasons, tarred, zipped
from support.messages import mentioning


def flagged_as_encrypted(contents, count):
    contents, at = bytearray(contents), 0
    for _ in range(count):
        at = contents.index(b"PK\1\2", at) + 4
        contents[at + 4] |= 1
    return bytes(contents)


def test_encrypted_entries(tmp_path):
    contents = zipped(FILES.items())
    (tmp_path / "one.zip").write_bytes(flagged_as_encrypted(contents, 1))
    [(path, reason)] = reasons(unpack(tmp_path / "one.zip", tmp_path / "out")).items()
    assert path == "cat/1.jpg" and "encrypted" in reason
    assert found(tmp_path / "out") == {name: file for name, file in FILES.items() if name != "cat/1.jpg"}
    (tmp_path / "all.zip").write_bytes(flagged_as_encrypted(contents, 4))
    with mentioning(InputError, "all.zip", "encrypted", "password"):
        unpack(tmp_path / "all.zip", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_damaged_entry_of_a_zip_is_skipped(tmp_path):
    for method, reason in ((zipfile.ZIP_STORED, "checksum"), (zipfile.ZIP_DEFLATED, "damaged")):
        contents = bytearray(zipped(FILES.items(), method))
        at = contents.index(b"readme.txt") + len("readme.txt") + (0 if method else 100)
        contents[at] = 0xFF if method else contents[at] ^ 1
        (tmp_path / "set.zip").write_bytes(contents)
        out = tmp_path / f"out{method}"
        skipped = reasons(unpack(tmp_path / "set.zip", out))
        assert set(skipped) == {"readme.txt"} and reason in skipped["readme.txt"]
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
    with pytest.raises(InputError, match=rf"set{re.escape(suffix)} .*(cut short|empty|directory)"):
        unpack(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError):
        unpack(file, tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []


def test_a_tar_without_its_last_entries_is_cut_short(tmp_path):
    whole = tarred([("1.jpg", b"1"), ("2.jpg", b"2")])
    (tmp_path / "set.tar").write_bytes(whole[:1024])
    with mentioning(InputError, "set.tar", "cut short"):
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
    with pytest.raises(InputError, match=rf"set{re.escape(suffix)} .*(damaged|cut short)"):
        unpack(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "contents", "parts"),
    [
        ("page.zip", b"<!DOCTYPE html><title>404</title>", ("web page",)),
        ("page.tar.gz", b"\n<html>", ("web page",)),
        ("pets.zip", b"Rar!\x1a\x07\x01\x00", (".rar", "folder")),
        ("text.tar", b"words " * 1000, ("neither", ".zip", ".tar")),
        ("text.zip", b"words " * 1000, ("directory", "missing")),
        ("nothing.zip", b"", ("empty",)),
        ("inner.tar.gz", gzip.compress(b"words " * 1000), ("header", "damaged")),
    ],
    # Names of their own, because a compressed file has the time in it.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_that_are_no_archives(tmp_path, name, contents, parts):
    (tmp_path / name).write_bytes(contents)
    with mentioning(InputError, name, *parts):
        unpack(tmp_path / name, tmp_path / "out")


SMALL = UnpackLimits(total=1 << 20, ratio=50, ratio_from=1 << 16, entries=10)


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst"])
def test_bombs(tmp_path, suffix):
    file = packed(tmp_path, suffix, {"a/1.jpg": NOISE[:10], "bomb": bytes(20 << 20)})
    with pytest.raises(InputError, match=rf"set{re.escape(suffix)} .*more than .*(times|most)"):
        unpack(file, tmp_path / "out", SMALL)
    assert not (tmp_path / "out").exists()
    unpack(file, tmp_path / "out")


def test_a_bomb_that_hides_its_size_writes_no_more_than_its_declared_size(tmp_path):
    contents = bytearray(zipped([("a/1.jpg", b"1"), ("bomb", bytes(20 << 20))]))
    at = contents.rindex(b"PK\1\2")
    contents[at + 24 : at + 28] = struct.pack("<L", 1000)
    (tmp_path / "set.zip").write_bytes(contents)
    skipped = reasons(unpack(tmp_path / "set.zip", tmp_path / "out", SMALL))
    assert set(skipped) == {"bomb"} and "as long as" in skipped["bomb"]
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
    with mentioning(InputError, "overlap", "bomb"):
        unpack(tmp_path / "many.zip", tmp_path / "none")


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_too_many_files(tmp_path, suffix):
    file = packed(tmp_path, suffix, {str(number): b"" for number in range(11)})
    with mentioning(InputError, "more than 10 files"):
        unpack(file, tmp_path / "out", SMALL)


def test_tar_headers_that_would_fill_the_memory(tmp_path):
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    (tmp_path / "one.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 16))
    with mentioning(InputError, "one.tar", "header"):
        unpack(tmp_path / "one.tar", tmp_path / "out")
    header.size = 512
    chain = (header.tobuf() + b"20 comment=00000000\n".ljust(512, b"\0")) * 5000
    (tmp_path / "chain.tar").write_bytes(chain + tarred([("a/1.jpg", b"1")]))
    unpack(tmp_path / "chain.tar", tmp_path / "out")
    assert found(tmp_path / "out") == {"a/1.jpg": b"1"}
