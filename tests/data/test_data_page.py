"""Every row of the table "What you have, and what happens" of docs/data.md, executed.

A case makes what is in a row's first cell and returns what the user is told. Whatever is `code` in the row's second
cell must be in that text, and "refused" is in both or in none. A case may use fixtures. A new row needs a case here,
and a new case a row.
"""

import inspect
import re
from collections.abc import Callable

import pytest

from support.folders import lay_out, said
from support.pages import Page

TITLE = "## What you have, and what happens"
CASES: dict[str, Callable[..., str]] = {}


def row(have: str):
    """Registers the case of the row whose first cell is `have`."""

    def register(case):
        assert have not in CASES, have
        CASES[have] = case
        return case

    return register


def rows() -> dict[str, str]:
    """The second cell of each row, by the first."""
    section = Page("docs/data.md").text.split(TITLE, 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert {len(found) for found in cells} == {2}
    assert len({have for have, _ in cells}) == len(cells)
    return dict(cells)


# Folders and file names.


@row("a folder with one subfolder per class: `cat/1.jpg`, `dog/1.jpg`")
def _(tmp_path):
    return said(lay_out(tmp_path, *(f"{kind}/{n}.jpg" for kind in ("cat", "dog") for n in range(3))))


# The table of rows and cases.


def test_every_row_has_a_case_and_every_case_a_row():
    assert rows().keys() == CASES.keys()


@pytest.mark.parametrize("have", CASES)
def test_what_happens(have, request):
    happens, case = rows()[have], CASES[have]
    told = case(**{name: request.getfixturevalue(name) for name in inspect.signature(case).parameters})
    missing = [text for text in re.findall(r"`([^`]+)`", happens) if text not in told]
    assert not missing, f"{told}\nlacks {missing}"
    assert "`" in happens
    assert ("refused" in happens) == ("refused: " in told), told
