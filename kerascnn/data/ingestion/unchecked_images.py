"""Decodes images that no ingestion has checked, such as those of `predict`, within the bounds of its processes."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from kerascnn.data.ingestion.image_bounds import MAX_FILE_SIZE, PNG, has_few_scans
from kerascnn.data.ingestion.image_formats import UnreadableImageError, open_image, undecodable, upright_rgb
from kerascnn.data.ingestion.image_readers import Readers

# What is decoded in this process, in a second at most and in C; starting another one takes a third of a second.
JPEG = b"\xff\xd8\xff"
FEW_BYTES, FEW_PIXELS = 4 << 20, 1 << 24


def decode_unchecked(contents: bytes) -> np.ndarray:
    """As `decode_image`; UnreadableImageError also if decoding takes too long or too much memory, or crashes."""
    if len(contents) > MAX_FILE_SIZE:
        raise UnreadableImageError(f"it has more than {MAX_FILE_SIZE / 1e6:.0f} MB, too large for an image")
    if contents.startswith((JPEG, PNG)) and len(contents) <= FEW_BYTES and has_few_scans(contents):
        # What Pillow warns of is refused, or does not matter.
        with warnings.catch_warnings(action="ignore"), undecodable(), open_image(contents) as image:
            if image.width * image.height <= FEW_PIXELS:
                return upright_rgb(image)
    with Readers(Path()) as readers:
        return readers.pixels(contents)
