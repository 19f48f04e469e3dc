"""Loads data sets from folders, archives, URLs, TFRecord shards or by name, and checks every file."""

from __future__ import annotations

from pathlib import Path

from kerascnn.data.builtin_datasets import load_named
from kerascnn.data.dataset import DataSet, shortened
from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.folder import Ingested, ingest_folder
from kerascnn.data.ingestion.sources import resolve_source
from kerascnn.data.pipeline.tfrecords import load_records
from kerascnn.errors import InputError, closest
from kerascnn.files.progress import ByteTrack, Track, untracked, untracked_bytes

ON_BAD = ("skip", "fail", "move")


def load(
    source: str | Path,
    *,
    limit: int | None = None,
    options: DataOptions = DataOptions(),
    track: Track = untracked,
) -> DataSet:
    """Loads a data set: `ingest(source).data`, or a part of it.

    Args:
        source: as for `ingest`.
        limit: the maximal number of images in both splits together.
        options: the columns of tables, and which images are held out.
        track: shows progress over an iterable of known length.

    Returns:
        The data set; files that cannot be read as images are in its `skipped`.

    Raises:
        InputError: there is nothing, or no images in at least two classes.

    Example:
        >>> load("pets.zip").class_names
        ('Cat', 'Dog')
    """
    return shortened(ingest(source, options=options, track=track).data, limit)


def ingest(
    source: str | Path,
    *,
    to: str | Path | None = None,
    on_bad: str = "skip",
    sha256: str | None = None,
    options: DataOptions = DataOptions(),
    track: Track = untracked,
    track_bytes: ByteTrack = untracked_bytes,
) -> Ingested:
    """Downloads, unpacks, recognizes, checks and splits a source, and writes the results to a manifest.

    Files that were checked before and have not changed are not read again.

    Args:
        source: "digits", "keras:cifar10" or another of Keras' data sets, "tfds:" and the name of a TensorFlow
            Dataset, an http(s) URL or path of a .zip or .tar (also .gz, .bz2, .xz, .zst), a folder of images or of
            TFRecord shards, or the `to` of an earlier call.
        to: folder for the unpacked images of an archive, the manifest and moved files. Without it archives are
            unpacked to a temporary folder, and manifests are stored in the user's cache
            (`kerascnn.files.cache_folder`).
        on_bad: for files that cannot be read as images: "skip" leaves them in place and out of the data set; "fail"
            raises an error; "move" moves them to a quarantine folder with a list of reasons.
        sha256: of the archive, in hexadecimal.
        options: the columns of tables, and which images are held out.
        track: shows progress over an iterable of known length.
        track_bytes: shows the bytes of a download, and of an archive's unpacked contents.

    Raises:
        InputError: there is nothing, no images in at least two classes, or `on_bad` is "fail" and a file is bad.

    Example:
        >>> found = ingest("photos")
        >>> found.layout
        'one subfolder per class'
        >>> [file.path for file in found.with_status("unreadable")]
        ['cat/666.jpg']
    """
    if on_bad not in ON_BAD:
        raise InputError(f"there is no treatment '{on_bad}' of unreadable files; {closest(str(on_bad), ON_BAD)}")
    name, folder, without_files = str(source), Path(source).expanduser(), None
    if name == "digits" or name.startswith(("keras:", "tfds:")):
        without_files = Ingested(load_named(name), "a built-in data set")
    elif any(folder.glob("*.tfrecord")):
        without_files = Ingested(load_records(folder, track=track), "TFRecord shards")
    if without_files and options != DataOptions():
        raise InputError(f"{source} has a fixed split and no tables; leave out {', '.join(options.to_dict())}.")
    if without_files and (to or sha256):
        raise InputError(f"{source} has no files to be checked; leave out --to and --sha256.")
    if without_files:
        return without_files
    resolved = resolve_source(str(source), Path(to) if to else None, sha256, track_bytes)
    if on_bad == "move" and resolved.quarantine is None:
        raise InputError(f"{source} is unpacked to a temporary folder; give the folder for moved files with --to.")
    return ingest_folder(resolved, on_bad, track, options)
