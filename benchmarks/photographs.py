"""The photographs that every contestant gets: those that our ingestion takes for good, in a folder per class."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path


def clean_copy(source: str, most: int | None = None) -> Path:
    """Copies at most `most` training images of a folder or an archive to a folder that this process removes."""
    import numpy as np

    from kerascnn import data

    folder = Path(tempfile.mkdtemp(prefix="kerascnn-benchmark-"))
    atexit.register(shutil.rmtree, folder)
    loaded = data.load(source)
    plain = loaded.training.take(np.flatnonzero(loaded.training.plain))
    chosen = plain.take(np.random.default_rng(0).permutation(len(plain))[:most])
    for number, (path, label) in enumerate(zip(chosen.paths, chosen.labels, strict=True)):
        target = folder / loaded.class_names[label] / f"{number:05d}.jpg"
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
    return folder


def examples_of(folder: Path):
    """The images of such a folder as kerascnn's examples, and the class names."""
    import numpy as np

    from kerascnn.data import FileExamples

    files, classes = sorted(folder.glob("*/*.jpg")), sorted(entry.name for entry in folder.iterdir())
    labels = np.array([classes.index(file.parent.name) for file in files])
    return FileExamples(np.array([str(file) for file in files], object), np.ones(len(files), bool), labels), classes
