"""Large data in a few files: TFRecord shards, and an index that says what is where.

A folder of records holds `training-00000-of-00008.tfrecord` and so on, the same for the validation split, and
`index.json`. A record is a `tf.train.Example` with the features that TensorFlow's tools expect: `image/encoded` (the
bytes of an image file), `image/format` ("JPEG" or "PNG"), `image/class/label` (an int, from 0), `image/class/text`
and `image/filename`. JPEG files that can be read as they are keep their bytes; all others become PNG, upright and RGB.

The index holds the place of every record, so any image can be read alone: order stays a pure function of (seed,
epoch, position), and a worker reads what it needs of any shard.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kerascnn.data.dataset import ArrayExamples, DataSet, Examples, FileExamples, RecordExamples
from kerascnn.data.ingestion.image_formats import UnreadableImageError, decode_image
from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_write
from kerascnn.files.progress import Track, untracked

INDEX = "index.json"
FORMAT = "kerascnn records"
VERSION = 1
SPLITS = ("training", "validation")

# Around the bytes of a TFRecord: length and its checksum before, a checksum after.
HEADER, FOOTER = 12, 4
SHARD_BYTES = 128 * 2**20

# What the index holds of each record.
COLUMNS = {"offsets": np.int64, "plain": bool, "labels": int}


class EncodedImage(NamedTuple):
    """An image as it is kept."""

    contents: bytes
    plain: bool
    name: str


def write_records(data: DataSet, folder: Path, *, shards: int | None = None, track: Track = untracked) -> Path:
    """Writes a data set as TFRecord shards with an index.

    A shard gets its name when it is whole, and the index is written last; so a folder with an index is complete, and
    one without is refused by `load_records`. Images lie in the shards in the order that the data set has them in.

    Args:
        data: with files or arrays.
        folder: which is made; it must be empty but for what an interrupted writing left there, which is removed.
        shards: files a split, at most one an image; None for files of about 128 MiB.
        track: shows progress over an iterable of known length.

    Returns:
        The folder.

    Raises:
        InputError: the folder holds something else, there is no room, or an image cannot be read any more.

    Example:
        >>> write_records(kerascnn.data.load("pets.zip"), Path("pets-records"))
        >>> data = load_records(Path("pets-records"))
    """
    folder = Path(folder)
    if shards is not None and shards < 1:
        raise InputError(f"shards must be at least 1, not {shards}.")
    try:
        _prepare(folder)
        index: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "name": data.name,
            "source": data.source,
            "class_names": list(data.class_names),
            "allows_horizontal_flip": data.allows_horizontal_flip,
            "splits": {},
        }
        for split in SPLITS:
            examples = getattr(data, split)
            count = _shards(examples, shards)
            bounds = np.linspace(0, len(examples), count + 1).round().astype(int)
            index["splits"][split] = [
                _write_shard(
                    folder / f"{split}-{number:05d}-of-{count:05d}.tfrecord",
                    examples,
                    range(first, last),
                    data.class_names,
                    track,
                )
                for number, (first, last) in enumerate(itertools.pairwise(bounds))
            ]
        with atomic_write(folder / INDEX) as file:
            file.write(json.dumps(index, separators=(",", ":")).encode())
    except OSError as error:
        raise InputError(f"the records cannot be written to {folder}: {error.strerror or error}.") from None
    return folder


def _prepare(folder: Path) -> None:
    if (folder / INDEX).exists():
        raise InputError(f"{folder} holds records already; give another folder or remove it.")
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():
        if entry.suffix != ".tfrecord" and not entry.name.endswith(".partial"):
            raise InputError(f"{folder} holds something else already ({entry.name}); give an empty folder.")
    for entry in folder.iterdir():
        entry.unlink()


def _shards(examples: Examples, shards: int | None) -> int:
    if shards is None:
        shards = -(-_size(examples) // SHARD_BYTES)
    return max(1, min(shards, len(examples)))


def _size(examples: Examples) -> int:
    if isinstance(examples, ArrayExamples):
        return examples.images.nbytes
    if isinstance(examples, RecordExamples):
        return sum(os.stat(path).st_size for path in examples.shards)
    return sum(os.stat(path).st_size for path in examples.paths)


def _write_shard(
    path: Path, examples: Examples, indices: range, class_names: tuple[str, ...], track: Track
) -> dict[str, Any]:
    import tensorflow as tf

    offsets, plain, end = [], [], 0
    labels = [int(examples.labels[index]) for index in indices]
    with atomic_write(path) as file:
        # The writer of TensorFlow, which knows the checksums, writes into the file by its name.
        with tf.io.TFRecordWriter(file.name) as writer:
            images = (_kept(examples, index) for index in indices)
            for image, label in zip(track(images, len(indices), f"Writing {path.name}"), labels, strict=True):
                record = _record(image, label, class_names[label])
                writer.write(record)
                offsets.append(end)
                plain.append(int(image.plain))
                end += HEADER + len(record) + FOOTER
        with open(file.name, "rb") as written:
            digest = hashlib.file_digest(written, "sha256")
    return {
        "file": path.name,
        "bytes": end,
        "sha256": digest.hexdigest(),
        "offsets": offsets,
        "plain": plain,
        "labels": labels,
    }


def _record(image: EncodedImage, label: int, class_name: str) -> bytes:
    import tensorflow as tf

    def text(value: bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    features = {
        "image/encoded": text(image.contents),
        "image/format": text(b"JPEG" if image.plain else b"PNG"),
        "image/class/label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        "image/class/text": text(class_name.encode()),
        "image/filename": text(os.fsencode(image.name)),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _kept(examples: Examples, index: int) -> EncodedImage:
    if isinstance(examples, ArrayExamples):
        return EncodedImage(_png(examples.images[index]), False, str(index))
    if isinstance(examples, RecordExamples):
        raise InputError("records cannot be written from records; copy the folder.")
    return _kept_file(examples, index)


def _kept_file(examples: FileExamples, index: int) -> EncodedImage:
    path = Path(examples.paths[index])
    contents = path.read_bytes()
    name = f"{path.parent.name}/{path.name}"
    if examples.plain[index]:
        return EncodedImage(contents, True, name)
    try:
        return EncodedImage(_png(decode_image(contents)), False, name)
    except UnreadableImageError as error:
        raise InputError(f"{path} cannot be read: {error}.") from None


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def is_records(folder: Path) -> bool:
    """Whether a folder looks like one that `write_records` made, whole or not."""
    return (folder / INDEX).exists() or any(folder.glob("*-of-*.tfrecord"))


def load_records(folder: Path, *, verify: bool = False, track: Track = untracked) -> DataSet:
    """A folder of records as a data set.

    Args:
        folder: what `write_records` made.
        verify: also compare the shards' contents with their SHA-256; otherwise names and sizes are compared, and
            training checks the checksum of each record that it reads.
        track: shows progress over an iterable of known length.

    Raises:
        InputError: there is no index, it is damaged or of another version, or a shard is missing or damaged.
    """
    folder = Path(folder)
    index = _read_index(folder)
    try:
        splits = {split: _examples(folder, index["splits"][split], len(index["class_names"])) for split in SPLITS}
        entries = [entry for split in SPLITS for entry in index["splits"][split]]
        for entry in track(entries, len(entries), "Checking shards"):
            _check_shard(folder / entry["file"], entry, verify)
        return DataSet(
            name=index["name"],
            source=str(folder.resolve()),
            class_names=tuple(index["class_names"]),
            allows_horizontal_flip=bool(index["allows_horizontal_flip"]),
            **splits,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise InputError(f"{folder / INDEX} is damaged; write the records again.") from None


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    try:
        index = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{folder} has no {INDEX}: its writing did not end; write the records again.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is damaged; write the records again.") from None
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise InputError(f"{path} is no index of records that kerascnn wrote.")
    if index.get("version") != VERSION:
        raise InputError(f"{path} has version {index.get('version')}, and this kerascnn reads version {VERSION}.")
    return index


def _examples(folder: Path, entries: list[dict[str, Any]], classes: int) -> RecordExamples:
    counts = [len(entry["offsets"]) for entry in entries]
    if any(len(entry[key]) != count for entry, count in zip(entries, counts, strict=True) for key in COLUMNS):
        raise ValueError
    if any(Path(entry["file"]).name != entry["file"] for entry in entries):
        raise ValueError
    offset, plain, labels = (
        np.array([value for entry in entries for value in entry[key]], kind) for key, kind in COLUMNS.items()
    )
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes and offset.min() >= 0):
        raise ValueError
    shards = np.array([str(folder.resolve() / entry["file"]) for entry in entries], dtype=object)
    return RecordExamples(shards, np.repeat(np.arange(len(entries)), counts), offset, plain, labels)


def _check_shard(path: Path, entry: dict[str, Any], verify: bool) -> None:
    try:
        size = path.stat().st_size
        if size != entry["bytes"]:
            raise InputError(f"{path} has {size} bytes instead of {entry['bytes']}; copy or write the records again.")
        if verify:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                    raise InputError(f"{path} is damaged; copy or write the records again.")
    except FileNotFoundError:
        raise InputError(f"{path} is missing; copy or write the records again.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
