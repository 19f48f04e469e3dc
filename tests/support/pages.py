"""Pages of documentation: their code blocks, run as they are printed.

Command lines run in the test's process, through the `command` fixture. What makes them long (epochs, image sizes) is
replaced visibly in the test; that a process of its own works is tested once per subcommand, in test_cli.py.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]


class Page:
    """A Markdown file of this repository.

    Example:
        page = Page("docs/export.md")
        for line in page.lines():
            run_line(command, line)
        page.run({"model": model})
    """

    def __init__(self, name: str):
        self.path = ROOT / name
        self.text = self.path.read_text(encoding="utf-8")
        self._fences = [token for token in MarkdownIt().parse(self.text) if token.type == "fence"]

    def blocks(self, language: str) -> list[str]:
        """The contents of the blocks of a language, in their order."""
        return [fence.content for fence in self._fences if fence.info == language]

    def lines(self, language: str = "sh") -> list[str]:
        """The lines of all blocks of a language; what a backslash continues is one line."""
        return "".join(self.blocks(language)).replace("\\\n", "").splitlines()

    def run(
        self, names: dict | None = None, *, block: int | None = None, replace: dict[str, str] | None = None
    ) -> dict:
        """Runs the page's Python, or one block of it; returns the names that it defined.

        Args:
            names: what the text around the code says is there.
            block: the number of the one block to run; without it there must be exactly one.
            replace: texts of the code to others that take less time; each must occur.

        An error's traceback names the page and its line.
        """
        fences = [fence for fence in self._fences if fence.info == "python"]
        if block is None:
            [fence] = fences
        else:
            fence = fences[block]
        code = fence.content
        for old, new in (replace or {}).items():
            assert old in code, old
            code = code.replace(old, new)
        names = {} if names is None else names
        # The block's first line is the one after the fence.
        exec(compile("\n" * (fence.map[0] + 1) + code, str(self.path), "exec"), names)
        return names


def arguments_of(line: str) -> list[str]:
    """What follows `kerascnn` on a command line, with file patterns expanded below the current folder."""
    program, *words = shlex.split(line)
    assert program == "kerascnn", line
    # What matches nothing stays as it is, as in a shell.
    return [str(max(Path().glob(word), default=word)) if "*" in word else word for word in words]


def run_line(command, line: str, *more: object, statuses: tuple[int, ...] = (0,)):
    """Runs a line `kerascnn …` in this process by the `command` fixture, with more arguments; returns its outcome."""
    outcome = command(*arguments_of(line), *more)
    assert outcome.status in statuses, f"{line}\n{outcome.err}"
    assert "Traceback" not in outcome.err, f"{line}\n{outcome.err}"
    return outcome
