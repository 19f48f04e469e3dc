"""Resolves a source to a folder of images: downloads and unpacks it if needed."""

import errno
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kerascnn.data.ingestion import manifest
from kerascnn.data.ingestion.file_tree import OWN_FILES
from kerascnn.data.ingestion.image_check import REJECTED, FileRecord
from kerascnn.data.ingestion.manifest import SourceRecord
from kerascnn.errors import InputError, refused, writing
from kerascnn.files.archives.archive import HEAD, archive_stem, archive_suffix, unpack
from kerascnn.files.cache_folder import cache_folder, short_hash
from kerascnn.files.checksums import Checksum
from kerascnn.files.download import download, is_url, url_file_name
from kerascnn.files.progress import ByteTrack
from kerascnn.files.secret_urls import concealed, revealed
from kerascnn.files.temporary import TemporaryFolder
from kerascnn.files.user_file import checked_file, open_file
from kerascnn.shown_text import printable

# In the folder that the user gives with --to.
IMAGES = "images"
QUARANTINE = "kerascnn-quarantine"


@dataclass(frozen=True)
class ResolvedSource:
    """The folder of a source's images, and the paths of the files about them."""

    source: str  # loads the same images again
    root: Path  # the folder of images
    source_record: SourceRecord  # the manifest's first line
    manifest: Path
    quarantine: Path | None  # the folder to which `--on-bad move` moves files; None for a temporary folder of images
    rejected: tuple[FileRecord, ...] | None = None  # files of the archive that were not unpacked, unless listed there
    workspace: TemporaryFolder | None = None  # keeps a temporary folder alive


def resolve_source(source: str, to: Path | None, sha256: str | None, track_bytes: ByteTrack) -> ResolvedSource:
    """Finds a source's images, and downloads and unpacks them if needed; see `kerascnn.data.ingest`.

    InputError if there is nothing, no archive and no folder, or another archive than `sha256` says.
    """
    if not source.strip():
        # As a path it would be the working directory.
        raise InputError("an empty text is no source of data; give a folder, an archive, a URL or a data set's name.")
    if is_url(source := concealed(source)):
        return _resolve_url(source, to, sha256, track_bytes)
    path = Path(os.path.expanduser(source))
    # Not `path.exists()`, which fails where a path is too long.
    if os.path.isdir(path):
        if sha256:
            raise InputError(f"a SHA-256 is of one file, and {path} is a folder; leave it out.")
        return _resolve_folder(path.resolve(), to)
    if not os.path.exists(path):
        raise InputError(
            f"there is no data at {printable(str(path))}; give 'digits', 'keras:NAME' such as keras:cifar10, "
            "'tfds:NAME', a folder with one subfolder per class, or an archive or its URL."
        )
    stem = archive_stem(path) or path.stem
    with refused(f"{path} cannot be read"), open_file(checked_file(path)) as file:
        if archive_stem(path) is None and archive_suffix(file.read(HEAD)) is None:
            raise InputError(f"{path} is neither a folder nor a .zip or .tar of one; give the folder of the images.")
    if sha256 and (found := Checksum.of(path).digits) != sha256.strip().lower():
        raise InputError(f"{path} has the SHA-256 {found}, not {sha256}.")
    status = path.stat()
    identity = f"{status.st_size} bytes of {status.st_mtime_ns}"
    return _unpack(SourceRecord(str(path.resolve()), slug(stem), IMAGES, identity), to, lambda: path, track_bytes)


def is_built_in(source: str) -> bool:
    """Whether it is the name of a data set, although there may be a folder of that name."""
    return source == "digits" or source.startswith(("keras:", "tfds:"))


def normalized(source: str) -> str:
    """The source as data sets have it: paths are absolute, and URLs without their secrets."""
    path = os.path.expanduser(source)
    is_path = not is_url(source) and not is_built_in(source) and os.path.exists(path)
    return os.path.realpath(path) if is_path else concealed(source)


def known_manifest(source: str) -> Path | None:
    """The path of the manifest of a source that was ingested before, without unpacking it; None if there is none."""
    cached = (cache_folder() / "manifests").glob(f"*-{short_hash(concealed(source))}.jsonl")
    beside = Path(source) / manifest.NAME
    record = manifest.read_source_record(beside)
    own = [beside] if record and manifest.was_written_here(beside, record) else []
    return next(filter(os.path.isfile, (*own, *cached)), None)


