"""The images that trials are compared on: a part of the training images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kerascnn.data.dataset import DataSet
from kerascnn.errors import InputError

SHARE = 0.2


def held_out(data: DataSet) -> DataSet:
    """The data with a fifth of the training images in the place of the validation images.

    A search that looked at the validation images would make their accuracy look better than it is. The same images
    are held out every time: of each class a fifth by chance, at least one and never all.

    Raises:
        InputError: every class has one training image only.
    """
    chance = np.random.default_rng(0)
    held = []
    for label in np.unique(data.training.labels):
        members = chance.permutation(np.flatnonzero(data.training.labels == label))
        held.extend(members[: min(max(1, round(SHARE * len(members))), len(members) - 1)])
    if not held:
        raise InputError(f"{data.source} has one training image a class; a search needs two, to hold out one.")
    kept = np.setdiff1d(np.arange(len(data.training)), held)
    return replace(data, training=data.training.take(kept), validation=data.training.take(np.sort(held)))
