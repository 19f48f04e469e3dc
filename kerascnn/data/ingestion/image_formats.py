"""Reads an image file of any supported format, upright and as RGB; names what other files are, by their bytes."""

import functools
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from kerascnn.data.ingestion.image_bounds import MAX_FILE_SIZE, MAX_PIXELS, excessive_chunks, excessive_scans
from kerascnn.errors import InputError, one_line, phrase
from kerascnn.files.user_file import read_bytes

# JPEG includes the stereo pairs and previews that Pillow calls MPO. Pillow also reads EPS, for which it would run
# Ghostscript on the file, and TGA, which has no signature: nearly any file passes for it.
FORMATS = {
    *("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "AVIF", "HEIF", "JPEG2000", "PPM", "ICO", "PCX", "SGI", "QOI")
}

# By the brands of the ISO base media format; any others are films.
NEEDS_HEIF = "an HEIC or HEIF image, for which pip install 'kerascnn[heif]' adds the decoder"
NEEDS_PILLOW = "an AVIF image that Pillow cannot read; it needs Pillow 11.3 or newer"
UNSUPPORTED = "an image of a format that is not supported; convert it to PNG"
RAW = "a camera's raw file; develop it to JPEG"
BRANDS = {
    **dict.fromkeys(("avif", "avis"), NEEDS_PILLOW),
    **dict.fromkeys(("heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"), NEEDS_HEIF),
    **dict.fromkeys(("mif1", "mif2", "msf1"), NEEDS_HEIF),
    "crx ": RAW,
    "jxl ": "a JPEG XL image; convert it to JPEG",
}

# By the first bytes; those of TIFF come after the raw files that begin like it.
IMAGES = {
    rb"\xff\x0a|\0\0\0\x0cJXL ": "a JPEG XL image; convert it to JPEG, as djxl does without loss",
    rb"II\xbc": "a JPEG XR image; convert it to PNG",
    rb"8BPS|gimp xcf": "an image editor's document; export it as PNG",
    rb"DDS |icns|\x76\x2f\x31\x01|#\?RADIANCE|SIMPLE  =|.{128}DICM|PF\s|P7\s|\x93NUMPY|BPG\xfb|FLIF": (UNSUPPORTED),
    rb"FUJIFILMCCD-RAW|II(RO|RS|U\0)|MMOR|FOVb|II\x1a\0\0\0HEAP|\0MRM|II\*\0.{4}CR": RAW,
    rb"II[*+]\0|MM\0[*+]": "a TIFF image of a kind that Pillow does not read, such as a raw file; make it a JPEG",
    rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!doctype svg[^>]*>\s*)?<svg": (
        "an SVG drawing; export it as PNG"
    ),
}
NO_IMAGES = {
    rb"%PDF": "a PDF document; export its pages as images",
    rb"%!PS|\xc5\xd0\xd3\xc6": "a PostScript document",
    rb"\xd0\xcf\x11\xe0": "an Office document or a thumbnail index",
    rb"PK\x03\x04": "a zip archive",
    rb"Rar!": "a RAR archive",
    rb"7z\xbc\xaf": "a 7z archive",
    rb"\x1f\x8b": "a gzip archive",
    rb"\x1a\x45\xdf\xa3|RIFF.{4}AVI |.{4}(moov|mdat|wide|free)|\0\0\x01\xba": "a video",
    rb"version https://git-lfs": "a pointer of Git LFS; fetch the image itself with git lfs pull",
    rb"\0\x05\x16[\0\x07]": "file attributes of macOS",
    rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head)": "a web page",
    rb"(\xef\xbb\xbf)?\s*<\?xml": "an XML document",
    rb"\s*\{\s*\"": "a JSON document",
}
OTHERS = {signature: f"not an image but {kind}" for signature, kind in NO_IMAGES.items()}
KINDS = [(re.compile(signature, re.DOTALL | re.IGNORECASE), kind) for signature, kind in (IMAGES | OTHERS).items()]

# TIFF's tags and values.
SUBFILE, BITS, PHOTOMETRIC, SAMPLE_FORMAT, DNG = 254, 258, 262, 339, 50706
REDUCED, WHITE_IS_ZERO, UNSIGNED, SIGNED = 1, 0, 1, 2


class UnreadableImageError(Exception):
    """The bytes are no image; the message is a phrase."""


def decode_image(contents: bytes) -> np.ndarray:
    """As `read_image`, from a file's bytes; UnreadableImageError if they are no complete image."""
    with undecodable(), open_image(contents) as image:
        return upright_rgb(image)


