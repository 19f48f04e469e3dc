"""Archives damaged at random: a result or one sentence, soon, and nothing outside the folder."""

import io
import itertools
import os
import random
import re
import stat
import string
import struct
import tarfile
import time
import zlib

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from kerascnn import InputError
from kerascnn.files.archives.archive import UnpackLimits, unpack
from tests.hostile.archives import PACK, damaged, rechecked, sample

LONGEST = 5.0  # seconds
LIMITS = UnpackLimits(total=64 << 20, ratio=100, ratio_from=8 << 20, entries=10_000)


def zip_of(names):
    """A .zip of one-byte files under names that zipfile would not write."""
    bodies = directory = b""
    for name in names:
        about = struct.pack("<5H3L2H", 20, 0x800, 0, 0, 0, zlib.crc32(b"1"), 1, 1, len(name), 0)
        directory += b"PK\1\2\x14\0" + about + struct.pack("<3H2L", 0, 0, 0, 0, len(bodies)) + name
        bodies += b"PK\3\4" + about + name + b"1"
    return bodies + directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, len(directory), len(bodies), 0)


def tree(folder):
    """The paths below a folder, sorted; several times as fast as `Path.rglob`."""
    below = [
        os.path.join(above, name)[len(str(folder)) + 1 :]
        for above, folders, files in os.walk(folder)
        for name in folders + files
    ]
    return sorted(below)


def checked(folder, contents):
    """Unpacks `contents` and checks the rules that always hold; returns the number of unpacked and skipped files."""
    file, out = folder / "set", folder / "out"
    file.write_bytes(contents)
    before, begun = tree(folder), time.perf_counter()
    try:
        skipped = unpack(file, out, LIMITS)
    except InputError as error:
        assert tree(folder) == before
        assert str(error).endswith(".") and "\n" not in str(error)
        return None
    finally:
        assert time.perf_counter() - begun < LONGEST
    after = tree(folder)
    assert [path for path in after if not path.startswith("out/")] == sorted([*before, "out"])
    kinds = [stat.S_IFMT(os.lstat(folder / path).st_mode) for path in after if path.startswith("out/")]
    assert set(kinds) <= {stat.S_IFDIR, stat.S_IFREG}
    assert all(item.reason and "\n" not in item.path for item in skipped)
    return kinds.count(stat.S_IFREG) + len(skipped)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A new folder at each call, within one whose tree is looked at in the end."""
    above = tmp_path_factory.mktemp("fuzz")

    numbers = itertools.count()

    def new():
        folder = above / f"{next(numbers)}" / "in"
        folder.mkdir(parents=True)
        return folder

    yield new
    for numbered in above.iterdir():
        assert [entry.name for entry in numbered.iterdir()] == ["in"]
    assert all(re.fullmatch(f"[{string.digits}]+", entry.name) for entry in above.iterdir())


# The others are a .tar, compressed.
BARE = ("zip", "tar")


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind not in BARE)) for kind in PACK])
def test_damaged_at_random(folders, kind):
    results = []
    for seed in range(200):
        contents, count = sample(seed, kind)
        assert checked(folders(), contents) == count
        contents = damaged(contents, random.Random(seed))
        if kind == "tar" and seed % 2:
            contents = rechecked(contents)
        results.append(checked(folders(), contents))
    # Both ends are reached, or the test would prove little.
    assert None in results
    assert kind not in BARE or any(result is not None for result in results)


@pytest.mark.parametrize("kind", BARE)
def test_archives_cut_at_every_length(folders, kind):
    contents, _ = sample(3, kind)
    for length in range(0, len(contents), max(1, len(contents) // 100)):
        # After a .tar's end mark, two empty blocks, comes padding.
        assert checked(folders(), contents[:length]) is None or not contents[length - 512 : length].strip(b"\0")


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(names=st.lists(st.binary(min_size=1, max_size=90), min_size=1, max_size=8))
def test_names_of_any_bytes(folders, names):
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.GNU_FORMAT) as packed:
        for name in names:
            packed.addfile(tarfile.TarInfo(name.replace(b"\0", b"0").decode("utf-8", "surrogateescape")))
    for contents in (tar.getvalue(), zip_of(names)):
        counted = checked(folders(), contents)
        assert counted is None or counted == len(names)
