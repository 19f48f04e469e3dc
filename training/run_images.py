"""The images that a run began with, so that resuming it can tell what has changed, and what was lost in a training."""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import io
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from kerascnn.data.dataset import ArrayExamples, DataSet, Examples, FileExamples
from kerascnn.errors import InputError, first_of, one_line, refused
from kerascnn.files.atomic import atomic_write
from kerascnn.files.user_file import MAX_RATIO, read_bytes

MAX_NAMED = 3

# Bytes; a million images take 40 MB.
MAX_PACKED = 1 << 30


class _Image(NamedTuple):
    """What is known of an image: its class, and the first 16 digits of its SHA-256; "" if these are unknown."""

    label: str
    digest: str


# By split and name: the path below the data's folder.
_Images = dict[tuple[str, str], _Image]


class ImagesLostError(InputError):
    """Images were deleted or replaced while a training read them."""


def write_images(file: Path, data: DataSet) -> None:
    """Writes a line per training and validation image into a compressed CSV file: split, name, label, digest."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows((*key, *image) for key, image in _images(data).items())
    with atomic_write(file) as opened:
        opened.write(gzip.compress(text.getvalue().encode("utf-8", "surrogateescape"), mtime=0))


def changed_images(file: Path, data: DataSet) -> list[str]:
    """What differs between the images in a file of `write_images` and those of a data set, as phrases.

    Where the data are does not matter, only where each image is in them. Raises InputError if the file is damaged.
    """
    with refused(f"{file} cannot be read"):
        packed = read_bytes(file, MAX_PACKED)
        # Of multi-label data nearly all of an image's digits are 0.
        ratio = MAX_RATIO + (len(data.class_names) if data.multi_label else 0)
        most = ratio * len(packed)
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(packed)).read(most + 1)
        if len(unpacked) > most:
            raise ValueError(f"it unpacks to more than {ratio} times its size")
        text = unpacked.decode("utf-8", "surrogateescape")
        before = {(split, name): _Image(*image) for split, name, *image in csv.reader(io.StringIO(text, newline=""))}
    return _differences(before, _images(data))


def _differences(before: Mapping[tuple[str, str], _Image], now: _Images) -> list[str]:
    gone, new = before.keys() - now.keys(), now.keys() - before.keys()
    by_digest = defaultdict(list)
    for key in sorted(gone):
        if before[key].digest:
            by_digest[before[key].digest].append(key)
    renamed = {}
    for key in sorted(new):
        if same := by_digest.get(now[key].digest):
            renamed[same.pop(0)] = key
    gone, new = gone - renamed.keys(), new - set(renamed.values())
    both = sorted(before.keys() & now.keys())
    # Where the split follows from the contents, other contents may be in the other split.
    crossed = {name for _, name in gone} & {name for _, name in new}
    replaced = {name for split, name in both if _replaced(before[split, name], now[split, name])}
    found = {
        "replaced": sorted(replaced | crossed),
        "in another class": [name for split, name in both if before[split, name].label != now[split, name].label],
        "renamed or moved": [f"{_shown(old, new)} -> {_shown(new, old)}" for old, new in sorted(renamed.items())],
        "added": sorted({name for _, name in new} - crossed),
        "deleted": sorted({name for _, name in gone} - crossed),
    }
    return [
        f"{len(names)} image{'' if len(names) == 1 else 's'} {what} ({first_of(names, MAX_NAMED)})"
        for what, names in found.items()
        if names
    ]


def _replaced(before: _Image, now: _Image) -> bool:
    return bool(before.digest and now.digest) and before.digest != now.digest


def _shown(key: tuple[str, str], other: tuple[str, str]) -> str:
    """A name, with its split where that is another."""
    return key[1] if key[0] == other[0] else f"{key[1]} of the {key[0]} images"


def _images(data: DataSet) -> _Images:
    splits = {"training": data.training, "validation": data.validation}
    return {(split, name): image for split, examples in splits.items() for name, image in _described(examples)}


def _described(examples: Examples) -> Iterator[tuple[str, _Image]]:
    # Of multi-label images one digit per class.
    labels = (str(label) if label.ndim == 0 else "".join(map(str, label)) for label in examples.labels)
    if isinstance(examples, ArrayExamples):
        digests = (hashlib.sha256(image.tobytes()).hexdigest()[:16] for image in examples.images)
        names = (f"image {number}" for number in range(1, len(examples) + 1))
    elif isinstance(examples, FileExamples):
        known = examples.digests
        digests = iter([""] * len(examples)) if known is None else (f"{digest:016x}" for digest in known.tolist())
        names = (str(path).removeprefix(f"{examples.root}{os.sep}") for path in examples.paths)
    else:
        digests = iter([""] * len(examples))
        shards = [Path(shard).name for shard in examples.shards]
        places = zip(examples.shard.tolist(), examples.offset.tolist(), strict=True)
        names = (f"{shards[shard]}, byte {offset}" for shard, offset in places)
    return ((name, _Image(*image)) for name, *image in zip(names, labels, digests, strict=True))


@contextlib.contextmanager
def naming_lost_images(data: DataSet) -> Iterator[None]:
    """Turns an error of TensorFlow in the block into ImagesLostError, if images were deleted or replaced meanwhile."""
    import tensorflow as tf

    started = time.time()
    try:
        yield
    except tf.errors.OpError as error:
        if lost := _lost(data, started, error):
            raise ImagesLostError(lost) from None
        raise


def _lost(data: DataSet, started: float, error: Exception) -> str | None:
    files: set[str] = set()
    for examples in (data.training, data.validation):
        files.update(map(str, getattr(examples, "paths" if isinstance(examples, FileExamples) else "shards", ())))
    if gone := sorted(file for file in files if not os.path.isfile(file)):
        verb = "image is" if len(gone) == 1 else "images are"
        return f"{len(gone)} {verb} gone ({first_of(gone, MAX_NAMED)})"
    if changed := sorted(file for file in files if os.stat(file).st_mtime > started):
        verb = "image was" if len(changed) == 1 else "images were"
        return f"{len(changed)} {verb} replaced ({first_of(changed, MAX_NAMED)}: {one_line(error).rstrip('.')})"
    return None
