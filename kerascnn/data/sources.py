"""From what a user names to a data set."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path

from kerascnn.data.archive import archive_stem, unpack
from kerascnn.data.dataset import DataSet, shortened
from kerascnn.data.digits import load_digits
from kerascnn.data.folder import Track, load_folder, untracked
from kerascnn.errors import InputError

EMBEDDED = {"digits": load_digits}


def load(source: str | Path, *, limit: int | None = None, track: Track = untracked) -> DataSet:
    """Reads a data set.

    Args:
        source: "digits", a folder with one subfolder a class, or a .zip or .tar of one.
        limit: use at most so many pictures, over both splits.
        track: shows progress over an iterable of known length.

    Returns:
        The data set; files that cannot be read as images are in its `set_aside`.

    Raises:
        InputError: nothing is there, or it is not pictures in at least two classes.

    Example:
        >>> data = load("pets.zip")
        >>> data.class_names
        ('Cat', 'Dog')
    """
    embedded = EMBEDDED.get(str(source))
    data = embedded() if embedded else _from_path(Path(source).expanduser(), track)
    return shortened(data, limit)


def _from_path(path: Path, track: Track) -> DataSet:
    if path.is_dir():
        return load_folder(path, _slug(path.resolve().name), str(path.resolve()), track)
    if not path.exists():
        raise InputError(
            f"there is no data at {path}; give 'digits', a folder with one subfolder a class, or an archive."
        )
    stem = archive_stem(path)
    if stem is None:
        raise InputError(f"{path} is neither a folder nor a .zip or .tar of one.")
    workspace = tempfile.TemporaryDirectory(prefix="kerascnn-")
    unpack(path, Path(workspace.name))
    data = load_folder(Path(workspace.name), _slug(stem), str(path.resolve()), track)
    return replace(data, workspace=workspace)


def _slug(name: str) -> str:
    """The name with nothing in it that a path or a shell would stumble over."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.") or "data"
