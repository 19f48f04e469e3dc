"""Unpacking .zip and .tar files of pictures into a folder, and into no other."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from pathlib import Path

from kerascnn.errors import InputError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


def archive_stem(path: Path) -> str | None:
    """The file's name without its archive suffix, or None when it has none."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)] or None
    return None


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks the regular files of an archive below `folder`.

    Links, devices and names that lead outside are refused.

    Raises:
        InputError: the file is no archive, is damaged, or unpacks to more than the disk has room for.
    """
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, folder)
        else:
            _unpack_tar(archive, folder)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, RuntimeError, NotImplementedError, OSError) as error:
        raise InputError(f"{archive} cannot be unpacked: {str(error).rstrip('.')}.") from None


def _check_room(archive: Path, folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise InputError(f"{archive} unpacks to {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free.")


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        members = [member for member in opened.infolist() if not member.is_dir()]
        _check_room(archive, folder, sum(member.file_size for member in members))
        for member in members:
            # extract() drops leading slashes and ".." parts.
            opened.extract(member, folder)


def _unpack_tar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as opened:
        members = [member for member in opened if member.isfile()]
        _check_room(archive, folder, sum(member.size for member in members))
        opened.extractall(folder, members=members, filter="data")
