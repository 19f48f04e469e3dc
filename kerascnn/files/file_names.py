"""File names: compared, and made safe for the file system."""

import os
import re
import unicodedata
from pathlib import PurePosixPath

# Bytes; the limit of ext4, XFS and APFS, and in UTF-16 units of NTFS.
MAX_NAME_LENGTH = 255

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_WINDOWS_FORBIDDEN = re.compile(r'[<>:"|?*]')
_WINDOWS_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE)


def decode_name(raw: bytes, fallback: str) -> str:
    """Decodes a name as UTF-8, else with the encoding `fallback`, which must cover every byte."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode(fallback)


def composed(name: str) -> str:
    """The name with its accents in the composed form (NFC), as Linux and Windows write them in names of files."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """The composed name without a difference of upper and lower case."""
    return name.lower() if name.isascii() else composed(composed(name).casefold())


def safe_file_name(name: str, tail: str = "", *, windows: bool = os.name == "nt") -> str:
    """Any text as the name of a file or folder, with `tail` between stem and suffix: "a/b.jpg" as "a_b (2).jpg".

    Separators and control characters become underscores; on Windows also its forbidden characters, dots and spaces
    at the end, and device names. The stem of a name that is too long is cut.
    """
    name = _CONTROL.sub("_", name).replace("/", "_").replace("\\", "_")
    if name in ("", ".", ".."):
        name = name.replace(".", "_") or "_"
    if windows:
        name = _WINDOWS_FORBIDDEN.sub("_", name)
        name = re.sub(r"[. ]+$", lambda end: "_" * len(end[0]), name)
        name = f"_{name}" if _WINDOWS_RESERVED.fullmatch(name) else name
    suffix = PurePosixPath(name).suffix
    # Longer ones are part of the name.
    suffix = suffix if len(suffix.encode()) <= 32 else ""
    stem = name[: len(name) - len(suffix)]
    room = MAX_NAME_LENGTH - len((tail + suffix).encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + tail + suffix
