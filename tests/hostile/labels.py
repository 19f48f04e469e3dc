"""Tables of labels, manifests and file names."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

from rich.console import Console

from kerascnn.console import print_text, table
from kerascnn.data.ingestion.image_check import FileRecord
from kerascnn.data.ingestion.layouts import recognize_layout
from kerascnn.data.ingestion.manifest import NAME, SourceRecord, checked_with, format_record, read_manifest, read_parts
from tests.hostile.attack import Kind
from tests.hostile.mutations import bytes_damaged, name, text_damaged, value_damaged

FILES = [f"images/{number}.jpg" for number in range(12)]
# By suffix: what is between two cells.
SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": " "}


def make_table(chance: random.Random) -> tuple[str, bytes]:
    """The suffix and the contents of a table, with hostile cells or damaged bytes."""
    suffix = chance.choice([*SEPARATORS, ".json", ".jsonl"])
    rows = [{"file": file, "label": ("cat", "dog")[number % 2], "split": "train"} for number, file in enumerate(FILES)]
    if suffix == ".json":
        text = json.dumps(value_damaged(rows, chance), default=str)
    elif suffix == ".jsonl":
        text = "\n".join(json.dumps(row, default=str) for row in value_damaged(rows, chance))
    else:
        separator = SEPARATORS[suffix]
        lines = [separator.join(rows[0]), *(separator.join(row.values()) for row in rows)]
        text = text_damaged("\n".join(lines), chance, separator)
    encoding = chance.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))
    contents = text.encode(encoding, "surrogateescape" if encoding.startswith("utf-8") else "replace")
    return suffix, bytes_damaged(contents, chance) if chance.random() < 0.3 else contents


def read_table(folder: Path, given: tuple[str, bytes]) -> None:
    """Recognizes the classes of a folder with the table: no file outside the folder is one of its images."""
    suffix, contents = given
    (folder / "images").mkdir()
    for file in FILES:
        (folder / file).touch()
    (folder / f"labels{suffix}").write_bytes(contents)
    _check_inside(folder)


def _check_inside(folder: Path) -> None:
    root = folder.resolve()
    for item in recognize_layout(folder, "data").labeled:
        assert (folder / item.path).resolve().is_relative_to(root), item.path


def make_manifest(chance: random.Random) -> bytes:
    """The contents of a manifest with hostile fields or damaged bytes."""
    records = [
        FileRecord(file, "cat", "training", 100, 1, "ab" * 32, "JPEG", 40, 30, "tensorflow", perceptual_hash="cd" * 16)
        for file in FILES
    ]
    head: dict[str, Any] = vars(SourceRecord("/data/pets", "pets", ".")) | {"checked_with": checked_with()}
    lines = [head, *(json.loads(format_record(record)) for record in records)]
    text = "\n".join(json.dumps(line, default=str) for line in value_damaged(lines, chance))
    if chance.random() < 0.1:
        text = text.replace("}", "[" * 5000, 1)
    contents = text.encode("utf-8", "surrogateescape")
    return bytes_damaged(contents, chance) if chance.random() < 0.4 else contents


def read_manifests(folder: Path, contents: bytes) -> None:
    """Reads it as the manifest of a source, and as one of several parts."""
    (folder / NAME).write_bytes(contents)
    for record in read_manifest(folder / NAME).files:
        assert isinstance(record.path, str) and record.path
    (folder / NAME.replace(".", "-1-of-2.")).write_bytes(contents)
    read_parts(folder / NAME, SourceRecord("/data/pets", "pets", "."))


def make_names(chance: random.Random) -> list[str]:
    """Names for folders of classes and for their images."""
    return [f"{name(chance)}/{name(chance)}{chance.choice(('.jpg', '.png', '', '.JPG'))}" for _ in range(8)]


def read_names(folder: Path, names: list[str]) -> None:
    """Makes the files, recognizes their classes, and shows their names on a terminal and in a table."""
    for path in names:
        try:
            (folder / "data" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "data" / path).touch()
        except OSError:
            # The file system has no such name.
            continue
    _show(names)
    _check_inside(folder / "data")


def _show(names: list[str]) -> None:
    shown = Console(file=io.StringIO(), width=60, force_terminal=False)
    print_text(shown, *names)
    rows = table("file")
    for text in names:
        rows.add_row(text.encode("utf-8", "replace").decode())
    shown.print(rows)
    assert "\x1b" not in shown.file.getvalue() and "\x07" not in shown.file.getvalue()


TABLES, MANIFESTS = Kind(make_table, read_table), Kind(make_manifest, read_manifests)
NAMES = Kind(make_names, read_names)