def read_image(path: str | Path, decode: Callable[[bytes], np.ndarray] = decode_image) -> np.ndarray:
    """Reads an image file as upright RGB: uint8 (height, width, 3) in [0, 255].

    Applies the EXIF orientation, lays transparency on white, takes the first frame of an animation, converts gray,
    palette and CMYK to RGB, and keeps the upper 8 bits of gray with 10 to 16 bits. The file is in one of `FORMATS`; its
    suffix does not matter. InputError if it is missing, empty, truncated, not an image, or a decompression bomb.
    `decode` does it: `decode_image`, or for files that no ingestion has checked `unchecked_images.decode_unchecked`.
    """
    try:
        return decode(read_bytes(path, MAX_FILE_SIZE))
    except FileNotFoundError:
        raise InputError(f"there is no file {path}.") from None
    except (OSError, UnreadableImageError) as error:
        raise InputError(f"{path} cannot be read: {one_line(error)}") from None


@contextmanager
def undecodable() -> Iterator[None]:
    """Turns whatever a decoder raises into UnreadableImageError: Pillow's plugins raise anything on damaged files."""
    try:
        yield
    except UnreadableImageError:
        raise
    except Exception as error:
        text = phrase(error)
        raise UnreadableImageError("its decoder fails" if text == type(error).__name__ else text) from None


def open_image(contents: bytes):
    """The `PIL.Image.Image` of a file's bytes; its pixels are not decoded yet.

    UnreadableImageError if no image begins like that, or decoding it would exceed `image_bounds`.
    """
    from PIL import Image

    if not contents:
        raise UnreadableImageError("0 bytes")
    if excessive_chunks(contents):
        raise UnreadableImageError("it has too many tiny chunks")
    with undecodable():
        try:
            image = Image.open(io.BytesIO(contents), formats=_formats())
        except Image.UnidentifiedImageError:
            kind = kind_of(contents)
            if kind == NEEDS_PILLOW and "AVIF" in _formats():
                kind = "an AVIF image that is damaged, or too large"
            if kind == NEEDS_HEIF and "HEIF" in _formats():
                kind = "an HEIC or HEIF image that is damaged, or a sequence without a still image"
            raise UnreadableImageError(kind) from None
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        image.close()
        raise UnreadableImageError(f"{pixels / 1e6:.0f} million pixels, more than the {MAX_PIXELS / 1e6:.0f} allowed")
    if image.format in ("JPEG", "MPO") and excessive_scans(contents, pixels):
        image.close()
        raise UnreadableImageError("it has too many scans, which would take minutes to decode")
    if image.format == "TIFF":
        tags = image.tag_v2
        # A camera's raw file: by the preview at its beginning, which Pillow would read, its version, or its signature.
        if tags.get(SUBFILE) == REDUCED or DNG in tags or kind_of(contents) == RAW:
            image.close()
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


def kind_of(contents: bytes) -> str:
    """What a file that is no readable image is, with what to do about it; "not an image" if that is not known.

    Example:
        >>> kind_of(b"<html>404")
        'not an image but a web page'
    """
    if contents[4:8] == b"ftyp":
        end = min(max(int.from_bytes(contents[:4], "big"), 16), 256)
        names = {contents[start : start + 4].decode("latin-1") for start in (8, *range(16, end, 4))}
        return next((kind for name, kind in BRANDS.items() if name in names), "not an image but a video")
    if contents.endswith(b"TRUEVISION-XFILE.\0"):
        return UNSUPPORTED
    return next((kind for signature, kind in KINDS if signature.match(contents[:4096])), "not an image")


def upright_rgb(image) -> np.ndarray:
    """The pixels of an opened image, uint8 (height, width, 3); UnreadableImageError if it is not complete."""
    with undecodable():
        return _upright_rgb(image)


def _upright_rgb(image) -> np.ndarray:
    from PIL import Image
    from PIL.Image import Transpose

    # By the EXIF orientation, 1 to 8.
    turns = (
        *(None, Transpose.FLIP_LEFT_RIGHT, Transpose.ROTATE_180, Transpose.FLIP_TOP_BOTTOM),
        *(Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90),
    )
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
    # Damaged EXIF data raise anything.
    except Exception:
        return 1
    return value if value in range(1, 9) else 1


def is_plain_jpeg(image) -> bool:
    """Whether TensorFlow decodes the opened image as `decode_image` does: an upright gray or RGB JPEG."""
    return image.format == "JPEG" and image.mode in ("RGB", "L") and orientation(image) == 1
