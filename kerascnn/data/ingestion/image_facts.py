"""What Pillow finds in an image file: that it can be decoded to its end, its size, and what is unusual about it."""

import hashlib
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from kerascnn.data.ingestion.image_bounds import MAX_FILE_SIZE
from kerascnn.data.ingestion.image_formats import (
    UnreadableImageError,
    is_plain_jpeg,
    open_image,
    orientation,
    undecodable,
    upright_rgb,
)
from kerascnn.data.ingestion.near_duplicates import SIDE, perceptual_hash
from kerascnn.errors import phrase
from kerascnn.files.user_file import read_bytes

# What is read of a file with several images.
SEVERAL = {
    **dict.fromkeys(("GIF", "PNG", "WEBP", "AVIF"), "first frame of an animation"),
    "TIFF": "first of several pages",
    "HEIF": "the main one of several images",
}


def image_facts(root: Path, path: str, known_sha256: str = "", plain: bool = True) -> dict[str, Any]:
    """Fields of the file's `FileRecord`; only its SHA-256 if that is the known one.

    A plain JPEG, which TensorFlow is to decode, is decoded at an eighth of its size, unless `plain` is False.
    """
    try:
        contents = read_bytes(root / path, MAX_FILE_SIZE)
    except OSError as error:
        return {"reason": phrase(error)}
    facts: dict[str, Any] = {"sha256": hashlib.sha256(contents).hexdigest()}
    if facts["sha256"] == known_sha256:
        return facts
    try:
        # Every exception of a decoder is a verdict on the file, and Pillow's warnings are facts or do not matter.
        with undecodable(), warnings.catch_warnings(action="ignore"):
            return facts | _decoded(path, contents, plain)
    except UnreadableImageError as error:
        return facts | {"reason": str(error)}


def _decoded(path: str, contents: bytes, plain: bool) -> dict[str, Any]:
    from PIL import Image

    with open_image(contents) as image:
        facts = {"format": image.format, "width": image.width, "height": image.height, "status": "read"}
        if plain and is_plain_jpeg(image):
            with suppress(Exception):
                # Damage shows in the entropy-coded data, which are decoded in full; most of the arithmetic that
                # follows, which cannot fail, is saved.
                image.draft(image.mode, (2 * SIDE, 2 * SIDE))
                image.load()
                found = {"perceptual_hash": perceptual_hash(image), "warnings": _warnings(path, image)}
                return facts | found | {"decoder": "tensorflow"}
    # Opened again, because the first was read in part.
    with open_image(contents) as image:
        found = _warnings(path, image)
        pixels = upright_rgb(image)
    height, width, _ = pixels.shape
    size = {"width": width, "height": height, "perceptual_hash": perceptual_hash(Image.fromarray(pixels))}
    return facts | size | {"decoder": "pillow", "warnings": found}


def _warnings(path: str, image) -> list[str]:
    from PIL import Image

    suffix = os.path.splitext(path)[1].lower()
    expected, mode = Image.registered_extensions().get(suffix), image.mode
    wrong_suffix = expected != image.format and {expected, image.format} not in ({"JPEG", "MPO"}, {"BMP", "DIB"})
    several = None
    with suppress(Exception):
        several = SEVERAL.get(image.format) if getattr(image, "is_animated", False) else None
    found = {
        f"named {suffix or 'without suffix'} and is {image.format}": wrong_suffix,
        "CMYK": mode == "CMYK",
        "16-bit gray": mode.startswith("I"),
        "gray": mode in ("L", "1", "LA"),
        "palette": mode in ("P", "PA"),
        "transparency laid on white": image.has_transparency_data,
        "turned upright": orientation(image) != 1,
    }
    return [*(warning for warning, applies in found.items() if applies), *([several] if several else [])]
