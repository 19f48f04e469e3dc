"""Finds the files that a table means: paths of other machines, other suffixes, identifiers without zeros."""

import posixpath
import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple
from urllib.parse import unquote

from kerascnn.data.ingestion.file_tree import IMAGE_SUFFIXES
from kerascnn.data.ingestion.folder_names import names_annotations
from kerascnn.data.ingestion.splits import SPLIT_NAMES, TRAINING
from kerascnn.files.file_names import folded

# Files of one name that are compared one by one; more are found by their folders.
FEW = 8

# Images are often converted after a table was written.
_SUFFIXES = frozenset((*IMAGE_SUFFIXES, ".dcm", ".dicom", ".heic", ".heif", ".avif", ".jp2", ".jfif", ".ppm", ".npy"))
_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")


class Match(NamedTuple):
    """A file, or none, and what makes the match less than exact."""

    path: str | None = None  # the file's path; None if there is none, or several that fit equally well
    distance: int = 0  # 0 for equal paths, and more the less they agree
    rivals: tuple[str, ...] = ()  # files that fit equally well


class FileIndex:
    """The files below a folder by their names, in any case, without suffix and without leading zeros.

    A lookup takes the same time for any number of files.

    Example:
        >>> FileIndex(["s1/IM0.JPG", "s1/im1.png"]).find("/kaggle/input/ds/s1/im1.jpg").path
        's1/im1.png'
    """

    def __init__(self, paths: Iterable[str]):
        self._paths = frozenset(paths)
        # Files of one key; None if they are too many, and are found with one more folder in the key.
        self._groups: dict[str, str | list[str] | None] = {}
        self._add(self._paths, 1)
        folders = {path.rpartition("/")[0] for path in self._paths}
        self._folders = {folded(name) for folder in folders for name in folder.split("/")}

    def _add(self, paths: Iterable[str], depth: int) -> None:
        groups: dict[str, str | list[str] | None] = {}
        for path in paths:
            key = _tail(path.split("/"), depth)
            known = groups.get(key)
            if known is None:
                groups[key] = path
            elif isinstance(known, str):
                groups[key] = [known, path]
            else:
                known.append(path)
        self._groups.update(groups)
        for key, members in groups.items():
            if len(members) > FEW and isinstance(members, list) and any(path.count("/") >= depth for path in members):
                self._groups[key] = None
                self._add(members, depth + 1)

    def find(self, text: str, folder: str = "", split: str | None = None) -> Match:
        """The file that a cell means: a path, of this or another machine, a URL, a name or a name without suffix.

        `folder` is that of the table, to which the path may be relative, "" or with a slash at its end. The folder of
        the table's `split`, without one that of training, decides between files of the same name.
        """
        if text in self._paths and (not folder or folder + text not in self._paths):
            return Match(text)
        parts = _parts(text, folder)
        if not parts or not parts[-1]:
            return Match()
        # The folders of a URL are those of a server.
        own = len(parts) if "://" in text else folder.count("/")
        depth = 1
        while (found := self._groups.get(_tail(parts, depth), ())) is None:
            if depth > len(parts):
                # Any of many files of this name.
                return Match(rivals=(f"{text} in one folder", "in another"))
            depth += 1
        found = [found] if isinstance(found, str) else found
        ranked = [(_distance(parts, path, split), path) for path in found if self._is_possible(parts, own, path)]
        if not ranked:
            # "my%20cat.jpg", as an address of the Web has it.
            return self.find(plain, folder, split) if "%" in text and (plain := unquote(text)) != text else Match()
        least = min(ranked)[0]
        best = [path for distance, path in ranked if distance == least]
        return Match(best[0], least) if len(best) == 1 else Match(rivals=tuple(sorted(best)))

    def _is_possible(self, parts: Sequence[str], own: int, path: str) -> bool:
        """Whether the first folder that differs is not another one that is here, or of another split."""
        different = len(parts) - 2 - _common(parts, path)
        if different < own:
            return True
        splits = _splits("/".join(parts[own:-1]))
        strange = splits and _splits(path.rpartition("/")[0]) - splits
        return folded(parts[different]) not in self._folders and not strange


def _parts(text: str, folder: str) -> list[str]:
    """The parts of a path below the table's folder."""
    text = text.strip(" '\"").replace("\\", "/")
    if "/" not in text and not folder and text[-2:] not in (".0", ".."):
        return [text]
    if "://" in text:
        text = unquote(text.partition("://")[2].partition("?")[0].partition("#")[0])
    text = re.sub(r"^([A-Za-z]:)?/+", "", text)
    # As a table of numbers with gaps writes the identifier 7.
    text = re.sub(r"^(\d+)\.0$", r"\1", text)
    path = posixpath.normpath(folder + text) if "/" in text or folder or text == "." else text
    return [part for part in path.split("/") if part not in ("", ".", "..")]


def _tail(parts: Sequence[str], depth: int) -> str:
    """The key of the last `depth` parts of a path; a path that has fewer begins with a slash."""
    folders = ("", *parts[:-1])[len(parts) + 1 - depth :] if depth <= len(parts) else ("", *parts[:-1])
    return "/".join((*map(folded, folders), _key(parts[-1]))) if folders else _key(parts[-1])


def _stem(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix}" in _SUFFIXES else name


def _key(name: str) -> str:
    stem = _stem(folded(name))
    return _ZEROS.sub("", stem) if "0" in stem else stem


def _common(parts: Sequence[str], path: str) -> int:
    """The number of folders next to the file that agree."""
    count = 0
    for one, other in zip(reversed(parts[:-1]), reversed(path.split("/")[:-1]), strict=False):
        if folded(one) != folded(other):
            break
        count += 1
    return count


def _distance(parts: Sequence[str], path: str, split: str | None) -> int:
    """First the folders that differ, then whether the file is an annotation or of another split, then the names."""
    name, text = path.rpartition("/")[2], parts[-1]
    changes = 0
    if text != name:
        changes = 1 + (folded(text) != folded(name)) + (_stem(folded(text)) != _stem(folded(name)))
    splits = _splits(path.rpartition("/")[0])
    strange = split not in splits if split else bool(splits) and TRAINING not in splits
    strange = 2 * _is_annotation(path.rpartition("/")[0]) + strange
    return 16 * (len(parts) - 1 - _common(parts, path)) + 4 * strange + changes


@cache
def _is_annotation(folder: str) -> bool:
    return any(map(names_annotations, folder.split("/")))


@cache
def _splits(folder: str) -> frozenset[str]:
    return frozenset(SPLIT_NAMES[name] for name in folder.lower().split("/") if name in SPLIT_NAMES)
