"""Reads an image file of any supported format, upright and as RGB."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.data.ingestion.other_files import NEEDS_HEIF, RAW, kind_of
from kerascnn.errors import InputError

# JPEG includes the stereo pairs and previews that Pillow calls MPO. Pillow also reads EPS, for which it would run
# Ghostscript on the file, and TGA, which has no signature: nearly any file passes for it.
FORMATS = {
    *("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "AVIF", "HEIF", "JPEG2000", "PPM", "ICO", "PCX", "SGI", "QOI")
}

# TIFF's tags and values.
SUBFILE, BITS, PHOTOMETRIC, SAMPLE_FORMAT, DNG = 254, 258, 262, 339, 50706
REDUCED, WHITE_IS_ZERO, UNSIGNED, SIGNED = 1, 0, 1, 2


class UnreadableImageError(Exception):
    """The bytes are no image; the message is a phrase."""


def read_image(path: str | Path) -> np.ndarray:
    """Reads an image file as upright RGB.

    Applies the EXIF orientation, lays transparency on white, takes the first frame of an animation, converts gray,
    palette and CMYK to RGB, and keeps the upper 8 bits of gray with 10 to 16 bits.

    Args:
        path: a file in one of `FORMATS`; its suffix does not matter.

    Returns:
        uint8 (height, width, 3) in [0, 255].

    Raises:
        InputError: the file is missing, empty, truncated, not an image, or a decompression bomb.

    Example:
        >>> read_image("cat.webp").shape
        (375, 500, 3)
    """
    try:
        return decode_image(Path(path).read_bytes())
    except FileNotFoundError:
        raise InputError(f"there is no file {path}.") from None
    except (OSError, UnreadableImageError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path} cannot be read: {reason}.") from None


def decode_image(contents: bytes) -> np.ndarray:
    """As `read_image`, from a file's bytes; UnreadableImageError if they are no complete image."""
    with open_image(contents) as image:
        return upright_rgb(image)


def open_image(contents: bytes):
    """The `PIL.Image.Image` of a file's bytes; its pixels are not decoded yet.

    Raises:
        UnreadableImageError: no image begins like that, or it has more than 2 `PIL.Image.MAX_IMAGE_PIXELS` pixels.
    """
    from PIL import Image

    if not contents:
        raise UnreadableImageError("0 bytes")
    try:
        image = Image.open(io.BytesIO(contents), formats=_formats())
    except Image.UnidentifiedImageError:
        kind = kind_of(contents)
        if kind == NEEDS_HEIF and "HEIF" in _formats():
            kind = "an HEIC or HEIF image that is damaged, or a sequence without a still image"
        raise UnreadableImageError(kind) from None
    # Pillow's plugins raise nearly anything on damaged files.
    except Exception as error:
        raise UnreadableImageError(_phrase(error)) from None
    if image.format == "TIFF" and _is_raw(image.tag_v2, contents):
        image.close()
        # Pillow would read the preview in it.
        raise UnreadableImageError(RAW)
    return image


@functools.cache
def _formats() -> tuple[str, ...]:
    """Those of `FORMATS` that are installed."""
    from PIL import Image

    Image.init()
    with suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    return tuple(name for name in Image.OPEN if name in FORMATS)


def _is_raw(tags: Mapping[int, Any], contents: bytes) -> bool:
    """Whether a TIFF file is a camera's raw file: by its signature, its version, or the preview at its beginning."""
    return tags.get(SUBFILE) == REDUCED or DNG in tags or kind_of(contents) == RAW


def upright_rgb(image) -> np.ndarray:
    """The pixels of an opened image, uint8 (height, width, 3); UnreadableImageError if it is not complete."""
    from PIL import Image
    from PIL.Image import Transpose

    # By the EXIF orientation, 1 to 8.
    turns = (
        *(None, Transpose.FLIP_LEFT_RIGHT, Transpose.ROTATE_180, Transpose.FLIP_TOP_BOTTOM),
        *(Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90),
    )
    try:
        bits, sample_format, inverted = _samples(image)
        image.load()
        if (turn := turns[orientation(image) - 1]) is not None:
            image = image.transpose(turn)
        if image.mode == "F" or sample_format == SIGNED or bits > 16:
            kind = "floating-point" if image.mode == "F" else f"{bits}-bit{' signed' * (sample_format == SIGNED)}"
            raise UnreadableImageError(f"its {kind} pixels have no known range")
        if image.mode.startswith("I"):
            gray = np.clip(np.asarray(image).astype(np.int64), 0, 2**bits - 1)
            gray[gray == image.info.get("transparency", -1)] = 2**bits - 1
            gray = (2**bits - 1 - gray if inverted else gray) >> (bits - 8)
            return np.repeat(gray.astype(np.uint8)[..., None], 3, axis=-1)
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert("RGB"))
    except UnreadableImageError:
        raise
    except Exception as error:
        raise UnreadableImageError(_phrase(error)) from None


def _samples(image) -> tuple[int, int, bool]:
    """Bits, format, and whether 0 is white, of a sample as Pillow hands it on; of other formats gray has 16 bits."""
    if image.format != "TIFF":
        return 16, UNSIGNED, False
    tags = image.tag_v2
    bits, sample_format = max(tags.get(BITS, (1,))), max(tags.get(SAMPLE_FORMAT, (UNSIGNED,)))
    return bits, sample_format, tags.get(PHOTOMETRIC) == WHITE_IS_ZERO


def orientation(image) -> int:
    """The EXIF orientation, 1 to 8; 1, upright, also if the EXIF data cannot be read."""
    from PIL import ExifTags

    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return value if value in range(1, 9) else 1


def is_plain_jpeg(image) -> bool:
    """Whether TensorFlow decodes the opened image as `decode_image` does: an upright gray or RGB JPEG."""
    return image.format == "JPEG" and image.mode in ("RGB", "L") and orientation(image) == 1


def _phrase(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
