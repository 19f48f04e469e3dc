"""Nested lists as GitHub reads them: what belongs to an item is indented as far as the item's text.

Python-Markdown wants four spaces for each level, whatever the width of the item's marker.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

MARKER = re.compile(r"([-*+]|\d+\.) +")
FENCE = re.compile("```+|~~~+")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Indents what belongs to items by four spaces a level."""
    return "\n".join(_indented(markdown.split("\n")))


def _indented(lines: list[str]) -> list[str]:
    found: list[str] = []
    columns = [0]  # where the text of the items begins that a line is inside of
    fence = ""
    for line in lines:
        text = line.lstrip(" ")
        column = len(line) - len(text)
        while text and not fence and column < columns[-1]:
            columns.pop()
        inside = column - columns[-1]
        found.append(" " * (4 * (len(columns) - 1) + max(inside, 0)) + text if text else "")
        if fence:
            fence = "" if text.startswith(fence) else fence
        elif opened := FENCE.match(text):
            fence = opened[0]
        elif inside < 4 and (marker := MARKER.match(text)):
            columns.append(column + len(marker[0]))
    return found
