"""Names from elsewhere (archives, servers), made fit for this machine's file system and for its terminal."""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath

# Bytes: what ext4, XFS, APFS and, in UTF-16 units, NTFS hold.
LONGEST_NAME = 255

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_WINDOWS_FORBIDDEN = re.compile(r'[<>:"|?*]')
_WINDOWS_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE)


def decoded(raw: bytes, otherwise: str) -> str:
    """A name as text: UTF-8 where it is that, else in the encoding `otherwise`, which must know every byte."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode(otherwise)


def safe_file_name(name: str, tail: str = "", *, windows: bool = os.name == "nt") -> str:
    """A name for one file or folder: `name` itself wherever the file system can hold it.

    Separators and control characters become underscores. On Windows so do the characters, the dots and spaces at
    the end and the device names that it has no files for. What is too long loses the end of its stem.

    Args:
        name: any text.
        tail: goes between stem and suffix, such as " (2)".
        windows: whether Windows' rules hold.

    Example:
        >>> safe_file_name("a/b\\n.jpg", " (2)")
        'a_b_ (2).jpg'
    """
    name = _CONTROL.sub("_", name).replace("/", "_").replace("\\", "_")
    if name in ("", ".", ".."):
        name = name.replace(".", "_") or "_"
    if windows:
        name = _WINDOWS_FORBIDDEN.sub("_", name)
        name = re.sub(r"[. ]+$", lambda end: "_" * len(end[0]), name)
        name = f"_{name}" if _WINDOWS_RESERVED.fullmatch(name) else name
    suffix = PurePosixPath(name).suffix
    # A suffix that long is none.
    suffix = suffix if len(suffix.encode()) <= 32 else ""
    stem = name[: len(name) - len(suffix)]
    room = LONGEST_NAME - len((tail + suffix).encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + tail + suffix


def printable(name: str, longest: int = 200) -> str:
    """A name as messages show it: on one line, with nothing that a terminal would obey."""
    text = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in name
    )
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
