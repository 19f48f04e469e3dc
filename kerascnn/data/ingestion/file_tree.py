"""The files below a folder, without those that operating systems leave behind."""

from __future__ import annotations

import os
import re
import stat
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

from kerascnn.data.ingestion.vocabulary import VOCABULARY
from kerascnn.files.archives.archive_entry import SkippedFile
from kerascnn.files.user_file import read_bytes

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".jp2"),
    *(".avif", ".heic", ".heif", ".hif"),
)

# Bytes of a list of files and their classes.
MAX_LIST = 1 << 30

# Looked at first, since there may be millions.
COMMON_SUFFIXES = (*IMAGE_SUFFIXES, *map(str.upper, IMAGE_SUFFIXES))

ARCHIVE_SUFFIXES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".tzst", ".rar", ".7z")

# Files that are no images, though they may be beside them.
OTHER_SUFFIXES, OTHER_NAMES = VOCABULARY["other suffixes"].union(ARCHIVE_SUFFIXES), VOCABULARY["other names"]

# The character that follows the slash.
AFTER_SLASH = "0"

# Files that this package writes next to images.
OWN_FILES = re.compile(r"kerascnn-(manifest(-\d+-of-\d+)?\.jsonl|quarantine)|\.kerascnn-.*")

# Files that phones and programs store beside an image of the same name, by suffix.
COMPANIONS = {
    **dict.fromkeys((".mov", ".mp4"), "the film of a Live Photo"),
    **dict.fromkeys((".aae", ".xmp", ".thm", ".pp3"), "the edits or a preview of a photograph"),
    ".json": "facts about a photograph",
}

SYSTEM_FILES = {
    **dict.fromkeys(("thumbs.db", "ehthumbs.db"), "a thumbnail index of Windows"),
    "desktop.ini": "folder settings of Windows",
    ".ds_store": "folder settings of macOS",
    "__macosx": "file attributes of macOS",
}


@dataclass(frozen=True)
class FileTree:
    """The files below a folder."""

    root: Path  # the folder that was searched
    files: tuple[str, ...]  # paths below the folder `base`, sorted, with slashes
    # What is no part of the data, by its path below `root`: hidden files, files of operating systems, what is left out.
    ignored: tuple[SkippedFile, ...] = ()
    unreadable: tuple[SkippedFile, ...] = ()  # files and folders that cannot be opened, by their path below `root`
    base: str = ""  # "" or a folder below `root`, with a slash at its end
    elsewhere: tuple[str, ...] = ()  # links to files and folders that are not below `root`, by their path

    @cached_property
    def top_files(self) -> list[str]:
        """Files that are in no subfolder."""
        return [path for path in self.files if "/" not in path]

    @cached_property
    def folders(self) -> list[str]:
        """Names of the subfolders that have files anywhere in them, sorted."""
        return sorted({path.split("/", 1)[0] for path in self.files if "/" in path})

    @cached_property
    def images(self) -> list[str]:
        """Files that may be images, by their suffix or for want of one."""
        return [path for path in self.files if may_be_image(path)]

    @cached_property
    def other_files(self) -> list[str]:
        """Files that are no images, by their suffix: lists, tables, archives."""
        return [path for path in self.files if not may_be_image(path)]

    @cached_property
    def all_folders(self) -> list[str]:
        """The paths of all folders at any depth, each with a slash at its end, sorted."""
        found: set[str] = set()
        for folder in {path.rpartition("/")[0] for path in self.files}:
            while folder and f"{folder}/" not in found:
                found.add(f"{folder}/")
                folder = folder.rpartition("/")[0]
        return sorted(found)

    def subtree(self, folder: str) -> FileTree:
        """The files in one of the subfolders, or in one below it; `ignored` begins anew."""
        start = f"{folder}/"
        # In a sorted list they follow each other.
        first, end = bisect_left(self.files, start), bisect_left(self.files, f"{folder}{AFTER_SLASH}")
        files = tuple(path.removeprefix(start) for path in self.files[first:end])
        return FileTree(self.root, files, base=self.base + start)

    def only_folder(self) -> FileTree:
        """The files in the only subfolder, with all that is ignored."""
        return replace(self.subtree(self.folders[0]), ignored=self.ignored)

    def without(self, folders: Mapping[str, str]) -> FileTree:
        """The tree without some folders, by their path below `base`, each with the reason."""
        if not folders:
            return self
        starts = tuple(f"{folder}/" for folder in folders)
        items = (SkippedFile(self.base + folder, reason) for folder, reason in folders.items())
        files = tuple(path for path in self.files if not path.startswith(starts))
        return replace(self, files=files, ignored=(*self.ignored, *items))

    def read(self, path: str) -> str:
        """The text of a file below `base`; unknown characters are replaced."""
        return read_bytes(self.root / (self.base + path), MAX_LIST).decode("utf-8-sig", "replace")


