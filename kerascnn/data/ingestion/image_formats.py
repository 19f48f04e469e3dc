"""Reads an image file of any supported format, upright and as RGB."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from kerascnn.errors import InputError

# JPEG includes the stereo pairs and previews that Pillow calls MPO. Pillow also reads EPS, for which it would run
# Ghostscript on the file, and TGA, which has no signature: nearly any file passes for it.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO", "PCX", "SGI", "QOI")

# First bytes of files that often have an image's name.
OTHER_SIGNATURES = {
    b"%PDF": "a PDF document",
    b"%!PS": "a PostScript document",
    b"PK\3\4": "a zip archive",
    b"Rar!": "a RAR archive",
    b"\x1f\x8b": "a gzip archive",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"<svg": "an SVG drawing",
    b"<?xml": "an XML document",
    b"\0\0\0\x18ftypheic": "an HEIC image, which has to be converted to JPEG first",
    b"\0\0\0\x24ftypheic": "an HEIC image, which has to be converted to JPEG first",
}


class UnreadableImageError(Exception):
    """The bytes are no image; the message is a phrase."""


def read_image(path: str | Path) -> np.ndarray:
    """Reads an image file as upright RGB.

    Applies the EXIF orientation, lays transparency on white, takes the first frame of an animation, converts gray,
    palette and CMYK to RGB, and keeps the upper 8 bits of 16-bit gray.

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
        return Image.open(io.BytesIO(contents), formats=FORMATS)
    except Image.UnidentifiedImageError:
        start = contents[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        kinds = (f" but {kind}" for signature, kind in OTHER_SIGNATURES.items() if start.startswith(signature.lower()))
        raise UnreadableImageError(f"not an image{next(kinds, '')}") from None
    # Pillow's plugins raise nearly anything on damaged files.
    except Exception as error:
        raise UnreadableImageError(_phrase(error)) from None


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
        image.load()
        if (turn := turns[orientation(image) - 1]) is not None:
            image = image.transpose(turn)
        if image.mode.startswith("I"):
            gray = np.clip(np.asarray(image).astype(np.int64), 0, 65535) >> 8
            return np.repeat(gray.astype(np.uint8)[..., None], 3, axis=-1)
        if image.mode == "F":
            raise UnreadableImageError("its floating-point pixels have no known range")
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert("RGB"))
    except UnreadableImageError:
        raise
    except Exception as error:
        raise UnreadableImageError(_phrase(error)) from None


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