def slug(name: str) -> str:
    """The name without characters that are special in paths or shells, and not too long for them."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name)[:80].strip("-.") or "data"


def _resolve_folder(folder: Path, to: Path | None) -> ResolvedSource:
    path = folder / manifest.NAME
    earlier = manifest.read_source_record(path)
    if earlier and to is None:
        if manifest.was_written_here(path, earlier) and (folder / earlier.folder).is_dir():
            return _with_manifest_in(folder, earlier)
        if all(map(OWN_FILES.fullmatch, os.listdir(folder))):
            raise InputError(
                f"{path} is of the images in {printable(earlier.folder)}, and was not written here by you; give their "
                "folder, if you trust it."
            )
    record = SourceRecord(str(folder), slug(folder.name), str(folder))
    if to is not None:
        return _with_manifest_in(to.expanduser().resolve(), record)
    # Nothing is written to the user's folder unless --to says so.
    quarantine = folder.with_name(f"{folder.name}-quarantine")
    return ResolvedSource(record.source, folder, record, _cached_manifest(record), quarantine)


def source_in_place(source: str, name: str, folder: Path) -> ResolvedSource:
    """Images in a folder that only this program can name; nothing is written there."""
    record = SourceRecord(source, slug(name), str(folder))
    return ResolvedSource(source, folder, record, _cached_manifest(record), None)


def _cached_manifest(record: SourceRecord) -> Path:
    return cache_folder() / "manifests" / f"{record.name}-{short_hash(record.source)}.jsonl"


def _with_manifest_in(to: Path, record: SourceRecord) -> ResolvedSource:
    return ResolvedSource(str(to), (to / record.folder).resolve(), record, to / manifest.NAME, to / QUARANTINE)


def _resolve_url(url: str, to: Path | None, sha256: str | None, track_bytes: ByteTrack) -> ResolvedSource:
    stem = archive_stem(Path(url_file_name(url)))
    folder = (to.expanduser() / "download") if to else cache_folder() / "downloads" / short_hash(url)
    record = SourceRecord(url, slug(stem or "data"), IMAGES)
    resolved = _unpack(
        record, to, lambda: download(revealed(url), folder, sha256=sha256, track=track_bytes), track_bytes
    )
    if to:
        # The images are unpacked; the archive is not needed.
        shutil.rmtree(folder, ignore_errors=True)
    return resolved


def _unpack(
    record: SourceRecord, to: Path | None, get_archive: Callable[[], Path], track_bytes: ByteTrack
) -> ResolvedSource:
    """Unpacks an archive, unless its images are there; only then the archive is needed."""
    if to is None:
        workspace = TemporaryFolder()
        root = Path(workspace.name)
        rejected = _unpacked(get_archive(), root, track_bytes)
        return ResolvedSource(record.source, root, record, _cached_manifest(record), None, rejected, workspace)
    to = to.expanduser().resolve()
    root, resolved = to / IMAGES, _with_manifest_in(to, record)
    if os.path.exists(root):
        _require_same_source(resolved, record)
        return resolved
    archive = get_archive()
    # Unpacked to a temporary folder and renamed, so that an interrupted unpacking never looks complete.
    with writing(to):
        to.mkdir(parents=True, exist_ok=True)
        temporary = TemporaryFolder(to, ".kerascnn-unpacking-")
    with temporary:
        unfinished = Path(temporary.name)
        try:
            # The manifest before the images, which without one are of an unknown source.
            manifest.write_manifest(resolved.manifest, record, _unpacked(archive, unfinished, track_bytes))
            unfinished.chmod(0o755)
            unfinished.rename(root)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            # Another machine that shares the folder was faster.
            _require_same_source(resolved, record)
    return resolved


def _require_same_source(resolved: ResolvedSource, record: SourceRecord) -> None:
    earlier = manifest.read_source_record(resolved.manifest)
    path, images = resolved.manifest, resolved.manifest.with_name(IMAGES)
    # A link among what was downloaded could lead to any images.
    if earlier and images.is_symlink() and not manifest.was_written_here(path, earlier):
        earlier = None
    if earlier is None or (earlier.source, earlier.identity) != (record.source, record.identity):
        found = f"the images of {earlier.source}" if earlier else "images of an unknown source"
        raise InputError(f"{resolved.root} holds {found}; remove it or give another --to.")


def _unpacked(archive: Path, folder: Path, track_bytes: ByteTrack) -> tuple[FileRecord, ...]:
    """Unpacks an archive; returns the files that were rejected."""
    skipped = unpack(archive, folder, track=track_bytes)
    return tuple(FileRecord(file.path, status=REJECTED, reason=file.reason) for file in skipped)
