"""What `embedding` finds alike, as an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerascnn.data.ingestion.image_formats import read_image
from kerascnn.data.pipeline.pipeline import views_of
from kerascnn.evaluation.embedding import Embedding
from kerascnn.evaluation.plots import gallery_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Pixels of each side, whatever the network's own: people see better than small networks do.
SHOWN = 200

# Letters that fit below an image.
CAPTION = 26


def neighbours_figure(
    embedding: Embedding, indices: Sequence[int], title: str, k: int = 5, crop_fraction: float = 1.0
) -> Figure:
    """A row an image: itself, then the others that are most like it, each with the similarity.

    Args:
        embedding: of two images at least; their files are read again.
        indices: the rows of those whose neighbours are drawn.
        title: above the image.
        k: how many neighbours; not more than there are others.
        crop_fraction: how much of an image the network is shown, see `kerascnn.evaluation.predictors.ModelMetadata`.

    Raises:
        InputError: an image is no longer there.

    Example:
        >>> neighbours_figure(Embedding.load("features.npz"), range(6), "pets").savefig("neighbours.png")
    """
    k = min(k, len(embedding.paths) - 1)
    views, captions = [], []
    for index in indices:
        path = embedding.paths[index]
        views.append(_view(path, crop_fraction))
        captions.append(_shortened(path, CAPTION))
        for one in embedding.nearest(index, k):
            views.append(_view(one.path, crop_fraction))
            similarity = f"{one.similarity:.3f}  "
            captions.append(similarity + _shortened(one.path, CAPTION - len(similarity)))
    return gallery_figure(np.stack(views), captions, title, columns=1 + k)


def _view(path: Path, crop_fraction: float) -> np.ndarray:
    return views_of([read_image(path)], SHOWN, crop_fraction)[0]


def _shortened(path: Path, letters: int) -> str:
    """The end of a path: the file, and the folder that may tell its class."""
    text = "/".join(path.parts[-2:])
    return text if len(text) <= letters else f"…{text[1 - letters :]}"
