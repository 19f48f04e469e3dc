"""Reads tables from text files: any common encoding and separator, with or without quotes and comments."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from kerascnn.data.ingestion.file_tree import IMAGE_SUFFIXES
from kerascnn.files.memory import free_memory
from kerascnn.files.user_file import open_file, read_bytes

TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".txt")

# Bytes and rows that decide the separator, and what the columns are.
HEAD = 1 << 17
SAMPLE = 500

# Bytes; the labels of all images of ImageNet-21k take less.
MAX_TABLE = 1 << 30

# Lines that must have one number of words.
MOST_EVEN = 0.8

# Different cells that are remembered.
MOST_SHARED = 100_000

_SEPARATORS = "\t,;|"
_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

# "images/cat 1.jpg 0": the file's name may have spaces.
_FILE_THEN_MORE = re.compile(rf"(.+?(?:{'|'.join(map(re.escape, IMAGE_SUFFIXES))}))\s+(\S.*)", re.IGNORECASE)


# Titles above files.
_FILE_TITLE = re.compile(r"file|name|image|img|path|id", re.IGNORECASE)
_STRANGE = re.compile(r"[^\x00-\x7f]{3}|[^\x00-\x7f][¡-¿×÷]")
_WORD = re.compile(r'"([^"]*)"|(\S+)')


class Rows(NamedTuple):
    """A table's rows, all of the commonest width, and the numbers of rows of fewer and of more cells."""

    rows: list[list[str]]
    narrow: int = 0
    wide: int = 0


def read_rows(path: Path, *, head: bool = False) -> Rows:
    """Reads the rows of a table; none if the file is no table of at least two columns.

    Cells are without spaces around them. Empty lines, comments after "#" and the line "sep=;" of spreadsheets are left
    out, and so are rows that are not of the commonest width, such as a last row "Total: 20 images". The parts of a line
    in a .txt are divided by spaces if it has no other separators.

    With `head`, only the first rows are read, at most 500, of a file of any size. OSError if the file cannot be read,
    UnicodeError if it is in another encoding, as the message says.
    """
    if head:
        with open_file(path) as file:
            raw = file.read(HEAD)
    else:
        # Cells take many times the space of the file.
        raw = read_bytes(path, min(MAX_TABLE, free_memory() // 8))
    text = _decoded(raw)
    if head and len(raw) == HEAD:
        text = text[: text.rfind("\n") + 1] or text
    text = re.sub(r"\Asep=.\r?\n", "", text)
    sample = [line for line in text[:HEAD].splitlines() if line.strip() and not line.startswith("#")][:SAMPLE]
    regular = {separator: _regularity(sample, separator) for separator in _SEPARATORS}
    separator = max(regular, key=regular.__getitem__)
    if path.suffix.lower() == ".txt" and regular[separator][0] < 0.9:
        rows = _rows_of_words(text.splitlines(), sample)
    else:
        rows = _cells(text, separator)
    try:
        return _even(list(_shared(islice(rows, SAMPLE if head else None))))
    except csv.Error:
        return Rows([])


def _decoded(raw: bytes) -> str:
    """The text of a file or of its beginning: UTF-16 as spreadsheets write it, UTF-8, or Western European."""
    found = next((bom for bom in _BOMS if raw.startswith(bom)), b"")
    zeros = [raw[start:2000:2].count(0) for start in (0, 1)]
    if found:
        names = [_BOMS[found]]
    elif max(zeros) > len(raw[:2000]) // 4:
        names = ["utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"]
    else:
        names = ["utf-8", "cp1252"]
    for name in names:
        try:
            # Incremental: the last character of a beginning may be cut.
            text = codecs.getincrementaldecoder(name)().decode(raw[len(found) :])
            # Every text of bytes can be read as Western European; one that is has single letters with accents.
            if name != "cp1252" or not _STRANGE.search(text):
                return text
        except UnicodeDecodeError:
            continue
    raise UnicodeError("neither UTF-8, UTF-16 nor Western European; save it as UTF-8")


def _regularity(lines: list[str], separator: str) -> tuple[float, int]:
    """The share of lines of the commonest width above one, and this width."""
    try:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=separator) if len(row) > 1)
    except csv.Error:
        return 0.0, 0
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
    return count / max(len(lines), 1), width


def _cells(text: str, separator: str) -> Iterator[list[str]]:
    """Rows of cells; if quotes are not balanced, they are part of the cells."""
    quotes = csv.QUOTE_NONE if text.count('"') % 2 else csv.QUOTE_MINIMAL
    # Spaces before a quote are left out; a tab is no space where it separates.
    for row in csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, quoting=quotes, skipinitialspace=separator != "\t"
    ):
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield cells


def _shared(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    """The rows with equal cells stored once, as far as they are near each other or many."""
    known: dict[str, str] = {}
    for row in rows:
        if len(known) > MOST_SHARED:
            known.clear()
        yield [known.setdefault(cell, cell) for cell in row]


def _rows_of_words(lines: list[str], sample: list[str]) -> Iterator[list[str]]:
    """Rows whose cells are words; the file and the rest of the line if they have no common number of words."""
    widths = Counter(len(_words(line)) for line in sample)
    is_even = max(widths.values(), default=0) >= MOST_EVEN * len(sample)
    return map(_words if is_even else _file_and_rest, lines)


def _file_and_rest(line: str) -> list[str]:
    first, *rest = _words(line) or [""]
    return [first, " ".join(rest)] if rest else []


def _words(line: str) -> list[str]:
    match = _FILE_THEN_MORE.fullmatch(line.strip())
    if match:
        return [match[1], *match[2].split()]
    return [quoted or word for quoted, word in _WORD.findall(line)] if line.count('"') % 2 == 0 else line.split()


def _even(rows: list[list[str]]) -> Rows:
    """Cuts empty cells at the ends, and leaves out what has not the commonest width; a comment may be the header."""
    comments = [row for row in rows if row and row[0].startswith("#")]
    body = [row for row in rows if row and not row[0].startswith("#")]
    width = max(Counter(map(len, body)).items(), key=lambda item: (item[1], item[0]), default=(0, 0))[0]
    if comments and rows[0] is comments[0] and len(rows[0]) == width:
        body.insert(0, [rows[0][0].lstrip("# "), *rows[0][1:]])
    if width < 2:
        return Rows([])
    _align_titles(body, width)
    even = []
    for row in body:
        if len(row) > width and not any(row[width:]):
            row = row[:width]
        elif 1 < len(row) < width:
            row = row + [""] * (width - len(row))
        if len(row) == width:
            even.append(row)
    wide = sum(len(row) > width and any(row[width:]) for row in body)
    return Rows(even, len(body) - len(even) - wide, wide)


def _align_titles(body: list[list[str]], width: int) -> None:
    """Begins a first row that is one cell short with an empty title: programs write none above the rows' names."""
    first = next((number for number, row in enumerate(body[:-1]) if len(row) > 1), len(body))
    if first >= len(body) or len(body[first]) != width - 1 or any(map(is_image, body[first])):
        return
    below = next((column for column, cell in enumerate(body[first + 1]) if is_image(cell)), width)
    if below >= width - 1 or not _FILE_TITLE.search(body[first][below]):
        body[first] = ["", *body[first]]


def is_image(cell: str) -> bool:
    """Whether a cell is the name of an image file."""
    return cell.lower().endswith(IMAGE_SUFFIXES)
