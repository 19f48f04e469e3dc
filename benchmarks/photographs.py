"""The images that every contestant gets: those that our ingestion takes for good, in a folder per class."""

from __future__ import annotations

import atexit
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.files.temporary import TemporaryFolder

if TYPE_CHECKING:
    from kerascnn.data import DataSet, FileExamples


def temporary_folder() -> Path:
    """A folder that this process removes; those of contestants that are killed go with the next one."""
    folder = TemporaryFolder(prefix="kerascnn-benchmark-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def clean_copy(source: str, most: int | None = None) -> Path:
    """Copies plain JPEG files of a folder or an archive to training/ and validation/ of a temporary folder.

    Args:
        source: as `kerascnn train --data` takes it.
        most: training images; None for all.
    """
    import numpy as np

    from kerascnn import data

    folder, loaded = temporary_folder(), data.load(source)
    for split in ("training", "validation"):
        examples = getattr(loaded, split)
        plain = examples.take(np.flatnonzero(examples.plain))
        chosen = plain.take(np.random.default_rng(0).permutation(len(plain))[:most])
        for number, (path, label) in enumerate(zip(chosen.paths, chosen.labels, strict=True)):
            target = folder / split / loaded.class_names[label] / f"{number:05d}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return folder


def data_set_of(folder: Path) -> DataSet:
    """Such a folder as kerascnn's data set."""
    from kerascnn.data import DataSet

    classes = tuple(sorted(entry.name for entry in (folder / "training").iterdir()))
    splits = (_examples(folder / split, classes) for split in ("training", "validation"))
    return DataSet("images", str(folder), classes, *splits)


def _examples(folder: Path, classes: tuple[str, ...]) -> FileExamples:
    import numpy as np

    from kerascnn.data import FileExamples

    files = sorted(folder.glob("*/*.jpg"))
    labels = np.array([classes.index(file.parent.name) for file in files])
    return FileExamples(np.array([str(file) for file in files], object), np.ones(len(files), bool), labels)
