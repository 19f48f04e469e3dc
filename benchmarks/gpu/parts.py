"""A large file in parts that can be carried one by one, and back.

    python -m benchmarks.gpu.parts split tensorflow-2.21.0-cp312-cp312-manylinux_2_27_x86_64.whl parts --megabytes 60
    python -m benchmarks.gpu.parts join parts .

A wheel is compressed with xz instead of its own zip, which is a third smaller. The parts lie beside a list of their
SHA-256 sums; `join` checks every part and the whole.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import shutil
import sys
import zipfile
from pathlib import Path

LIST = "parts.json"
BLOCK = 1 << 20


def split(source: Path, folder: Path, size: int) -> list[Path]:
    """Writes the parts of a file, each of at most so many bytes, and their list."""
    folder.mkdir(parents=True, exist_ok=True)
    plain, packed = folder / "plain", folder / "packed"
    _store(source, plain)
    with plain.open("rb") as read, lzma.open(packed, "wb", preset=6) as write:
        shutil.copyfileobj(read, write, BLOCK)
    parts = []
    with packed.open("rb") as whole:
        while content := whole.read(size):
            part = folder / f"part{len(parts):03}"
            part.write_bytes(content)
            parts.append(part)
    listed = {"name": source.name, "sha256": _digest(plain), "parts": {part.name: _digest(part) for part in parts}}
    (folder / LIST).write_text(json.dumps(listed, indent=1))
    plain.unlink()
    packed.unlink()
    return parts


def join(folder: Path, target: Path) -> Path:
    """The file of the parts in a folder; ValueError if one is missing or damaged."""
    listed = json.loads((folder / LIST).read_text())
    target.mkdir(parents=True, exist_ok=True)
    unpacker, joined = lzma.LZMADecompressor(), target / Path(listed["name"]).name
    with joined.open("wb") as file:
        for name, digest in listed["parts"].items():
            part = folder / name
            if not part.is_file() or _digest(part) != digest:
                raise ValueError(f"{part} is missing or damaged")
            file.write(unpacker.decompress(part.read_bytes()))
    if _digest(joined) != listed["sha256"]:
        raise ValueError(f"{joined} is not what was split")
    return joined


def _store(source: Path, plain: Path) -> None:
    """The same file, or a wheel whose members are not compressed."""
    if not zipfile.is_zipfile(source):
        shutil.copyfile(source, plain)
        return
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(plain, "w", zipfile.ZIP_STORED) as stored:
        for entry in archive.infolist():
            copy = zipfile.ZipInfo(entry.filename, entry.date_time)
            copy.external_attr = entry.external_attr
            with archive.open(entry) as read, stored.open(copy, "w", force_zip64=True) as write:
                shutil.copyfileobj(read, write, BLOCK)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.parts", description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("split", "join"))
    parser.add_argument("source", type=Path, help="the file to split, or the folder of its parts")
    parser.add_argument("target", type=Path, help="a folder")
    parser.add_argument("--megabytes", type=int, default=60, metavar="N", help="of a part (default: 60)")
    given = parser.parse_args()
    if given.action == "split":
        parts = split(given.source, given.target, given.megabytes * 10**6)
        print(f"{len(parts)} parts in {given.target}")
    else:
        try:
            print(join(given.source, given.target))
        except ValueError as error:
            sys.exit(f"{error}.")


if __name__ == "__main__":
    main()
