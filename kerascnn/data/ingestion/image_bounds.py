"""Bounds on what decoding an image may cost, read from its bytes before it is decoded."""

from __future__ import annotations

import re

# Bytes; the largest uncompressed image. Films and disk images are not read at all.
MAX_FILE_SIZE = 600_000_000

# 134 million, more than the largest cameras of medium format have; two thirds of them may be decoded at a time.
MAX_PIXELS = 1 << 27

# A progressive JPEG has about ten scans, each of which goes through all its pixels.
MAX_SCANS = 100
MAX_SCANNED_PIXELS = 1 << 31
FEW_SCANS = 16
MAX_SEGMENTS = 10_000
# The beginning of a scan; compressed data and previews may have these bytes by chance.
_SCAN = re.compile(rb"\xff\xda\0")
_MARKER = re.compile(rb"\xff+([\x02-\xcf\xd8-\xfe])")

# Pillow takes 15 microseconds for a chunk of a PNG.
PNG = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS, LEAST_CHUNK = 10_000, 256


def excessive_chunks(contents: bytes) -> bool:
    """Whether a PNG has very many chunks of very few bytes."""
    place, count = len(PNG), 0
    while contents.startswith(PNG) and place < len(contents):
        place += 12 + int.from_bytes(contents[place : place + 4], "big")
        count += 1
        if count > MAX_CHUNKS and place < count * LEAST_CHUNK:
            return True
    return False


def has_few_scans(contents: bytes) -> bool:
    """Whether a JPEG has not more scans than usual."""
    return len(_SCAN.findall(contents)) <= FEW_SCANS


def excessive_scans(contents: bytes, pixels: int) -> bool:
    """Whether decoding a JPEG of so many pixels goes through them very many times."""
    if has_few_scans(contents):
        return False
    place, scans = 2, 0
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(contents, place)
        if found is None or found[1] == b"\xd9":
            return scans > MAX_SCANS or scans * pixels > MAX_SCANNED_PIXELS
        scans += found[1] == b"\xda"
        place = found.end() + int.from_bytes(contents[found.end() : found.end() + 2], "big")
    return True
