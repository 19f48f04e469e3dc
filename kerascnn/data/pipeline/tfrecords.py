"""Large data sets in a few files: TFRecord shards, and an index with the offset of every record.

A folder of records holds `training-00000-of-00008.tfrecord` and so on, the same for the validation and the test split,
and `index.json`. A record is a `tf.train.Example` with the features that TensorFlow's tools expect: `image/encoded`
(the bytes of an image file), `image/format` ("JPEG" or "PNG"), `image/class/label` (an int, from 0), `image/class/text`
and `image/filename`; multi-label data have one label and one text for each class of the image. JPEG files that
TensorFlow reads directly keep their bytes; others become PNG, upright, RGB or gray.

With the index any image can be read alone: order stays a pure function of (seed, epoch, position), and a worker reads
its images from any shard.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.data.dataset import ArrayExamples, DataSet, Examples, RecordExamples
from kerascnn.data.ingestion.image_formats import UnreadableImageError, decode_image
from kerascnn.errors import InputError, refused, writing
from kerascnn.files.atomic import atomic_write
from kerascnn.files.checksums import Checksum
from kerascnn.files.progress import Track, untracked
from kerascnn.files.user_file import open_file, read_text
from kerascnn.image_shape import GRAY
from kerascnn.lazy_tensorflow import tf

INDEX = "index.json"
FORMAT = "kerascnn records"
VERSION = 1
SPLITS = ("training", "validation")
TEST = "test"  # A split that a data set need not have

# Bytes of a TFRecord around its contents: length and checksum before, a checksum after.
HEADER, FOOTER = 12, 4
SHARD_BYTES = 128 * 2**20
MAX_INDEX = 2 << 30  # Bytes; a hundred million records

# The values in the index for each record; "labels" has an int, or of multi-label data a list of them.
COLUMNS = ("offsets", "plain", "labels")


def write_records(data: DataSet, folder: Path, *, shards: int | None = None, track: Track = untracked) -> Path:
    """Writes a data set as TFRecord shards with an index.

    A shard gets its name when it is complete, and the index is written last. A folder with an index is therefore
    complete, and `load_records` rejects a folder without one. Images keep the order of the data set.

    Args:
        data: with files or arrays.
        folder: is created; it must be empty except for the files of an interrupted write, which are removed.
        shards: files per split, at most one per image; None for files of about 128 MiB.
        track: shows progress over an iterable of known length.

    Returns:
        The folder.

    Raises:
        InputError: the folder holds other files, the disk is full, or an image can no longer be read.

    Example:
        >>> write_records(kerascnn.data.load("pets.zip"), Path("pets-records"))
        >>> data = load_records(Path("pets-records"))
    """
    folder = Path(folder)
    if shards is not None and not (isinstance(shards, int) and shards >= 1):
        raise InputError(f"shards must be a whole number, at least 1, not {shards!r}.")
    splits = SPLITS if data.test is None else (*SPLITS, TEST)
    if any(isinstance(getattr(data, split), RecordExamples) for split in splits):
        raise InputError("records cannot be written from records; copy the folder.")
    with writing(f"the records in {folder}"):
        if (folder / INDEX).exists():
            raise InputError(f"{folder} already holds records; give another folder or remove it.")
        folder.mkdir(parents=True, exist_ok=True)
        for entry in folder.iterdir():
            if entry.suffix not in (".tfrecord", ".partial"):
                raise InputError(f"{folder} already holds other files ({entry.name}); give an empty folder.")
        for entry in folder.iterdir():
            entry.unlink()
        index = {
            "format": FORMAT,
            "version": VERSION,
            "name": data.name,
            "source": data.source,
            "class_names": list(data.class_names),
            **({"multi_label": True} if data.multi_label else {}),
            "allows_horizontal_flip": data.allows_horizontal_flip,
            "median_size": data.median_size,
            "splits": {split: _write_split(data, split, folder, shards, track) for split in splits},
        }
        with atomic_write(folder / INDEX) as file:
            file.write(json.dumps(index, separators=(",", ":")).encode())
    return folder


def _write_split(data: DataSet, split: str, folder: Path, shards: int | None, track: Track) -> list[dict[str, Any]]:
    examples: Examples = getattr(data, split)
    if shards is None:
        in_memory = isinstance(examples, ArrayExamples)
        size = examples.images.nbytes if in_memory else sum(os.stat(path).st_size for path in examples.paths)
        shards = -(-size // SHARD_BYTES)
    count = max(1, min(shards, len(examples)))
    bounds = np.linspace(0, len(examples), count + 1).round().astype(int)
    paths = [folder / f"{split}-{number:05d}-of-{count:05d}.tfrecord" for number in range(count)]
    return [
        _write_shard(path, examples.take(np.arange(first, last)), first, data.class_names, track)
        for path, (first, last) in zip(paths, itertools.pairwise(bounds), strict=True)
    ]


def _write_shard(
    path: Path, examples: Examples, first: int, class_names: tuple[str, ...], track: Track
) -> dict[str, Any]:
    offsets, end = [], 0
    plain = [0] * len(examples) if isinstance(examples, ArrayExamples) else examples.plain.astype(int).tolist()
    multi_label = examples.labels.ndim == 2
    labels = [np.flatnonzero(row).tolist() for row in examples.labels] if multi_label else examples.labels.tolist()
    with atomic_write(path) as file:
        # TensorFlow's writer computes the checksums; it opens the file by its name.
        with tf.io.TFRecordWriter(file.name) as writer:
            for index in track(range(len(examples)), len(examples), f"Writing {path.name}"):
                record = _record(examples, index, first, class_names)
                writer.write(record)
                offsets.append(end)
                end += HEADER + len(record) + FOOTER
        digits = Checksum.of(Path(file.name)).digits
    columns = {"offsets": offsets, "plain": plain, "labels": labels}
    return {"file": path.name, "bytes": end, "sha256": digits, **columns}


def _record(examples: Examples, index: int, first: int, class_names: tuple[str, ...]) -> bytes:
    row, plain = examples.labels[index], False
    labels = np.flatnonzero(row) if examples.labels.ndim == 2 else [row]
    if isinstance(examples, ArrayExamples):
        contents, name = _png(examples.images[index]), str(first + index)
    else:
        path, plain = Path(examples.paths[index]), examples.plain[index]
        contents, name = path.read_bytes(), f"{path.parent.name}/{path.name}"
        try:
            contents = contents if plain else _png(decode_image(contents))
        except UnreadableImageError as error:
            raise InputError(f"{path} cannot be read: {error}.") from None
    texts = {
        "image/encoded": [contents],
        "image/format": [b"JPEG" if plain else b"PNG"],
        "image/class/text": [class_names[label].encode() for label in labels],
        "image/filename": [os.fsencode(name)],
    }
    features = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=values)) for name, values in texts.items()}
    features["image/class/label"] = tf.train.Feature(int64_list=tf.train.Int64List(value=labels))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == GRAY else image).save(buffer, "PNG")
    return buffer.getvalue()


def load_records(folder: Path, *, verify: bool = False, track: Track = untracked) -> DataSet:
    """A folder of records as a data set.

    Args:
        folder: written by `write_records`.
        verify: also compares the shards' contents with their SHA-256. Otherwise names and sizes are compared, and
            training verifies the checksum of each record that it reads.
        track: shows progress over an iterable of known length.

    Raises:
        InputError: the index is missing, damaged or of another version, or a shard is missing or damaged.
    """
    folder = Path(folder)
    index = _read_index(folder)
    with refused(f"{folder / INDEX} is damaged; write the records again"):
        classes, multi_label = tuple(index["class_names"]), bool(index.get("multi_label"))
        names = (*SPLITS, TEST) if TEST in index["splits"] else SPLITS
        splits = {split: _examples(folder, index["splits"][split], len(classes), multi_label) for split in names}
        shards = [shard for split in names for shard in index["splits"][split]]
        for shard in track(shards, len(shards), "Checking shards"):
            _check_shard(folder / shard["file"], shard, verify)
        given = {"allows_horizontal_flip": bool(index["allows_horizontal_flip"])}
        given["median_size"] = tuple(map(int, index["median_size"])) if index.get("median_size") else None
        return DataSet(index["name"], str(folder.resolve()), classes, **splits, **given)


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    if not path.exists():
        raise InputError(f"{folder} has no {INDEX}: writing did not finish; write the records again.")
    with refused(f"{path} is damaged; write the records again"):
        index = json.loads(read_text(path, MAX_INDEX))
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise InputError(f"{path} is not an index of records that kerascnn wrote.")
    if index.get("version") != VERSION:
        raise InputError(f"{path} has version {index.get('version')}, but this kerascnn reads version {VERSION}.")
    return index


def _examples(folder: Path, shards: list[dict[str, Any]], classes: int, multi_label: bool) -> RecordExamples:
    """The examples of a split; ValueError where the index contradicts itself."""
    counts = [len(shard["offsets"]) for shard in shards]
    if any(len(shard[key]) != count for shard, count in zip(shards, counts, strict=True) for key in COLUMNS):
        raise ValueError
    if any(Path(shard["file"]).name != shard["file"] for shard in shards):
        raise ValueError
    values = {key: [value for shard in shards for value in shard[key]] for key in COLUMNS}
    offset, plain = np.array(values["offsets"], np.int64), np.array(values["plain"], bool)
    flat = list(itertools.chain.from_iterable(values["labels"])) if multi_label else values["labels"]
    labels = np.array(flat, int)
    if min(labels.min(initial=0), offset.min(initial=0)) < 0 or labels.max(initial=0) >= classes:
        raise ValueError
    if multi_label:
        rows, columns = np.repeat(np.arange(len(offset)), list(map(len, values["labels"]))), labels
        labels = np.zeros((len(offset), classes), np.uint8)
        labels[rows, columns] = 1
    paths = np.array([str(folder.resolve() / shard["file"]) for shard in shards], dtype=object)
    return RecordExamples(paths, np.repeat(np.arange(len(shards)), counts), offset, plain, labels)


def _check_shard(path: Path, shard: dict[str, Any], verify: bool) -> None:
    try:
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size != shard["bytes"]:
                problem = f"has {size} bytes instead of {shard['bytes']}"
            elif verify and hashlib.file_digest(file, "sha256").hexdigest() != shard["sha256"]:
                problem = "is damaged"
            else:
                return
    except OSError as error:
        problem = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
    raise InputError(f"{path} {problem}; copy or write the records again.")
