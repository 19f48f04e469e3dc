"""Loads data sets from folders, archives, URLs, TFRecord shards or by name, and checks every file."""

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kerascnn.data.builtin_datasets import load_named
from kerascnn.data.dataset import MADE_IN_PYTHON, DataSet, shortened
from kerascnn.data.ingestion.checking import Effort
from kerascnn.data.ingestion.data_options import OPTIONS, DataOptions
from kerascnn.data.ingestion.folder import Ingested, check_part, ingest_folder, label_folder
from kerascnn.data.ingestion.manifest import Part, is_among, read_parts
from kerascnn.data.ingestion.sources import ResolvedSource, is_built_in, normalized, resolve_source
from kerascnn.data.labeled_images import LabeledImages
from kerascnn.data.pipeline.tfrecords import load_records
from kerascnn.errors import InputError, closest
from kerascnn.files.progress import ByteTrack, Track, tracked_bytes, untracked, untracked_bytes

ON_BAD = ("skip", "fail", "move")

# The options that a data set without files takes.
SHARES = ("validation_fraction", "fold")


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
    found = ingest(source, options=options, track=track, track_bytes=tracked_bytes)
    return shortened(found.data, limit)


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
    if not _has_files(source, options):
        if to or sha256:
            raise InputError(f"{source} has no files to be checked; leave out --to and --sha256.")
        return _load_without_files(str(source), options, track)
    validation = _load_validation(source, options, track)
    resolved = _resolved(source, to, sha256, track_bytes)
    if on_bad == "move" and resolved.quarantine is None:
        raise InputError(f"{source} is unpacked to a temporary folder; give the folder for moved files with --to.")
    return ingest_folder(resolved, on_bad, track, options, validation)


