"""Output to terminals and pipes: plain text on standard error, and encodings that lack characters, such as ASCII."""

from __future__ import annotations

import codecs
import io
import sys

from kerascnn.shown_text import for_terminal

# For other characters stands a question mark.
SUBSTITUTES = {"…": "...", "Δ": "diff", "×": "x", "–": "-", "—": "-", "→": "->", "±": "+/-", "≤": "<=", "≥": ">="}


def print_error(text: str, end: str = "\n") -> None:
    """Prints lines of text on standard error, literally and without the secrets of URLs."""
    print(for_terminal(text), end=end, file=sys.stderr, flush=True)


def accept_every_character() -> None:
    """Prints substitutes on standard output and error for characters that their encodings lack, instead of failing."""
    codecs.register_error("kerascnn.substitutes", _substitutes)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="kerascnn.substitutes")


def _substitutes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(SUBSTITUTES.get(character, "?") for character in error.object[error.start : error.end]), error.end


def encodes_everything() -> bool:
    """Whether standard output has an encoding of Unicode."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
