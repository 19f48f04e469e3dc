"""Image files of every format and mode, damaged."""

from __future__ import annotations

import functools
import importlib
import io
import random
from pathlib import Path

import numpy as np
from PIL import Image

from kerascnn.data.ingestion.image_check import STATUSES, check_images
from tests.hostile.attack import Kind
from tests.hostile.mutations import bytes_damaged

FORMATS = (
    ("JPEG", {"quality": 90}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("WEBP", {"quality": 70}),
    ("WEBP", {"lossless": True}),
    ("GIF", {"save_all": True}),
    ("BMP", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "raw"}),
    ("TIFF", {"compression": "jpeg"}),
    ("PPM", {}),
    ("PCX", {}),
    ("ICO", {"sizes": [(64, 48)]}),
    ("JPEG2000", {}),
    ("SGI", {}),
    ("QOI", {}),
    ("AVIF", {}),
)


@functools.cache
def originals() -> list[bytes]:
    # The first JPEG imports it, which is no input's time.
    importlib.import_module("tensorflow")
    generator = np.random.default_rng(0)
    ramp = np.linspace(0, 200, 64)[None, :, None] + generator.normal(20, 15, (48, 64, 3))
    image = Image.fromarray(np.clip(ramp, 0, 255).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    files = []
    for form, options in FORMATS:
        more = {"append_images": [image.rotate(180)]} if form == "GIF" else {}
        more |= {"exif": exif} if form in ("JPEG", "PNG", "WEBP", "TIFF") else {}
        for kind in ("RGB", "L", "RGBA", "P", "CMYK", "1", "I;16"):
            buffer = io.BytesIO()
            try:
                image.convert(kind).save(buffer, form, **options, **more)
            except (OSError, ValueError, KeyError):
                continue
            files.append(buffer.getvalue())
    return files


def make(chance: random.Random) -> bytes:
    """The contents of a damaged image."""
    return bytes_damaged(chance.choice(originals()), chance)


def read(folder: Path, contents: bytes) -> None:
    """Checks it, as every image of a data set is."""
    (folder / "image.jpg").write_bytes(contents)
    [record] = check_images(folder, ["image.jpg"])
    assert record.status in STATUSES and (record.status == "read") == (record.reason is None)


IMAGES = Kind(make, read)
