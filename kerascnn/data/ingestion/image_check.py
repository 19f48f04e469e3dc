"""Checks image files in parallel, with Pillow and with TensorFlow's decoder."""

import hashlib
import importlib
import os
import stat
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from kerascnn.cores import cores
from kerascnn.data.ingestion.image_formats import (
    UnreadableImageError,
    is_plain_jpeg,
    open_image,
    orientation,
    upright_rgb,
)
from kerascnn.data.ingestion.near_duplicates import SIDE, perceptual_hash
from kerascnn.files.progress import Track, untracked
from kerascnn.native_output import discarded_stderr, jpeg_damage_discarded

# Bytes; the largest uncompressed image. Films and disk images are not read at all.
MAX_FILE_SIZE = 600_000_000

# Both decoders release the interpreter's lock; one more thread covers waiting for the disk.
THREADS = cores() + 1

# Files per task of a thread, and files submitted at a time.
PORTION = 16
BLOCK = 256 * PORTION

# What is read of a file with several images.
SEVERAL = {
    **dict.fromkeys(("GIF", "PNG", "WEBP", "AVIF"), "first frame of an animation"),
    "TIFF": "first of several pages",
    "HEIF": "the main one of several images",
}

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
    and not decoded again if their SHA-256 is. `checked` gets the records that were not known.
    """
    from PIL import Image

    Image.init()

    def check_portion(start: int) -> list[tuple[FileRecord | None, FileRecord]]:
        portion = ((path, known(path)) for path in paths[start : start + PORTION])
        return [(earlier, check_image(root, path, earlier)) for path, earlier in portion]

    with jpeg_damage_discarded(), warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as threads:
        # Pillow's warnings are in the records or do not matter.
        warnings.simplefilter("ignore")
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
    """Checks one file; see `check_images`."""
    file, record = root / path, FileRecord(path, status=UNREADABLE)
    if known and not known.sha256:
        # The reason, such as a permission, may be gone without a change of size and time.
        known = None
    try:
        status = file.stat()
        record = replace(record, size=status.st_size, mtime_ns=status.st_mtime_ns)
        if not stat.S_ISREG(status.st_mode):
            return replace(record, reason="not a regular file")
        if known and (known.size, known.mtime_ns) == (record.size, record.mtime_ns):
            return known
        if status.st_size > MAX_FILE_SIZE:
            return replace(record, reason=f"{status.st_size / 1e6:.0f} MB, too large for an image")
        contents = file.read_bytes()
    except FileNotFoundError:
        return replace(record, reason="a broken link" if file.is_symlink() else "it is gone")
    except OSError as error:
        return replace(record, reason=(error.strerror or str(error)).lower())
    record = replace(record, sha256=hashlib.sha256(contents).hexdigest())
    if known and known.sha256 == record.sha256:
        return replace(known, size=record.size, mtime_ns=record.mtime_ns)
    return _decode(record, contents)


def _decode(record: FileRecord, contents: bytes) -> FileRecord:
    from PIL import Image

    try:
        with open_image(contents) as image:
            record = replace(record, format=image.format, width=image.width, height=image.height)
            if is_plain_jpeg(image) and _is_decodable(image, contents):
                record = replace(record, perceptual_hash=perceptual_hash(image))
                return replace(record, status=READ, decoder="tensorflow", warnings=_warnings(record.path, image))
        # Opened again, because the first was read in part.
        with open_image(contents) as image:
            found = _warnings(record.path, image)
            pixels = upright_rgb(image)
    except UnreadableImageError as error:
        return replace(record, reason=str(error))
    height, width, _ = pixels.shape
    record = replace(record, perceptual_hash=perceptual_hash(Image.fromarray(pixels)), warnings=found)
    return replace(record, status=READ, decoder="pillow", width=width, height=height)


def _is_decodable(image, contents: bytes) -> bool:
    """Whether Pillow and TensorFlow both decode a JPEG to its end.

    At an eighth of its size, or what the perceptual hash needs: the entropy-coded data, in which damage shows, are
    decoded in full; most of the arithmetic that follows, which cannot fail, is saved.
    """
    try:
        image.draft(image.mode, (2 * SIDE, 2 * SIDE))
        image.load()
        _tensorflow().io.decode_jpeg(contents, channels=3, ratio=8)
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


def _warnings(path: str, image) -> tuple[str, ...]:
    from PIL import Image

    suffix = os.path.splitext(path)[1].lower()
    expected, mode = Image.registered_extensions().get(suffix), image.mode
    wrong_suffix = expected != image.format and {expected, image.format} not in ({"JPEG", "MPO"}, {"BMP", "DIB"})
    several = None
    with suppress(Exception):
        several = SEVERAL.get(image.format) if getattr(image, "is_animated", False) else None
    found = {
        f"named {suffix or 'without suffix'} and is {image.format}": wrong_suffix,
        "CMYK": mode == "CMYK",
        "16-bit gray": mode.startswith("I"),
        "gray": mode in ("L", "1", "LA"),
        "palette": mode in ("P", "PA"),
        "transparency laid on white": image.has_transparency_data,
        "turned upright": orientation(image) != 1,
    }
    return (*(warning for warning, applies in found.items() if applies), *([several] if several else []))
