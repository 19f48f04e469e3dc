"""A web page in one file: headings, tables and images, nothing fetched from anywhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np

# Of the longer side of an image in a gallery, in pixels.
THUMBNAIL = 160

STYLE = """
:root { color-scheme: light dark; --line: #8884; --faint: #888; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .8rem .25rem 0; text-align: right; border-bottom: 1px solid var(--line); }
td { white-space: nowrap; }
th { font-weight: 600; vertical-align: bottom; }
.word { text-align: left; }
.word:first-child { white-space: normal; overflow-wrap: anywhere; }
img { max-width: 100%; background: white; }
.gallery { display: flex; flex-wrap: wrap; gap: 1rem; }
.gallery figure { margin: 0; width: 160px; font-size: .85rem; overflow-wrap: anywhere; }
.gallery small { color: var(--faint); }
"""


class Page:
    """What is added, in that order, under a title.

    Every text is escaped: names of classes and files are nobody's promise.

    Args:
        title: of the page, and its first heading.
    """

    def __init__(self, title: str):
        self._title = escape(title)
        self._parts: list[str] = []

    def heading(self, text: str) -> None:
        """Begins a section."""
        self._parts.append(f"<h2>{escape(text)}</h2>")

    def paragraph(self, text: str) -> None:
        """Adds text."""
        self._parts.append(f"<p>{escape(text)}</p>")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> None:
        """Adds a table, the first `words` columns of which are words and the others numbers."""

        def cells(tag: str, row: Sequence[str]) -> str:
            kinds = [' class="word"' if column < words else "" for column in range(len(row))]
            return "".join(f"<{tag}{kind}>{escape(text)}</{tag}>" for kind, text in zip(kinds, row, strict=True))

        body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
        self._parts.append(
            f'<div class="wide"><table><thead><tr>{cells("th", head)}</tr></thead>\n<tbody>{body}</tbody></table></div>'
        )

    def image(self, source: str, description: str) -> None:
        """Adds an image from `png` or `thumbnail`."""
        self._parts.append(f'<p><img src="{source}" alt="{escape(description)}"></p>')

    def gallery(self, images: Sequence[tuple[str, str, str]]) -> None:
        """Adds images side by side: source, what stands under it, and what stands under that in small letters."""
        figures = "\n".join(
            f'<figure><img src="{source}" alt="{escape(below)}"><figcaption>{escape(said)}<br>'
            f"<small>{escape(below)}</small></figcaption></figure>"
            for source, said, below in images
        )
        self._parts.append(f'<div class="gallery">{figures}</div>')

    def html(self) -> str:
        """The page."""
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{self._title}</title><style>{STYLE}</style></head>\n<body><h1>{self._title}</h1>\n"
            + "\n".join(self._parts)
            + "\n</body></html>\n"
        )


def png(contents: bytes) -> str:
    """The contents of a PNG file as the source of an image."""
    return "data:image/png;base64," + base64.b64encode(contents).decode()


def thumbnail(pixels: np.ndarray) -> str:
    """uint8 (height, width, 3) as the source of a small image."""
    from PIL import Image

    image = Image.fromarray(pixels)
    scale = THUMBNAIL / max(image.size)
    # Small images are shown in their own pixels, larger ones smoothly.
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    image = image.resize([max(1, round(side * scale)) for side in image.size], how)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG" if scale <= 1 else "PNG", quality=85)
    kind = "jpeg" if scale <= 1 else "png"
    return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode()