def may_be_image(path: str) -> bool:
    """Whether a file's suffix is not that of another kind of file."""
    if path.endswith(COMMON_SUFFIXES):
        return True
    stem, suffix = os.path.splitext(path)
    return suffix.lower() not in OTHER_SUFFIXES and (bool(suffix) or os.path.basename(stem).lower() not in OTHER_NAMES)


def walk(root: Path) -> FileTree:
    """Lists every file below a folder.

    Links are followed, each folder once, and not to a folder that contains this one, as the whole disk does; those that
    lead elsewhere are named. Broken links, pipes, sockets, devices and folders without permission are unreadable.
    """
    files, ignored, unreadable, elsewhere = [], [], [], []
    seen, waiting, own = set(), [""], os.path.realpath(root) + os.sep
    # A million links to files lead to few folders; that of the disk ends in a separator already.
    real = cache(lambda folder: os.path.realpath(folder).rstrip(os.sep) + os.sep)
    while waiting:
        base = waiting.pop()
        folder = os.path.join(root, base)
        try:
            status = os.stat(folder)
            with os.scandir(folder) as entries:
                links = {entry.name: entry.is_symlink() for entry in entries}
            names = sorted(links)
        except OSError as error:
            unreadable.append(SkippedFile(base.rstrip("/"), (error.strerror or str(error)).lower()))
            continue
        if (status.st_dev, status.st_ino) in seen:
            ignored.append(SkippedFile(base.rstrip("/"), "a link to a folder that is read already"))
            continue
        seen.add((status.st_dev, status.st_ino))
        images = {stem.lower() for stem, suffix in map(os.path.splitext, names) if suffix.lower() in IMAGE_SUFFIXES}
        for path in (base + name for name in names if not OWN_FILES.fullmatch(name)):
            name, full = path[len(base) :], os.path.join(root, path)
            reason = SYSTEM_FILES.get(name.lower()) or ("hidden" if name.startswith(".") else _companion(name, images))
            if reason:
                ignored.append(SkippedFile(path, reason))
                continue
            try:
                mode, target = os.stat(full).st_mode, full
                while links[name] and os.path.islink(target):
                    target = os.path.join(os.path.dirname(target), os.readlink(target))
            except OSError as error:
                reason = "a broken link" if os.path.islink(full) else error.strerror.lower()
                unreadable.append(SkippedFile(path, reason))
                continue
            leads_to = real(target if stat.S_ISDIR(mode) else os.path.dirname(target)) if links[name] else own
            if stat.S_ISDIR(mode) and leads_to != own and own.startswith(leads_to):
                ignored.append(SkippedFile(path, "a link to a folder that contains this one"))
                continue
            if not leads_to.startswith(own):
                elsewhere.append(path)
            if stat.S_ISDIR(mode):
                waiting.append(path + "/")
            elif stat.S_ISREG(mode):
                files.append(path)
            else:
                unreadable.append(SkippedFile(path, "not a regular file"))
    return FileTree(root, tuple(sorted(files)), tuple(ignored), tuple(unreadable), elsewhere=tuple(sorted(elsewhere)))


def _companion(name: str, images: set[str]) -> str | None:
    """What a file is that is named as an image beside it, such as IMG_1.mov, IMG_1.jpg.json or IMG_1.jpg.xmp."""
    stem, suffix = os.path.splitext(name.lower())
    inner, image_suffix = os.path.splitext(stem)
    beside = stem in images or (image_suffix in IMAGE_SUFFIXES and inner in images)
    return COMPANIONS.get(suffix) if beside else None
