"""Random damage: to bytes, to lines of text, to nested values, and to names."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

NUMBERS = (0, -1, 1, 255, 2**31 - 1, 2**31, 2**63 - 1, -(2**63), 2**64, 10**62, 10**400, -0.0, 1e308, float("nan"))
TEXTS = (
    *("", " ", ".", "..", "../up", "../../../../etc/passwd", "/etc/passwd", "~/up", "C:\\up", "a\0b", "\n", "\t", "\r"),
    *("\x1b[2J\x1b[31m", "[/red]", "[link=http://a]b[/link]", "<script>alert(1)</script>", "=1+1", "@SUM(A1)", "-2+3"),
    *("{{7*7}}", "\ufeff", "\u202egnp.exe", "\udce9", "é", "e\u0301", "😀", "%s%n", "null", "nan", "1e400", "9" * 5000),
    *("a" * 300, "a/" * 200, "x" * 100_000, "file:///etc/passwd", "http://[::1/x", "\\\\server\\share", "CON", "a."),
    *("$HOME", "`id`", "; rm -rf"),
)
VALUES = (*NUMBERS, *TEXTS, None, True, False, [], {}, [[]], {"": {}}, [None], {"a": [1, {"b": "c"}]}, b"\xff")


def bytes_damaged(contents: bytes, chance: random.Random) -> bytes:
    """Bytes flipped, cut out, doubled or overwritten, or the end missing; headers get as much of it as the rest."""
    data = bytearray(contents)
    for _ in range(chance.choice((1, 1, 1, 2, 5, 40))):
        if not data:
            break
        at = chance.randrange(len(data)) if chance.random() < 0.5 else chance.randrange(min(len(data), 256))
        match chance.randrange(7):
            case 0 | 1:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                data[at] = chance.choice((0, 1, 127, 128, 255, ord("."), ord("/"), ord("\n"), ord('"')))
            case 3:
                del data[at : at + chance.randrange(1, 100)]
            case 4:
                data[at:at] = data[at : at + chance.randrange(1, 600)]
            case 5:
                data[at : at + 4] = chance.choice((b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4), b"\0\0\xff\xff"))
            case 6:
                del data[at:]
    return bytes(data)


def text_damaged(text: str, chance: random.Random, separator: str) -> str:
    """Some of the cells of a text replaced by hostile ones, lines doubled, shuffled or lost."""
    lines = [line.split(separator) for line in text.split("\n")]
    for _ in range(chance.choice((1, 1, 2, 4, 20))):
        at = chance.randrange(len(lines))
        line = lines[at]
        match chance.randrange(6):
            case 0 | 1 | 2:
                line[chance.randrange(len(line))] = chance.choice(TEXTS)
            case 3:
                line.insert(chance.randrange(len(line) + 1), chance.choice((*TEXTS, '"', "'", separator * 50)))
            case 4:
                lines.insert(chance.randrange(len(lines)), list(line))
            case 5 if len(lines) > 1:
                del lines[at]
    return "\n".join(map(separator.join, lines))


def value_damaged(values: Any, chance: random.Random) -> Any:
    """Nested values with some of them replaced by others, of other types too."""
    values = copy.deepcopy(values)
    for _ in range(chance.choice((1, 1, 1, 2, 6))):
        replaces = list(_places(values))
        if not replaces:
            break
        chance.choice(replaces)(chance)
    return values


def _places(values: Any) -> list[Callable[[random.Random], None]]:
    """A function for every place in nested values, which puts something hostile there."""
    found: list[Callable[[random.Random], None]] = []
    keys = list(values) if isinstance(values, dict) else range(len(values)) if isinstance(values, list) else ()
    for key in keys:

        def replace(chance: random.Random, key: Any = key) -> None:
            kind = chance.random()
            if kind < 0.1:
                del values[key]
            elif kind < 0.2 and isinstance(values, dict):
                values[chance.choice(TEXTS)] = values.pop(key)
            else:
                values[key] = deep(chance) if kind > 0.97 else copy.deepcopy(chance.choice(VALUES))

        found += [replace, *_places(values[key])]
    return found


def deep(chance: random.Random) -> Any:
    """Lists or mappings in one another, as many levels as the writers of YAML and JSON can take."""
    value: Any = 1
    for _ in range(chance.choice((10, 50, 100))):
        value = [value] if chance.random() < 0.5 else {"a": value}
    return value


def name(chance: random.Random) -> str:
    """A name for a file or folder that file systems take, and nobody would give."""
    alphabet = "ab01 ._-=+@()[]{}<>|&;:'\"$#%!?*~^`\\,é\u202e\x1b\x07\n\t\r\x7f\udcff😀"
    length = chance.choice((1, 2, 5, 20, 60))
    text = chance.choice((*TEXTS, "".join(chance.choices(alphabet, k=length)))) if chance.random() < 0.7 else "a" * 40
    text = text.replace("/", "_").replace("\0", "_")
    while len(text.encode("utf-8", "surrogateescape")) > 200:
        text = text[: len(text) // 2]
    return text if text.strip(".") else f"a{text}"
