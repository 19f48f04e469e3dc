"""Archives with hostile names, links and devices, whole and damaged."""

from __future__ import annotations

import io
import random
import stat
import tarfile
import zipfile
from pathlib import Path

import zstandard

from kerascnn.files.archives.archive import UnpackLimits, unpack
from support.archives import PACKERS
from tests.hostile.attack import Kind

LIMITS = UnpackLimits(total=64 << 20, ratio=100, ratio_from=8 << 20, entries=10_000)
HOSTILE = ["../up", "/root", "..\\up", "C:\\up", "a/../../up", "~/up", "\n\x1b[2J", ".", "..", "a//b", "é", "A", "a"]
KINDS = [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.BLKTYPE, b"S", b"V", b"?"]
PACK = {
    "zip": None,
    **{suffix.removeprefix("."): pack for suffix, pack in PACKERS.items()},
    "tar.zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}


def sample(seed, kind):
    """A small archive with hostile names among good ones."""
    chance = random.Random(seed)
    names = [f"{chance.choice('ab')}/{number}.jpg" for number in range(8)] + chance.sample([*HOSTILE, "a" * 300], 4)
    chance.shuffle(names)
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as packed:
            for name in names:
                method = chance.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
                packed.writestr(name, chance.randbytes(chance.randrange(600)) * 4, compress_type=method)
        return buffer.getvalue(), len(names)
    form = chance.choice([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT if "a" * 300 in names else form) as packed:
        for name in names:
            header = tarfile.TarInfo(name)
            header.type = tarfile.REGTYPE if chance.random() < 0.7 else chance.choice(KINDS)
            header.linkname = chance.choice(HOSTILE)
            contents = chance.randbytes(chance.randrange(2000)) if header.type == tarfile.REGTYPE else b""
            header.size = len(contents)
            packed.addfile(header, io.BytesIO(contents))
    return PACK[kind](buffer.getvalue()), len(names)


def damaged(contents, chance):
    """The archive with bytes flipped, cut out, doubled, or its end missing."""
    contents = bytearray(contents)
    for _ in range(chance.choice([1, 1, 2, 5, 40])):
        at = chance.randrange(len(contents))
        # Headers of .zip files are at the end, those of .tar files at the front.
        at = chance.choice([at, at, at % 1024, -1 - at % min(1024, len(contents))])
        kind = chance.random()
        if kind < 0.6:
            contents[at] ^= 1 << chance.randrange(8)
        elif kind < 0.75:
            contents[at] = chance.choice([0, 0xFF, 0x80, ord("."), ord("/"), ord("\\")])
        elif kind < 0.85:
            del contents[at : at + chance.randrange(1, 64)]
        elif kind < 0.95:
            contents[at:at] = contents[at : at + chance.randrange(1, 600)]
        else:
            del contents[at:]
        if not contents:
            break
    return bytes(contents)


def rechecked(contents):
    """A .tar whose headers have checksums that fit, so that damage in them is not noticed at once."""
    contents = bytearray(contents)
    for at in range(0, len(contents) - 511, 512):
        if contents[at + 257 : at + 262] == b"ustar":
            total = sum(contents[at : at + 148]) + 8 * 32 + sum(contents[at + 156 : at + 512])
            contents[at + 148 : at + 156] = b"%06o\0 " % total
    return bytes(contents)


def make(chance: random.Random) -> tuple[str, bytes]:
    """The kind and the contents of an archive, damaged three times out of four."""
    kind = chance.choice(list(PACK))
    contents, _ = sample(chance.randrange(1 << 30), kind)
    if chance.random() < 0.75:
        contents = damaged(contents, chance)
        contents = rechecked(contents) if kind == "tar" and chance.random() < 0.5 else contents
    return kind, contents


def read(folder: Path, given: tuple[str, bytes]) -> None:
    """Unpacks it, and looks at what came out: plain files and folders only."""
    kind, contents = given
    file = folder / f"set.{kind}"
    file.write_bytes(contents)
    unpack(file, folder / "out", LIMITS)
    for path in (folder / "out").rglob("*"):
        assert stat.S_IFMT(path.lstat().st_mode) in (stat.S_IFDIR, stat.S_IFREG), path


ARCHIVES = Kind(make, read)
