"""How the reference reads docstrings: examples as code, and names that share a description in one line."""

from __future__ import annotations

import re
from typing import Any

import griffe

# "x, y: text" or "x, y, and errors: text" in a section.
NAMES = re.compile(r"(?<=\n)( +)(\w+(?:, [\w… ]+)+)(?=: )")
# A whole name becomes a link, if it is in the reference.
FULL_NAME = re.compile(r"`(kerascnn\.[\w.]+)`")


class Docstrings(griffe.Extension):
    """Rewrites docstrings before they are parsed."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every object that has been read."""
        if obj.docstring:
            text = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
            # What follows a plain space would be read as a type.
            text = NAMES.sub(lambda found: found[1] + found[2].replace(" ", "\N{NO-BREAK SPACE}"), text)
            obj.docstring.value = FULL_NAME.sub(r'<autoref optional identifier="\1"><code>\1</code></autoref>', text)
