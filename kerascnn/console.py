"""The consoles of the command line: results go to standard output, progress and messages to standard error."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

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


def output() -> Console:
    """The console for results."""
    return Console()


def messages() -> Console:
    """The console for progress and messages, apart from results, which can then be piped."""
    return Console(stderr=True)


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


def track(items: Iterable, total: int, description: str) -> Iterable:
    """Passes items on and shows a progress bar on a terminal."""
    console = messages()
    if not console.is_terminal:
        return items
    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    return _tracked(Progress(*columns, console=console, transient=True), items, total, description)


def _tracked(progress: Progress, items: Iterable, total: int, description: str) -> Iterator:
    with progress:
        yield from progress.track(items, total, description=description)


class _Rate(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="progress.data.speed")


@contextmanager
def track_bytes(description: str, total: int | None, done: int) -> Iterator[Callable[[int], object]]:
    """Shows the progress of a `ByteTrack`, such as a download, on a terminal."""
    console = messages()
    if not console.is_terminal:
        yield lambda size: None
        return
    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(description, total=total, completed=done)
        yield lambda size: progress.advance(task, size)
