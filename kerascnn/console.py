"""The consoles: results go to standard output, progress and messages to standard error, in notebooks to the cell."""

from __future__ import annotations

import html
import io
import os
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column, Table
from rich.text import Text

from kerascnn.shown_text import for_terminal, literal

# Narrow, so that tables fit a terminal, and easy to paste.
BOX = SIMPLE_HEAD

# Longer words of a text may go on in the next line.
LEAST_TEXT = 14

# Between two changes of a notebook's progress bar.
SECONDS_BETWEEN_UPDATES = 0.5


def in_notebook() -> bool:
    """Whether this process runs the cells of a notebook, such as Jupyter's or Colab's."""
    return Console().is_jupyter


def output(file: TextIO | None = None) -> Console:
    """The console for results, which go to standard output or to a file."""
    return _console(stderr=False, file=file)


def messages() -> Console:
    """The console for progress and messages, apart from results, which can then be piped.

    Notebooks show standard error as a fault, so there messages go to standard output.
    """
    return _console(stderr=not in_notebook())


def as_text(table: Table) -> str:
    """The lines of a table, for the text form of an object."""
    text = io.StringIO()
    Console(file=text, width=120, force_jupyter=False, force_terminal=False).print(table)
    return "\n".join(map(str.rstrip, text.getvalue().splitlines())).strip("\n")


class _Console(Console):
    """A console that raises BrokenPipeError where the reader of a pipe has ended, as `print` does."""

    def on_broken_pipe(self) -> NoReturn:
        """Rich ends the program here, with status 1."""
        raise BrokenPipeError


def _console(stderr: bool, file: TextIO | None = None) -> Console:
    """A console that is plain text in notebooks: rich would make HTML, or escape codes, of every line.

    The same holds for commands that a cell starts, which know it by a variable of the kernel.
    """
    plain = in_notebook() or "JPY_PARENT_PID" in os.environ
    return _Console(file=file, stderr=stderr, force_jupyter=False, force_terminal=False if plain else None)


def print_text(console: Console, *lines: str) -> None:
    """Prints lines literally, without markup or line breaks."""
    for line in lines:
        console.print(for_terminal(line), highlight=False, markup=False, emoji=False, soft_wrap=True)


class FittingTable(Table):
    """A table that, where it is wider than the terminal, stacks the words of headers, then leaves out columns.

    Numbers are never cut. `optional` are the headers of the columns that may be left out, the first to go first.
    """

    def __init__(self, *headers: str, optional: Sequence[str] = (), **options: Any):
        super().__init__(*headers, **options)
        self.optional, self.options = optional, options

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        def too_wide() -> bool:
            measured = Measurement.get(console, options.update(width=1000), self._of(columns, stacked, narrowest=True))
            return measured.minimum > options.max_width

        columns, stacked = list(self.columns), False
        stacked = too_wide()
        for header in self.optional:
            if too_wide():
                columns = [column for column in columns if column.header != header]
        yield self._of(columns, stacked)

    def _of(self, columns: Sequence[Column], stacked: bool, narrowest: bool = False) -> Table:
        """A table of some columns; the `narrowest` is as wide as it must be, with texts broken and numbers whole."""

        def shown(text: str, whole: bool) -> str:
            if not narrowest:
                return text
            return text.replace(" ", "_") if whole else " ".join(word[:LEAST_TEXT] for word in text.split(" "))

        made = Table(**self.options)
        # As `Text`, because rich would obey markup and emoji codes in names.
        for place in ("title", "caption"):
            if text := getattr(self, place):
                setattr(made, place, Text(for_terminal(str(text)), style=f"table.{place}"))
        texts = []
        for column in columns:
            header, *cells = (literal(str(text)) for text in (column.header, *column.cells))
            if stacked and column.no_wrap:
                width = max(map(len, (*cells, *header.split())), default=1)
                header = textwrap.fill(header, width, break_on_hyphens=False)
            header, *cells = (shown(text, column.no_wrap) for text in (header, *cells))
            made.add_column(Text(header), justify=column.justify, no_wrap=column.no_wrap, overflow=column.overflow)
            texts.append(map(Text, cells))
        for row, *cells in zip(self.rows, *texts, strict=True):
            made.add_row(*cells, end_section=row.end_section)
        return made


def table(
    *columns: str,
    text_columns: int = 1,
    padding: tuple[int, ...] = (0, 1, 0, 0),
    optional: Sequence[str] = (),
    **options: Any,
) -> Table:
    """A table whose first columns are text and whose others are numbers; see `FittingTable` for `optional`."""
    made = FittingTable(*columns, optional=optional, box=BOX, padding=padding, caption_justify="left", **options)
    for number, column in enumerate(made.columns):
        # Long words of texts go on in the next line.
        column.overflow = "fold" if number < text_columns else "ellipsis"
        column.justify, column.no_wrap = ("left", False) if number < text_columns else ("right", True)
    return made


def progress_bar(console: Console, *columns: ProgressColumn, **options: Any) -> Progress:
    """A progress bar that is gone when it stops; `disable`d where there is neither a terminal nor a notebook."""
    if in_notebook():
        return NotebookProgress(*columns, console=console, auto_refresh=False)
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True, **options)


class NotebookProgress(Progress):
    """A progress bar in the output of a notebook's cell: HTML that changes in place and is empty in the end."""

    def start(self) -> None:
        from IPython.display import HTML, display

        self._html, self._changed = HTML, 0.0
        self._shown = display(HTML(""), display_id=True)

    def refresh(self) -> None:
        now = time.monotonic()
        if now - self._changed >= SECONDS_BETWEEN_UPDATES:
            self._changed = now
            self._shown.update(self._html("<br>".join(map(self._line, self.tasks))))

    def _line(self, task: Task) -> str:
        bar = f'<progress value="{task.completed}" max="{task.total}"></progress>' if task.total else "<progress/>"
        shown = (bar if isinstance(one, BarColumn) else html.escape(str(one(task))) for one in self.columns)
        return f"<code>{' '.join(shown)}</code>"

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self.refresh()

    def stop(self) -> None:
        self._shown.update(self._html(""))


def track(items: Iterable, total: int, description: str) -> Iterable:
    """Passes items on and shows a progress bar on a terminal or in a notebook."""
    text = TextColumn("{task.description}", markup=False)
    progress = progress_bar(messages(), text, BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    return items if progress.disable else _tracked(progress, items, total, description)


def _tracked(progress: Progress, items: Iterable, total: int, description: str) -> Iterator:
    with progress:
        yield from progress.track(items, total, description=description)


class _Rate(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="progress.data.speed")


@contextmanager
def track_bytes(description: str, total: int | None, done: int) -> Iterator[Callable[[int], object]]:
    """Shows the progress of a `ByteTrack`, such as a download, on a terminal or in a notebook."""
    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with progress_bar(messages(), *columns) as progress:
        task = progress.add_task(description, total=total, completed=done)
        yield lambda size: progress.advance(task, size)
