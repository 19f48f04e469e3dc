"""Reading one picture file, whatever it is, upright and as RGB."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from kerascnn.errors import InputError

# What is read, JPEG with the stereo pairs and previews that Pillow calls MPO. Of what else Pillow knows, EPS would run
# Ghostscript on the file, and TGA has no signature: nearly anything can pass for it.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO", "PCX", "SGI", "QOI")

# What often lies among pictures under a picture's name, by how it begins.
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
    (b"\0\0\0\x18ftypheic", "an HEIC picture, which has to be converted to JPEG first"),
    (b"\0\0\0\x24ftypheic", "an HEIC picture, which has to be converted to JPEG first"),
)


def read_picture(path: str | Path) -> np.ndarray:
    """A picture file as upright RGB.

    EXIF rotation is applied; transparency is laid on white; of an animation the first frame counts; grey,
    palette and CMYK become RGB; 16-bit greys keep their upper 8 bits.

    Args:
        path: a file in one of `FORMATS`, whatever its suffix says.

    Returns:
        uint8 (height, width, 3) in [0, 255].

    Raises:
        InputError: the file is missing, empty, truncated, not an image or too large to be an honest one.

    Example:
        >>> read_picture("cat.webp").shape
        (375, 500, 3)
    """
    try:
        return decode_picture(Path(path).read_bytes())
    except FileNotFoundError:
        raise InputError(f"there is no file {path}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except UnreadablePictureError as error:
        raise InputError(f"{path} cannot be read: {error}.") from None


class UnreadablePictureError(Exception):
    """Bytes that are no picture; the message is the reason, as a phrase."""


def decode_picture(contents: bytes) -> np.ndarray:
    """As `read_picture`, from the bytes of a file.

    Raises:
        UnreadablePictureError: they are not a whole picture.
    """
    with opened(contents) as picture:
        return upright_rgb(picture)


def opened(contents: bytes):
    """The picture with its header read and its pixels not yet.

    Raises:
        UnreadablePictureError: no picture begins like that, or its size is beyond `PIL.Image.MAX_IMAGE_PIXELS` twice.
    """
    from PIL import Image

    if not contents:
        raise UnreadablePictureError("0 bytes")
    try:
        return Image.open(io.BytesIO(contents), formats=FORMATS)
    except Image.UnidentifiedImageError:
        raise UnreadablePictureError(f"not an image{_another_kind(contents)}") from None
    # Pillow's plugins raise nearly anything on damaged files.
    except Exception as error:
        raise UnreadablePictureError(_phrase(error)) from None


def upright_rgb(picture) -> np.ndarray:
    """Reads an opened picture's pixels.

    Returns:
        uint8 (height, width, 3) in [0, 255].

    Raises:
        UnreadablePictureError: it is not whole.
    """
    try:
        picture.load()
        return _rgb(_upright(picture))
    except UnreadablePictureError:
        raise
    except Exception as error:
        raise UnreadablePictureError(_phrase(error)) from None


def orientation(picture) -> int:
    """The EXIF orientation, 1 to 8; 1, upright, also where the EXIF data cannot be read."""
    from PIL import ExifTags

    try:
        value = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return value if value in range(1, 9) else 1


def is_plain(contents: bytes) -> bool:
    """Whether TensorFlow's JPEG decoder gives what `decode_picture` gives: an upright grey or RGB JPEG."""
    with opened(contents) as picture:
        return opened_plain(picture)


def opened_plain(picture) -> bool:
    """As `is_plain`, of an opened picture."""
    return picture.format == "JPEG" and picture.mode in ("RGB", "L") and orientation(picture) == 1


def _phrase(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _another_kind(contents: bytes) -> str:
    start = contents[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((f" but {kind}" for magic, kind in OTHER_KINDS if start.startswith(magic.lower())), "")


def _upright(picture):
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
    turn = turns.get(orientation(picture))
    return picture if turn is None else picture.transpose(turn)


def _rgb(picture) -> np.ndarray:
    from PIL import Image

    if picture.mode.startswith("I"):
        greys = np.clip(np.asarray(picture).astype(np.int64), 0, 65535) >> 8
        return np.repeat(greys.astype(np.uint8)[..., None], 3, axis=-1)
    if picture.mode == "F":
        raise UnreadablePictureError("its floating-point pixels have no known range")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return np.asarray(picture.convert("RGB"))
