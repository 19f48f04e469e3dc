"""From a source to a data set whose every file is accounted for."""

from __future__ import annotations

from pathlib import Path

from kerascnn.data.builtin_datasets import load_named
from kerascnn.data.dataset import DataSet, RecordExamples, shortened
from kerascnn.data.digits import load_digits
from kerascnn.data.ingestion.folder import Ingested, ingest_folder
from kerascnn.data.ingestion.sources import resolve_source
from kerascnn.data.pipeline.tfrecords import load_records
from kerascnn.errors import InputError, closest
from kerascnn.files.progress import ByteTrack, Track, untracked, untracked_bytes

NAMED = ("keras:", "tfds:")
EMBEDDED = {"digits": load_digits}
ON_BAD = ("skip", "fail", "move")


def load(source: str | Path, *, limit: int | None = None, track: Track = untracked) -> DataSet:
    """Reads a data set: `ingest(source).data`, or a part of it.

    Args:
        source: as for `ingest`.
        limit: use at most so many images, over both splits.
        track: shows progress over an iterable of known length.

    Returns:
        The data set; files that cannot be read as images are in its `skipped`.

    Raises:
        InputError: nothing is there, or it is not images in at least two classes.

    Example:
        >>> data = load("pets.zip")
        >>> data.class_names
        ('Cat', 'Dog')
    """
    return shortened(ingest(source, track=track).data, limit)


def ingest(
    source: str | Path,
    *,
    to: str | Path | None = None,
    on_bad: str = "skip",
    sha256: str | None = None,
    track: Track = untracked,
    track_bytes: ByteTrack = untracked_bytes,
) -> Ingested:
    """Fetches, unpacks, recognizes, checks and splits a source, and keeps what it found in a manifest.

    Files that were checked before and have not changed are not read again.

    Args:
        source: "digits", "keras:cifar10" or another of Keras' data sets, "tfds:" and the name of a TensorFlow
            Dataset, an http(s) URL or path of a .zip or .tar (also .gz, .bz2, .xz, .zst), a folder of images or of
            TFRecord shards, or what was `to` before.
        to: gets the unpacked images of an archive, the manifest and what is moved. Without it archives are unpacked
            to a temporary folder and manifests kept in the user's cache (`kerascnn.files.cache_folder`).
        on_bad: what is done with a file that cannot be read as an image: "skip" leaves it where it is and out of the
            data set; "fail" refuses the source; "move" moves it to a quarantine folder with a list of reasons.
        sha256: of the archive, in hexadecimal.
        track: shows progress over an iterable of known length.
        track_bytes: shows the bytes of a download, and of what an archive unpacks to.

    Raises:
        InputError: nothing is there, it is not images in at least two classes, or `on_bad` is "fail" and a file is.

    Example:
        >>> found = ingest("photos")
        >>> found.layout
        'one folder a class'
        >>> [entry.path for entry in found.with_status("unreadable")]
        ['cat/666.jpg']
    """
    if on_bad not in ON_BAD:
        raise InputError(f"there is no treatment '{on_bad}' of unreadable files; {closest(str(on_bad), ON_BAD)}")
    ready = _ready_made(str(source), track)
    if ready:
        if to or sha256:
            raise InputError(f"{source} has no files to be checked; leave out --to and --sha256.")
        kind = "TFRecord shards" if isinstance(ready.training, RecordExamples) else "a data set with a name"
        return Ingested(ready, kind)
    place = resolve_source(str(source), Path(to) if to else None, sha256, track_bytes)
    if on_bad == "move" and place.quarantine is None:
        raise InputError(f"{source} is unpacked to a temporary folder; say with --to where files are to be moved.")
    return ingest_folder(place, on_bad, track)


def _ready_made(source: str, track: Track) -> DataSet | None:
    """The data set that needs no checking: one with a name, or records; None where the source is another."""
    if source in EMBEDDED:
        return EMBEDDED[source]()
    if source.startswith(NAMED):
        return load_named(source)
    if next(Path(source).expanduser().glob("*.tfrecord"), None):
        return load_records(Path(source).expanduser(), track=track)
    return None
