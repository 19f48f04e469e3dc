"""From what a user names to a folder of pictures."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kerascnn.data import manifest
from kerascnn.data.archive import archive_stem, unpack
from kerascnn.data.cache import cache_folder, key_of
from kerascnn.data.dataset import DataSet, SetAside
from kerascnn.data.digits import load_digits
from kerascnn.data.tracking import Track
from kerascnn.errors import InputError

EMBEDDED = {"digits": load_digits}

# Below the folder that the user names for it.
PICTURES = "pictures"


@dataclass(frozen=True)
class Place:
    """Where a source's pictures lie, and what is kept about them where.

    Attributes:
        root: the folder of pictures.
        origin: what the manifest says of the source.
        manifest: its file.
        quarantine: where `--on-bad move` moves files to; None where there is no lasting place.
        refused: what the archive held and was not unpacked.
        workspace: keeps a temporary folder alive.
    """

    root: Path
    origin: manifest.Origin
    manifest: Path
    quarantine: Path | None
    refused: tuple[SetAside, ...] = ()
    workspace: object = None


def is_url(source: str) -> bool:
    """Whether the source is to be downloaded."""
    return source.lower().startswith(("http://", "https://"))


def ready_made(source: str) -> DataSet | None:
    """The data set that has this name; None where it is a place."""
    embedded = EMBEDDED.get(source)
    return embedded() if embedded else None


def place_of(source: str, to: Path | None, sha256: str | None, track: Track) -> Place:
    """Finds a source's pictures: downloads and unpacks what has to be.

    Args:
        source: an http(s) URL or path of an archive, a folder, or a folder that an earlier call was given as `to`.
        to: where to unpack to, and to keep the manifest; without it archives are unpacked to a temporary folder.
        sha256: what the archive's must be, in hexadecimal.
        track: shows progress.

    Raises:
        InputError: nothing is there, or it is no archive and no folder, or not the one that was meant.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        if sha256:
            raise InputError(f"a SHA-256 is of one file, and {path} is a folder; leave it out.")
        return _in_folder(path, to)
    if not path.exists():
        raise InputError(
            f"there is no data at {path}; give 'digits', a folder with one subfolder a class, or an archive."
        )
    stem = archive_stem(path)
    if stem is None:
        raise InputError(f"{path} is neither a folder nor a .zip or .tar of one.")
    if sha256:
        _verify(path, sha256)
    return _in_archive(path, str(path.resolve()), slug(stem), to)


def slug(name: str) -> str:
    """The name with nothing in it that a path or a shell would stumble over."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.") or "data"


def _in_folder(folder: Path, to: Path | None) -> Place:
    folder = folder.resolve()
    earlier = manifest.read_origin(folder / manifest.NAME)
    if earlier and to is None and (folder / earlier.folder).is_dir():
        root = (folder / earlier.folder).resolve()
        return Place(root, earlier, folder / manifest.NAME, folder / "kerascnn-quarantine")
    origin = manifest.Origin(str(folder), slug(folder.name), str(folder))
    if to is None:
        # Nothing is written to a folder unless its owner asks for it.
        kept = cache_folder() / "manifests" / f"{origin.name}-{key_of(str(folder))}.jsonl"
        return Place(folder, origin, kept, folder.with_name(f"{folder.name}-quarantine"))
    to = to.expanduser()
    return Place(folder, origin, to / manifest.NAME, to / "kerascnn-quarantine")


def _in_archive(archive: Path, source: str, name: str, to: Path | None) -> Place:
    status = archive.stat()
    identity = f"{status.st_size} bytes of {status.st_mtime_ns}"
    origin = manifest.Origin(source, name, PICTURES, identity)
    if to is None:
        workspace = tempfile.TemporaryDirectory(prefix="kerascnn-")
        refused = unpack(archive, Path(workspace.name)) or []
        kept = cache_folder() / "manifests" / f"{name}-{key_of(source)}.jsonl"
        return Place(Path(workspace.name), origin, kept, None, tuple(refused), workspace)
    to = to.expanduser()
    place = Place(to / PICTURES, origin, to / manifest.NAME, to / "kerascnn-quarantine")
    if place.root.exists():
        earlier = manifest.read_origin(place.manifest)
        if earlier is None or (earlier.source, earlier.identity) != (source, identity):
            raise InputError(
                f"{place.root} holds {earlier.source if earlier else 'something else'}; give another --to."
            )
        return place
    refused = _unpacked_as_a_whole(archive, place)
    return Place(place.root, origin, place.manifest, place.quarantine, tuple(refused))


def _unpacked_as_a_whole(archive: Path, place: Place) -> list[SetAside]:
    """Unpacks beside the target and renames, so that what was broken off never looks complete."""
    try:
        place.root.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".kerascnn-unpacking-", dir=place.root.parent))
    except OSError as error:
        raise InputError(f"{place.root.parent} cannot be written: {error.strerror}.") from None
    try:
        refused = unpack(archive, unfinished) or []
        # The manifest names the source before the pictures are there: with them alone, they would be a stranger's.
        manifest.write(place.manifest, place.origin, [])
        unfinished.chmod(0o755)
        unfinished.rename(place.root)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return refused


def _verify(archive: Path, sha256: str) -> None:
    with open(archive, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256.strip().lower():
        raise InputError(f"{archive} has the SHA-256 {found}, not {sha256}.")
