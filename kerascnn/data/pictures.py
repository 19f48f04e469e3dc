"""Reading one picture file, whatever it is, upright and as RGB."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from kerascnn.errors import InputError


def read_picture(path: str | Path) -> np.ndarray:
    """A picture file as upright RGB.

    EXIF rotation is applied; transparency is laid on white; of an animation the first frame counts; grey,
    palette and CMYK become RGB; 16-bit greys keep their upper 8 bits.

    Args:
        path: a file in any format that Pillow reads.

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
    from PIL import Image, ImageOps

    if not contents:
        raise UnreadablePictureError("0 bytes")
    try:
        with Image.open(io.BytesIO(contents)) as picture:
            picture.load()
            return _rgb(ImageOps.exif_transpose(picture))
    except Image.UnidentifiedImageError:
        raise UnreadablePictureError("not an image") from None
    except UnreadablePictureError:
        raise
    # Pillow's plugins raise nearly anything on damaged files.
    except Exception as error:
        raise UnreadablePictureError(str(error).rstrip(".") or type(error).__name__) from None


def is_plain(contents: bytes) -> bool:
    """Whether TensorFlow's JPEG decoder gives what `decode_picture` gives: an upright grey or RGB JPEG."""
    from PIL import ExifTags, Image

    with Image.open(io.BytesIO(contents)) as picture:
        if picture.format != "JPEG" or picture.mode not in ("RGB", "L"):
            return False
        return picture.getexif().get(ExifTags.Base.Orientation, 1) == 1


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