@dataclass(frozen=True)
class IngestedPart:
    """A part of a source after its check.

    Attributes:
        part: such as "2/5".
        manifest: of the part.
        effort: what the check took.
        missing: the parts that no machine has checked yet.
        whole: the source after ingestion, when all parts are there.
    """

    part: str
    manifest: Path
    effort: Effort
    missing: tuple[str, ...]
    whole: Ingested | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything that `kerascnn ingest --shard --json` prints."""
        values = {**vars(self), "manifest": str(self.manifest), "effort": vars(self.effort)}
        return values | {"missing": list(self.missing), "whole": self.whole and self.whole.to_dict()}


def ingest_part(
    source: str | Path,
    part: str,
    *,
    to: str | Path | None = None,
    sha256: str | None = None,
    options: DataOptions = DataOptions(),
    track: Track = untracked,
    track_bytes: ByteTrack = untracked_bytes,
) -> IngestedPart:
    """Checks one part of a source's files, so that several machines share the work.

    Each writes the manifest of its part beside that of the whole source. The machine that finishes last finds all of
    them and ingests the whole source, which reads no file again; the result is that of `ingest`.

    Args:
        source, to, sha256, options, track, track_bytes: as for `ingest`. `to` should be on storage that all machines
            share; otherwise copy the part manifests into one folder, and give it to `ingest`.
        part: "2/5" for the second of five parts.

    Raises:
        InputError: there is nothing, or the manifest of another part is damaged or of another source.

    Example:
        >>> ingest_part("/shared/photos", "2/5", to="/shared/checked").missing
        ('1/5', '4/5')
    """
    wanted = Part.parse(part)
    if not _has_files(source, DataOptions()):
        raise InputError(f"{source} has no files to be checked; leave out --shard.")
    validation = _load_validation(source, options, track)
    resolved = _resolved(source, to, sha256, track_bytes)
    if is_among(resolved.manifest, resolved.root):
        raise InputError(f"{resolved.manifest.parent} is among the images of {source}; give another folder with --to.")
    path, effort = check_part(resolved, wanted, track, options)
    missing = read_parts(resolved.manifest, resolved.source_record).missing
    whole = None if missing else ingest_folder(resolved, "skip", track, options, validation)
    return IngestedPart(str(wanted), path, effort, tuple(map(str, missing)), whole)


def load_labeled(
    source: str | Path,
    *,
    options: DataOptions = DataOptions(),
    class_names: Collection[str] = (),
    track: Track = untracked,
) -> LabeledImages:
    """All images of a source with their classes, of every split; there may be one class only.

    Args:
        source: as for `ingest`.
        options: the columns of tables; what they say about validation images does not matter.
        class_names: classes that are known, such as a model's: a folder of images that is named like one of them
            holds its images.
        track: shows progress over an iterable of known length.

    Raises:
        InputError: there is nothing, or no image with a class.

    Example:
        >>> load_labeled("holdout").class_names
        ('Cat',)
    """
    options = replace(options, validation_source=None, validation_fraction=None, fold=None)
    if not _has_files(source, options):
        return LabeledImages.of(_load_without_files(str(source), options, track).data)
    return label_folder(resolve_source(str(source), None, None, untracked_bytes), track, options, class_names)


def _has_files(source: Any, options: DataOptions) -> bool:
    """Whether a source has files to be checked; data sets by name and TFRecord shards have none.

    InputError for data that are loaded already, and for options that a source without such files cannot follow.
    """
    if isinstance(source, DataSet):
        raise InputError("the data are loaded already, and are to be loaded again here; give their source.")
    if not isinstance(source, str | os.PathLike):
        raise InputError(f"data of the type {type(source).__name__} are no source; write {_constructor(source)}.")
    name = str(source)
    if name.endswith(MADE_IN_PYTHON):
        raise InputError(f"the data are {name}, and cannot be loaded again by that; use --data SOURCE, or Python.")
    if not is_built_in(name) and not _has_shards(name):
        return True
    useless = [OPTIONS[field] for field in options.to_dict() if not is_built_in(name) or field not in SHARES]
    if useless:
        split = "" if is_built_in(name) else ", and a fixed split"
        raise InputError(f"{name} has no folders and no tables{split}; leave out {useless[0]}.")
    return False


def _resolved(source: Any, to: Any, sha256: Any, track_bytes: ByteTrack) -> ResolvedSource:
    """The source's folder of images, after a check of the arguments' types."""
    for name, value, kind in (("to", to, str | os.PathLike), ("sha256", sha256, str)):
        if value is not None and not isinstance(value, kind):
            raise InputError(f"{name} must be a text, not {value!r}.")
    return resolve_source(str(source), Path(to) if to else None, sha256, track_bytes)


def _has_shards(name: str) -> bool:
    folder = os.path.expanduser(name)
    return os.path.isdir(folder) and any(Path(folder).glob("*.tfrecord"))


def _load_without_files(name: str, options: DataOptions, track: Track) -> Ingested:
    """A data set by its name, or of TFRecord shards."""
    if is_built_in(name):
        return Ingested(replace(load_named(name, options), options=options), "a built-in data set")
    return Ingested(load_records(Path(os.path.expanduser(name)), track=track), "TFRecord shards")


def _constructor(data: Any) -> str:
    """What to write for data that are in memory."""
    if hasattr(data, "element_spec"):
        return "kerascnn.data.from_dataset(dataset, class_names=…)"
    if hasattr(data, "columns"):
        return "kerascnn.data.from_table(table, file=…, label=…)"
    return "kerascnn.data.from_arrays(images, labels, class_names=…)"


def _load_validation(source: str | Path, options: DataOptions, track: Track) -> LabeledImages | None:
    """The images of `options.validation_source`."""
    other = options.validation_source
    if other is None:
        return None
    if normalized(other) == normalized(str(source)):
        raise InputError(f"--val-data and --data are both {other}; a model would be validated with what it trained on.")
    # Columns and the meaning of labels are those of both; folders are of `source` alone.
    options = replace(options, group_column=None, layout=None, leave_out=())
    return load_labeled(other, options=options, track=track)
