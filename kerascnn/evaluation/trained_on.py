"""Whether a model was trained on the data that it is evaluated on, and which of the images it was trained on."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np

from kerascnn.data.ingestion.image_check import READ
from kerascnn.data.ingestion.manifest import read_manifest
from kerascnn.data.ingestion.near_duplicates import near_duplicates
from kerascnn.data.ingestion.sources import known_manifest
from kerascnn.data.ingestion.splits import TEST, VALIDATION
from kerascnn.data.labeled_images import LabeledImages
from kerascnn.files.cache_folder import short_hash
from kerascnn.files.user_file import MAX_TEXT, read_bytes
from kerascnn.training import RunFolder

# Training images with which the looks of others are compared: of 100,000 it takes seconds.
MAX_COMPARED = 100_000

# In the file `verification.json` of an export.
TRAINED_ON = "trained_on"


def was_trained_on(model: Path, source: str) -> bool | None:
    """Whether a model, as for `open_predictor`, was trained on a `LabeledImages.source`; None if nothing says so."""
    if run := RunFolder.around(model):
        return run.read_recipe()[1] == source
    for folder in (model, model.parent):
        with suppress(Exception):
            digest = json.loads(read_bytes(folder / "verification.json", MAX_TEXT)).get(TRAINED_ON)
            return None if digest is None else digest == short_hash(source)
    return None


def trained_images(model: Path, images: LabeledImages) -> int:
    """The number of images that are also in the data of the model's run, outside its validation and test.

    Images are the same if their files are, by the first 64 bits of the SHA-256, or if they look the same
    (`kerascnn.data.ingestion.near_duplicates`). Manifests hold both; without manifests it is 0.
    """
    run = RunFolder.around(model)
    path = known_manifest(run.read_recipe()[1]) if run else None
    if path is None or not images.files:
        return 0
    files = read_manifest(path).files
    held_out = np.concatenate([files.rows(split=split) for split in (VALIDATION, TEST)])
    trained = np.setdiff1d(files.rows(status=READ), held_out)
    scored = images.files.rows(status=READ, **({} if images.split == "all" else {"split": images.split}))
    same = np.isin(images.files.prefixes("sha256")[scored], files.prefixes("sha256")[trained])
    if len(trained) <= MAX_COMPARED:
        hashes = [files.column("perceptual_hash")[row] for row in trained]
        hashes += [images.files.column("perceptual_hash")[row] for row in scored]
        for group in map(np.array, near_duplicates(hashes)):
            if (group < len(trained)).any():
                same[group[group >= len(trained)] - len(trained)] = True
    return int(same.sum())
