"""Names what a file is that cannot be read as an image, by its bytes."""

from __future__ import annotations

import re

HEIF_BRANDS = {"heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "mif2", "msf1"}
AVIF_BRANDS = {"avif", "avis"}
NEEDS_HEIF = "an HEIC or HEIF image, for which pip install 'kerascnn[heif]' adds the decoder"
UNSUPPORTED = "an image of a format that is not supported; convert it to PNG"
RAW = "a camera's raw file; develop it to JPEG"

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


def brands(contents: bytes) -> set[str]:
    """The brands of a file of the ISO base media format: HEIF, AVIF, films; nothing for other files."""
    if contents[4:8] != b"ftyp":
        return set()
    end = min(max(int.from_bytes(contents[:4], "big"), 16), 256)
    names = [contents[8:12], *(contents[start : start + 4] for start in range(16, end, 4))]
    return {name.decode("latin-1") for name in names}


def kind_of(contents: bytes) -> str:
    """What the file is, as a phrase with what to do about it; "not an image" if that is not known.

    Example:
        >>> kind_of(b"<html>404")
        'not an image but a web page'
    """
    found = brands(contents)
    if found & AVIF_BRANDS:
        return "an AVIF image that Pillow cannot read; it needs Pillow 11.3 or newer"
    if found & HEIF_BRANDS:
        return NEEDS_HEIF
    if "crx " in found:
        return RAW
    if "jxl " in found:
        return "a JPEG XL image; convert it to JPEG"
    if found:
        return "not an image but a video"
    if contents.endswith(b"TRUEVISION-XFILE.\0"):
        return UNSUPPORTED
    return next((kind for signature, kind in KINDS if signature.match(contents[:4096])), "not an image")
