"""The files below a folder, without those that operating systems leave behind."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from kerascnn.files.archives.archive_entry import SkippedFile

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")

# What this package itself writes beside images.
OWN_NAMES = re.compile(r"kerascnn-(manifest\.jsonl|quarantine)|\.kerascnn-.*")

LEFTOVERS = {
    "thumbs.db": "a thumbnail index of Windows",
    "ehthumbs.db": "a thumbnail index of Windows",
    "desktop.ini": "folder settings of Windows",
    ".ds_store": "folder settings of macOS",
    "__macosx": "file attributes of macOS",
}


@dataclass(frozen=True)
class FileTree:
    """The files below a folder, sorted, as paths with slashes; and what is not among them."""

    files: tuple[str, ...]
    ignored: tuple[SkippedFile, ...] = ()
    unreadable: tuple[SkippedFile, ...] = ()

    def loose(self, base: str) -> list[str]:
        """Files in the folder `base` itself, which is "" or ends with a slash."""
        return [path for path in self.below(base) if "/" not in path[len(base) :]]

    def folders(self, base: str) -> list[str]:
        """Names of the folders in `base` that have files anywhere in them."""
        return sorted({path[len(base) :].split("/", 1)[0] for path in self.below(base) if "/" in path[len(base) :]})

    def below(self, base: str) -> list[str]:
        """Files anywhere below `base`."""
        return [path for path in self.files if path.startswith(base)]


def walk(root: Path) -> FileTree:
    """Lists every file below a folder.

    Links are followed, each folder once. Hidden files and folders and what operating systems leave are ignored;
    links to nothing, pipes, sockets, devices and closed folders are unreadable.
    """
    files, ignored, unreadable = [], [], []
    seen, waiting = set(), [""]
    while waiting:
        base = waiting.pop()
        folder = os.path.join(root, base)
        try:
            status = os.stat(folder)
            names = sorted(os.listdir(folder))
        except OSError as error:
            unreadable.append(SkippedFile(base.rstrip("/"), (error.strerror or str(error)).lower()))
            continue
        if (status.st_dev, status.st_ino) in seen:
            ignored.append(SkippedFile(base.rstrip("/"), "a link to a folder that is read already"))
            continue
        seen.add((status.st_dev, status.st_ino))
        for name in names:
            if OWN_NAMES.fullmatch(name):
                continue
            path = base + name
            leftover = LEFTOVERS.get(name.lower()) or ("hidden" if name.startswith(".") else None)
            if leftover:
                ignored.append(SkippedFile(path, leftover))
                continue
            try:
                mode = os.stat(os.path.join(root, path)).st_mode
            except OSError as error:
                is_link = os.path.islink(os.path.join(root, path))
                unreadable.append(SkippedFile(path, "a link to nothing" if is_link else error.strerror.lower()))
                continue
            if stat.S_ISDIR(mode):
                waiting.append(path + "/")
            elif stat.S_ISREG(mode):
                files.append(path)
            else:
                unreadable.append(SkippedFile(path, "not a regular file"))
    return FileTree(tuple(sorted(files)), tuple(ignored), tuple(unreadable))
