"""Checking files: once, in parallel, with Pillow and with the decoder that training uses."""

from __future__ import annotations

import hashlib
import importlib
import os
import stat
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from kerascnn.cores import cores
from kerascnn.data.ingestion.image_formats import UnreadableImageError, opened, opened_plain, orientation, upright_rgb
from kerascnn.files.progress import Track, untracked
from kerascnn.native_output import discarded_stderr, jpeg_damage_discarded

# The largest image that is read holds so many bytes uncompressed; films and disk images are not read at all.
LARGEST_FILE = 600_000_000

# Both decoders release the interpreter's lock; a thread more than processors covers waiting for the disk.
THREADS = cores() + 1

# Files that a thread takes at a time, and that are handed to all threads at a time.
PORTION = 16
BLOCK = 256 * PORTION

_IMPORTING = threading.Lock()

READ = "read"
UNREADABLE = "unreadable"
IGNORED = "ignored"
REFUSED = "refused"


@dataclass(frozen=True)
class FileRecord:
    """What is known of a file: a line of the manifest.

    Attributes:
        path: below the data's folder, with slashes; bytes that are no text are kept as `os.fsdecode` has them.
        class_name: None for files that are ignored.
        split: "training", "validation" or "test"; None for files that are not read.
        size, mtime_ns: in bytes, and when it was changed, in nanoseconds.
        sha256: of the contents; empty where they could not be read.
        format: Pillow's name of it.
        width, height: in pixels, upright.
        decoder: who reads it in training, "tensorflow" or "pillow".
        verdict: "read"; "unreadable"; "ignored", being no image of any class; "refused", being in the archive and
            not unpacked.
        reason: why it is not read.
        remarks: what is unusual about a file that is read.
    """

    path: str
    class_name: str | None = None
    split: str | None = None
    size: int = 0
    mtime_ns: int = 0
    sha256: str = ""
    format: str | None = None
    width: int | None = None
    height: int | None = None
    decoder: str | None = None
    verdict: str = READ
    reason: str | None = None
    remarks: tuple[str, ...] = ()


def checked(
    root: Path, paths: Sequence[str], known: dict[str, FileRecord] | None = None, track: Track = untracked
) -> Iterator[FileRecord]:
    """Checks files below `root`, those that are known and unchanged excepted.

    A known file is unchanged when size and time of change are; failing that, when its SHA-256 is.

    Args:
        root: the folder.
        paths: below it.
        known: earlier verdicts by path.
        track: shows progress.

    Yields:
        An `FileRecord` a path, in order, without class and split.
    """
    from PIL import Image

    Image.init()
    known = known or {}

    def verdicts(start: int) -> list[FileRecord]:
        return [check(root, path, known.get(path)) for path in paths[start : start + PORTION]]

    with jpeg_damage_discarded(), warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as threads:
        # What Pillow finds odd is either in the verdict or of no consequence.
        warnings.simplefilter("ignore")
        blocks = (
            threads.map(verdicts, range(start, min(start + BLOCK, len(paths)), PORTION))
            for start in range(0, len(paths), BLOCK)
        )
        entries = chain.from_iterable(chain.from_iterable(block) for block in blocks)
        yield from track(entries, len(paths), "Checking images")


def check(root: Path, path: str, known: FileRecord | None = None) -> FileRecord:
    """Checks one file; see `checked`."""
    file = root / path
    entry = FileRecord(path, verdict=UNREADABLE)
    if known and not known.sha256:
        # What kept it from being read, such as a permission, leaves no trace in size and time.
        known = None
    try:
        status = file.stat()
        entry = replace(entry, size=status.st_size, mtime_ns=status.st_mtime_ns)
        if not stat.S_ISREG(status.st_mode):
            return replace(entry, reason="not a regular file")
        if known and (known.size, known.mtime_ns) == (entry.size, entry.mtime_ns):
            return known
        if status.st_size > LARGEST_FILE:
            return replace(entry, reason=f"{status.st_size / 1e6:.0f} MB, too large for an image")
        contents = file.read_bytes()
    except FileNotFoundError:
        return replace(entry, reason="a link to nothing" if file.is_symlink() else "it is gone")
    except OSError as error:
        return replace(entry, reason=(error.strerror or str(error)).lower())
    entry = replace(entry, sha256=hashlib.sha256(contents).hexdigest())
    if known and known.sha256 == entry.sha256:
        return replace(known, size=entry.size, mtime_ns=entry.mtime_ns)
    return _looked_at(entry, contents)


def _looked_at(entry: FileRecord, contents: bytes) -> FileRecord:
    try:
        with opened(contents) as image:
            entry = replace(entry, format=image.format, width=image.width, height=image.height)
            if opened_plain(image) and _decoders_agree(image, contents):
                return replace(entry, verdict=READ, decoder="tensorflow", remarks=_remarks(entry.path, image))
        # Anew, because what was opened has been read in part.
        with opened(contents) as image:
            remarks = _remarks(entry.path, image)
            height, width, _ = upright_rgb(image).shape
    except UnreadableImageError as error:
        return replace(entry, reason=str(error))
    return replace(entry, verdict=READ, decoder="pillow", width=width, height=height, remarks=remarks)


def _decoders_agree(image, contents: bytes) -> bool:
    """Whether Pillow and TensorFlow both decode a JPEG to its end.

    At an eighth of its size: the entropy-coded data, in which damage shows, are decoded in full, and most of the
    arithmetic that follows, which cannot fail, is saved.
    """
    try:
        image.draft(image.mode, (1, 1))
        image.load()
        _tensorflow().io.decode_jpeg(contents, channels=3, ratio=8)
    except Exception:
        return False
    return True


def _tensorflow():
    """TensorFlow, imported when the first file needs it: a second start does not."""
    with _IMPORTING:
        if "tensorflow" not in sys.modules:
            with discarded_stderr():
                importlib.import_module("tensorflow")
        return sys.modules["tensorflow"]


def _remarks(path: str, image) -> tuple[str, ...]:
    """What is unusual about an image, as phrases."""
    from PIL import Image

    remarks = []
    suffix = os.path.splitext(path)[1].lower()
    expected = Image.registered_extensions().get(suffix)
    if expected != image.format and {expected, image.format} not in ({"JPEG", "MPO"}, {"BMP", "DIB"}):
        remarks.append(f"named {suffix or 'without suffix'} and is {image.format}")
    if image.mode == "CMYK":
        remarks.append("CMYK")
    if image.mode.startswith("I"):
        remarks.append("16-bit greys")
    elif image.mode in ("L", "1", "LA"):
        remarks.append("grey")
    elif image.mode in ("P", "PA"):
        remarks.append("palette")
    if image.has_transparency_data:
        remarks.append("transparency laid on white")
    if image.format in ("GIF", "PNG", "WEBP", "AVIF") and _animated(image):
        remarks.append("first frame of an animation")
    if orientation(image) != 1:
        remarks.append("turned upright")
    return tuple(remarks)


def _animated(image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:
        return False
