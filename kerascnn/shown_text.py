"""Shows text of strangers literally: names, URLs and messages, on a terminal, in Markdown and in spreadsheets."""

from __future__ import annotations

import json
import re
import unicodedata

# Formats that join letters in Persian, Hindi and emojis; all others can hide or turn text.
_JOINERS = "\u200c\u200d"

# A URL in a sentence, up to a blank or a quote; what ends a sentence or a bracket is none of it.
_URL = re.compile(
    r"(?<![A-Za-z])(?:[A-Za-z][A-Za-z0-9+.-]{1,30}:/{1,3}|https?:)[^\s'\"<>`]*[^\s'\"<>`.,:;)\]]", re.IGNORECASE
)
# The host and what is before it, the path, and the rest, which also begins with an encoded or a forgotten "?".
_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*:/+|https?:)?", re.IGNORECASE)
_PARTS = re.compile(r"([^/?#]*)((?:(?!%3f)[^?#&])*)((?:[?&]|%3f)[^#]*)?", re.DOTALL | re.IGNORECASE)
# What stands for a query; the digits tell several apart.
_HIDDEN = re.compile(r"\?…[0-9a-f]*")

# Characters that Markdown obeys anywhere, those that it obeys beside a blank or at the beginning of a line, and those
# of which GitHub makes links.
_MARKDOWN = re.compile(r"([\\`*\[\]<>|~$&])|(?<![^\W_])(_)|(_)(?![^\W_])|^([#=]|[+-](?![\d.]))|(:(?=//)|(?<=www)\.)")


def literal(text: str) -> str:
    r"""The text on one line: characters that a terminal obeys, and those that turn or hide text, are written out.

    Example:
        >>> literal("cat\x1b[31m\n")
        'cat\\x1b[31m\\n'
    """
    return text if text.isascii() and text.isprintable() else "".join(map(_written, text))


def printable(name: str, max_length: int = 200) -> str:
    """The name for messages, as `literal`, and cut if it is long."""
    text = literal(name)
    return text if len(text) <= max_length else f"{text[: max_length - 1]}…"


def shown_url(url: str) -> str:
    """The `public_part` of a URL, cut if it is long."""
    return printable(public_part(url))


def public_part(url: str) -> str:
    """A URL as it is shown everywhere: without the user, password, query and fragment, which may be secret.

    Example:
        >>> public_part("https://me:password@example.org/pets.zip?token=secret#key")
        'https://example.org/pets.zip?…'
    """
    scheme = _SCHEME.match(url)[0]
    rest = url[len(scheme) :]
    server, path, query = (part or "" for part in _PARTS.match(rest).groups())
    # A password may have any character.
    user, colon, port = server.partition(":")
    if "@" in server or (colon and not user.startswith("[") and not port.isdigit() and "@" in rest):
        server, path, query = (part or "" for part in _PARTS.match(rest.rpartition("@")[2]).groups())
    path = re.sub(r";[^/]*", ";…", path)
    hidden = query if _HIDDEN.fullmatch(query) else "?…"
    return literal(f"{scheme.lstrip()}{server}{path}{hidden if query else ''}")


def without_secrets(text: str) -> str:
    """A sentence in which of every URL there is the `public_part`."""
    return _URL.sub(lambda match: public_part(match[0]), text) if ":" in text else text


def for_terminal(text: str) -> str:
    """Lines of text for a terminal, literally and without the secrets of URLs."""
    return "\n".join(map(literal, without_secrets(text).split("\n")))


def for_markdown(text: str) -> str:
    r"""Text for Markdown, on one line: no link, no HTML, no code and no cell of a table.

    Example:
        >>> for_markdown("[cat](http://x)|<b>")
        '\\[cat\\](http\\://x)\\|\\<b\\>'
    """
    return re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", _MARKDOWN.sub(r"\\\g<0>", literal(text)))


def for_json(text: str) -> str:
    """A JSON text in which characters that a terminal obeys, or that turn text, are written as JSON writes them."""

    def written(char: str) -> str:
        return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else json.dumps(char)[1:-1]

    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(char if _is_shown(char) or char == "\n" else written(char) for char in text)


def for_spreadsheet(cell: object) -> str:
    """A cell of a CSV file: a text that spreadsheets would take for a formula begins with an apostrophe.

    Bytes of file names that are no text, as `os.fsdecode` has them, stay.

    Example:
        >>> for_spreadsheet("=1+1"), for_spreadsheet("-0.5")
        ("'=1+1", '-0.5')
    """
    text = re.sub("[^\udc80-\udcff]+", lambda match: literal(match[0]), "" if cell is None else str(cell))
    return f"'{text}" if re.match(r"\s*[=+\-@＝＋－＠].", text) and not _is_number(text) else text


def _written(char: str) -> str:
    return char if _is_shown(char) else char.encode("unicode_escape").decode()


def _is_shown(char: str) -> bool:
    # Controls, formats, surrogates, and the ends of lines and paragraphs.
    return char in _JOINERS or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?%?|[+-]?(nan|inf)", text, re.IGNORECASE) is not None
