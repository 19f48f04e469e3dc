"""Checks image files in parallel: with Pillow in processes of their own, and JPEG with TensorFlow's decoder too."""

import hashlib
import importlib
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from kerascnn.cores import cores
from kerascnn.data.ingestion.image_bounds import MAX_FILE_SIZE
from kerascnn.data.ingestion.image_facts import image_facts
from kerascnn.data.ingestion.image_readers import Readers, Request
from kerascnn.errors import phrase
from kerascnn.files.progress import Track, untracked
from kerascnn.files.user_file import read_bytes
from kerascnn.native_output import discarded_stderr, jpeg_damage_discarded

# TensorFlow's decoder releases the interpreter's lock; one more thread, with its process, covers waiting for the disk.
THREADS = cores() + 1

# Files per task of a thread, and files submitted at a time.
PORTION = 16
BLOCK = 256 * PORTION

NO_CONTENTS = hashlib.sha256().hexdigest()

_IMPORTING = threading.Lock()

READ, UNREADABLE, CONTRADICTORY, REJECTED, IGNORED = STATUSES = (
    *("read", "unreadable", "contradictory", "rejected", "ignored"),
)


@dataclass(frozen=True)
class FileRecord:
    """The facts known of a file: one line of the manifest."""

    path: str  # below the data's folder, with slashes; undecodable bytes as `os.fsdecode` has them
    # None for ignored files; a tuple of the classes of a multi-label image, which may be empty.
    class_name: str | tuple[str, ...] | None = None
    split: str | None = None  # "training", "validation" or "test"; None for files that are not read
    size: int = 0  # in bytes
    mtime_ns: int = 0  # the time of the last change
    sha256: str = ""  # of the contents; empty if they could not be read
    format: str | None = None  # Pillow's name of the image format
    # width, height: in pixels, upright.
    width: int | None = None
    height: int | None = None
    decoder: str | None = None  # used in training, "tensorflow" or "pillow"
    # "read"; "unreadable"; "contradictory", in two classes; "rejected", in the archive but not unpacked; "ignored", no
    # image of any class.
    status: str = READ
    reason: str | None = None  # why it is not read
    warnings: tuple[str, ...] = ()  # unusual features of a file that is read
    perceptual_hash: str = ""  # see `near_duplicates.perceptual_hash`; empty for plain images
    group: str | None = None  # of images that must be in one split; None without a column of groups

    @property
    def classes(self) -> tuple[str, ...]:
        """Its class, or any number of classes if it is multi-label."""
        return self.class_name if isinstance(self.class_name, tuple) else (self.class_name or "",)


def check_images(
    root: Path,
    paths: Sequence[str],
    known: Callable[[str], FileRecord | None] = lambda path: None,
    checked: Callable[[FileRecord], object] = lambda record: None,
    track: Track = untracked,
) -> Iterator[FileRecord]:
    """Checks files below `root`; yields one `FileRecord` per path, in order, without class and split.

    Files whose earlier results are `known` by path are not read again if their size and time of change are the same,
    and not decoded again if their SHA-256 is. `checked` gets the records that were not known. A file whose decoder
    crashes, or takes too long or too much memory, is unreadable; see `image_readers`.
    """

    def check_portion(start: int) -> list[tuple[FileRecord | None, FileRecord]]:
        portion = paths[start : start + PORTION]
        earlier = list(map(known, portion))
        return list(zip(earlier, _check(root, portion, earlier, facts_of), strict=True))

    # The readers are stopped first: the threads wait for them.
    with jpeg_damage_discarded(), ThreadPoolExecutor(THREADS) as threads, Readers(root) as readers:
        # Windows has neither limits nor such signals.
        facts_of = readers.facts if os.name == "posix" else partial(_facts_here, root)
        blocks = (
            threads.map(check_portion, range(start, min(start + BLOCK, len(paths)), PORTION))
            for start in range(0, len(paths), BLOCK)
        )
        pairs = chain.from_iterable(chain.from_iterable(block) for block in blocks)
        for earlier, record in track(pairs, len(paths), "Checking images"):
            if record is not earlier:
                checked(record)
            yield record


def check_image(root: Path, path: str, known: FileRecord | None = None) -> FileRecord:
    """Checks one file in this process; see `check_images`."""
    return _check(root, [path], [known], partial(_facts_here, root))[0]


def _facts_here(root: Path, requests: Sequence[Request]) -> list[dict[str, Any]]:
    return [image_facts(root, *request) for request in requests]


def _check(
    root: Path,
    paths: Sequence[str],
    known: Sequence[FileRecord | None],
    facts_of: Callable[[Sequence[Request]], list[dict[str, Any]]],
) -> list[FileRecord]:
    """The files' records, by the facts that Pillow finds in those that must be read."""
    records = [_before_reading(root, path, one) for path, one in zip(paths, known, strict=True)]
    unread = [row for row, record in enumerate(records) if not (record.reason or record.sha256)]
    requests = [Request(paths[row], known[row].sha256 if known[row] else "") for row in unread]
    for row, facts in zip(unread, facts_of(requests) if requests else (), strict=True):
        record, earlier = records[row], known[row]
        if earlier and facts == {"sha256": earlier.sha256}:
            records[row] = replace(earlier, size=record.size, mtime_ns=record.mtime_ns)
            continue
        if facts.get("decoder") == "tensorflow" and not _is_decodable(root / paths[row]):
            [facts] = facts_of([Request(paths[row], plain=False)])
        records[row] = replace(record, **facts | {"warnings": tuple(facts.get("warnings", ()))})
    return records


def _before_reading(root: Path, path: str, known: FileRecord | None) -> FileRecord:
    """What is known of a file without reading it; neither reason nor SHA-256 if it must be read."""
    file, record = root / path, FileRecord(path, status=UNREADABLE)
    try:
        status = file.stat()
    except FileNotFoundError:
        return replace(record, reason="a broken link" if file.is_symlink() else "it is gone")
    except OSError as error:
        return replace(record, reason=phrase(error))
    record = replace(record, size=status.st_size, mtime_ns=status.st_mtime_ns)
    if not stat.S_ISREG(status.st_mode):
        return replace(record, reason="not a regular file")
    # The reason of a file that could not be opened, such as a permission, may be gone without a change.
    if known and known.sha256 and (known.size, known.mtime_ns) == (record.size, record.mtime_ns):
        return known
    if status.st_size > MAX_FILE_SIZE:
        return replace(record, reason=f"{status.st_size / 1e6:.0f} MB, too large for an image")
    return record if status.st_size else replace(record, sha256=NO_CONTENTS, reason="0 bytes")


def _is_decodable(file: Path) -> bool:
    """Whether TensorFlow decodes a JPEG to its end; at an eighth of its size, as `image_facts`."""
    try:
        _tensorflow().io.decode_jpeg(read_bytes(file, MAX_FILE_SIZE), channels=3, ratio=8)
    # Whatever TensorFlow raises: Pillow then has the word.
    except Exception:
        return False
    return True


def _tensorflow():
    """TensorFlow, imported for the first file that needs it, so that a second start is fast."""
    with _IMPORTING:
        if "tensorflow" not in sys.modules:
            with discarded_stderr():
                importlib.import_module("tensorflow")
        return sys.modules["tensorflow"]
