"""Reading one image file, whatever it is, upright and as RGB."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from kerascnn.errors import InputError

# What is read, JPEG with the stereo pairs and previews that Pillow calls MPO. Of what else Pillow knows, EPS would run
# Ghostscript on the file, and TGA has no signature: nearly anything can pass for it.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO", "PCX", "SGI", "QOI")

# What often lies among images under an image's name, by how it begins.
OTHER_KINDS = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"PK\3\4", "a zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document"),
    (b"\0\0\0\x18ftypheic", "an HEIC image, which has to be converted to JPEG first"),
    (b"\0\0\0\x24ftypheic", "an HEIC image, which has to be converted to JPEG first"),
)


def read_image(path: str | Path) -> np.ndarray:
    """An image file as upright RGB.

    EXIF rotation is applied; transparency is laid on white; of an animation the first frame counts; grey,
    palette and CMYK become RGB; 16-bit greys keep their upper 8 bits.

    Args:
        path: a file in one of `FORMATS`, whatever its suffix says.

    Returns:
        uint8 (height, width, 3) in [0, 255].

    Raises:
        InputError: the file is missing, empty, truncated, not an image or too large to be an honest one.

    Example:
        >>> read_image("cat.webp").shape
        (375, 500, 3)
    """
    try:
        return decode_image(Path(path).read_bytes())
    except FileNotFoundError:
        raise InputError(f"there is no file {path}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except UnreadableImageError as error:
        raise InputError(f"{path} cannot be read: {error}.") from None


class UnreadableImageError(Exception):
    """Bytes that are no image; the message is the reason, as a phrase."""


def decode_image(contents: bytes) -> np.ndarray:
    """As `read_image`, from the bytes of a file.

    Raises:
        UnreadableImageError: they are not a whole image.
    """
    with opened(contents) as image:
        return upright_rgb(image)


def opened(contents: bytes):
    """The image with its header read and its pixels not yet.

    Raises:
        UnreadableImageError: no image begins like that, or its size is beyond `PIL.Image.MAX_IMAGE_PIXELS` twice.
    """
    from PIL import Image

    if not contents:
        raise UnreadableImageError("0 bytes")
    try:
        return Image.open(io.BytesIO(contents), formats=FORMATS)
    except Image.UnidentifiedImageError:
        raise UnreadableImageError(f"not an image{_another_kind(contents)}") from None
    # Pillow's plugins raise nearly anything on damaged files.
    except Exception as error:
        raise UnreadableImageError(_phrase(error)) from None


def upright_rgb(image) -> np.ndarray:
    """Reads an opened image's pixels.

    Returns:
        uint8 (height, width, 3) in [0, 255].

    Raises:
        UnreadableImageError: it is not whole.
    """
    try:
        image.load()
        return _rgb(_upright(image))
    except UnreadableImageError:
        raise
    except Exception as error:
        raise UnreadableImageError(_phrase(error)) from None


def orientation(image) -> int:
    """The EXIF orientation, 1 to 8; 1, upright, also where the EXIF data cannot be read."""
    from PIL import ExifTags

    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return value if value in range(1, 9) else 1


def is_plain(contents: bytes) -> bool:
    """Whether TensorFlow's JPEG decoder gives what `decode_image` gives: an upright grey or RGB JPEG."""
    with opened(contents) as image:
        return opened_plain(image)


def opened_plain(image) -> bool:
    """As `is_plain`, of an opened image."""
    return image.format == "JPEG" and image.mode in ("RGB", "L") and orientation(image) == 1


def _phrase(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _another_kind(contents: bytes) -> str:
    start = contents[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((f" but {kind}" for magic, kind in OTHER_KINDS if start.startswith(magic.lower())), "")


def _upright(image):
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    turn = turns.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def _rgb(image) -> np.ndarray:
    from PIL import Image

    if image.mode.startswith("I"):
        greys = np.clip(np.asarray(image).astype(np.int64), 0, 65535) >> 8
        return np.repeat(greys.astype(np.uint8)[..., None], 3, axis=-1)
    if image.mode == "F":
        raise UnreadableImageError("its floating-point pixels have no known range")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))
