"""From what a user names to a folder of images."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kerascnn.data.ingestion import manifest
from kerascnn.data.ingestion.image_check import REFUSED, FileRecord
from kerascnn.errors import InputError
from kerascnn.files.archives.archive import HEAD, archive_stem, recognized, unpack
from kerascnn.files.archives.archive_entry import SkippedFile
from kerascnn.files.cache_folder import cache_folder, short_hash
from kerascnn.files.download import fetch, is_url
from kerascnn.files.progress import ByteTrack

# Below the folder that the user names for it.
IMAGES = "images"
QUARANTINE = "kerascnn-quarantine"


@dataclass(frozen=True)
class ResolvedSource:
    """Where a source's images lie, and what is kept about them where.

    Attributes:
        source: what to ask for to come here again.
        root: the folder of images.
        origin: what the manifest says of it.
        manifest: its file.
        quarantine: where `--on-bad move` moves files to; None where there is no lasting place.
        refused: what the archive held and was not unpacked.
        workspace: keeps a temporary folder alive.
    """

    source: str
    root: Path
    origin: manifest.SourceRecord
    manifest: Path
    quarantine: Path | None
    refused: tuple[FileRecord, ...] = ()
    workspace: tempfile.TemporaryDirectory | None = None


def resolve_source(source: str, to: Path | None, sha256: str | None, track_bytes: ByteTrack) -> ResolvedSource:
    """Finds a source's images: downloads and unpacks what has to be.

    Args:
        source: an http(s) URL or path of an archive, a folder, or a folder that an earlier call was given as `to`.
        to: where to unpack to, and to keep the manifest; without it archives are unpacked to a temporary folder.
        sha256: what the archive's must be, in hexadecimal.
        track_bytes: shows a download, and an unpacking.

    Raises:
        InputError: nothing is there, or it is no archive and no folder, or not the one that was meant.
    """
    if is_url(source):
        return _at_url(source, to, sha256, track_bytes)
    path = Path(source).expanduser()
    if path.is_dir():
        if sha256:
            raise InputError(f"a SHA-256 is of one file, and {path} is a folder; leave it out.")
        return _in_folder(path, to)
    if not path.exists():
        raise InputError(
            f"there is no data at {path}; give 'digits', a folder with one subfolder a class, or an archive or its URL."
        )
    stem = archive_stem(path) or _stem_by_contents(path)
    if stem is None:
        raise InputError(f"{path} is neither a folder nor a .zip or .tar of one.")
    if sha256:
        _verify(path, sha256)
    status = path.stat()
    origin = manifest.SourceRecord(
        str(path.resolve()), slug(stem), IMAGES, f"{status.st_size} bytes of {status.st_mtime_ns}"
    )
    return _unpacked(origin, to, lambda: path, track_bytes)


def _stem_by_contents(path: Path) -> str | None:
    """The name of an archive whose suffix does not tell that it is one."""
    with open(path, "rb") as file:
        return path.stem if recognized(file.read(HEAD)) else None


def slug(name: str) -> str:
    """The name with nothing in it that a path or a shell would stumble over."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.") or "data"


def _in_folder(folder: Path, to: Path | None) -> ResolvedSource:
    folder = folder.resolve()
    earlier = manifest.read_origin(folder / manifest.NAME)
    if earlier and to is None and (folder / earlier.folder).is_dir():
        return _kept(folder, earlier)
    origin = manifest.SourceRecord(str(folder), slug(folder.name), str(folder))
    if to is not None:
        return _kept(to.expanduser().resolve(), origin)
    # Nothing is written to a folder unless its owner asks for it.
    kept = cache_folder() / "manifests" / f"{origin.name}-{short_hash(str(folder))}.jsonl"
    return ResolvedSource(str(folder), folder, origin, kept, folder.with_name(f"{folder.name}-quarantine"))


def _kept(to: Path, origin: manifest.SourceRecord) -> ResolvedSource:
    """The place that a manifest in the folder `to` is of."""
    kept = to / manifest.NAME
    refused = tuple(manifest.read_refused(kept))
    return ResolvedSource(str(to), (to / origin.folder).resolve(), origin, kept, to / QUARANTINE, refused)


def _at_url(url: str, to: Path | None, sha256: str | None, track_bytes: ByteTrack) -> ResolvedSource:
    stem = archive_stem(Path(urllib.parse.urlsplit(url).path))
    origin = manifest.SourceRecord(url, slug(stem or "data"), IMAGES)
    downloads = (to.expanduser() / "download") if to else cache_folder() / "downloads" / short_hash(url)
    place = _unpacked(origin, to, lambda: fetch(url, downloads, sha256=sha256, track=track_bytes), track_bytes)
    if to:
        # The images are there; the archive would be there twice.
        shutil.rmtree(downloads, ignore_errors=True)
    return place


def _unpacked(
    origin: manifest.SourceRecord, to: Path | None, archive: Callable[[], Path], track_bytes: ByteTrack
) -> ResolvedSource:
    """The images of an archive, which is asked for only if they are not there yet."""
    if to is None:
        workspace = tempfile.TemporaryDirectory(prefix="kerascnn-")
        root = Path(workspace.name)
        refused = _entries(unpack(archive(), root, track=track_bytes))
        kept = cache_folder() / "manifests" / f"{origin.name}-{short_hash(origin.source)}.jsonl"
        return ResolvedSource(origin.source, root, origin, kept, None, refused, workspace)
    to = to.expanduser().resolve()
    root = to / IMAGES
    if root.exists():
        earlier = manifest.read_origin(to / manifest.NAME)
        if earlier is None or (earlier.source, earlier.identity) != (origin.source, origin.identity):
            what = f"the images of {earlier.source}" if earlier else "images of an unknown source"
            raise InputError(f"{root} holds {what}; remove it or give another --to.")
    else:
        _unpacked_as_a_whole(archive(), root, to / manifest.NAME, origin, track_bytes)
    return _kept(to, origin)


def _entries(refused: Sequence[SkippedFile]) -> tuple[FileRecord, ...]:
    return tuple(FileRecord(item.path, verdict=REFUSED, reason=item.reason) for item in refused)


def _unpacked_as_a_whole(
    archive: Path, root: Path, kept: Path, origin: manifest.SourceRecord, track_bytes: ByteTrack
) -> None:
    """Unpacks beside the target and renames, so that what was broken off never looks complete."""
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".kerascnn-unpacking-", dir=root.parent))
    except OSError as error:
        raise InputError(f"{root.parent} cannot be written: {error.strerror}.") from None
    try:
        refused = unpack(archive, unfinished, track=track_bytes)
        # First, because images without a manifest are of an unknown source.
        manifest.write(kept, origin, _entries(refused))
        unfinished.chmod(0o755)
        unfinished.rename(root)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _verify(archive: Path, sha256: str) -> None:
    with open(archive, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256.strip().lower():
        raise InputError(f"{archive} has the SHA-256 {found}, not {sha256}.")
