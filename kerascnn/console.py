"""What the command line shows: tables on standard output, progress and messages on standard error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import track as rich_track
from rich.table import Table

if TYPE_CHECKING:
    from kerascnn.applications.registry import Entry
    from kerascnn.evaluation import Scores
    from kerascnn.export import Export
    from kerascnn.training import Recipe

# Narrow enough for a table to fit a terminal, and plain enough to paste.
BOX = SIMPLE_HEAD


def output() -> Console:
    """Where results go."""
    return Console()


def messages() -> Console:
    """Where progress and remarks go, so that results can be piped on."""
    return Console(stderr=True)


def track(items: Iterable, total: int, description: str) -> Iterable:
    """Passes items on behind a progress bar; without a terminal, silently."""
    console = messages()
    if not console.is_terminal:
        return items
    return rich_track(items, description, total=total, console=console, transient=True)


@contextmanager
def track_bytes(description: str, total: int | None, done: int) -> Iterator[Callable[[int], object]]:
    """Shows the bytes of a download, or of anything that a `ByteTrack` follows; without a terminal, nothing."""
    console = messages()
    if not console.is_terminal:
        yield lambda size: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(description, total=total, completed=done)
        yield lambda size: progress.advance(task, size)


def models_table(registry: dict[str, Entry]) -> Table:
    """The networks and what their papers say of them."""
    table = Table("model", "paper", "input", "parameters", "top-1 error", "top-5 error", "measured with", box=BOX)
    table.columns[0].no_wrap = True
    for column in table.columns[2:6]:
        column.justify = "right"
    for name, entry in registry.items():
        error = entry.errors[0] if entry.errors else None
        table.add_row(
            name,
            f"{entry.paper.partition(',')[0]} {entry.year}",
            f"{entry.input_size}",
            _or_dash(entry.published_parameters, "M"),
            _or_dash(error and error.top1, " %"),
            _or_dash(error and error.top5, " %"),
            f"{entry.data}{', ' if error and error.protocol else ''}{error.protocol}" if error else "",
        )
    return table


def recipes_table(recipes: dict[str, Recipe]) -> Table:
    """The recipes, what they are for, and their first numbers."""
    table = Table("recipe", "for", "source", "length", "batch", "learning rate", box=BOX)
    table.columns[1].overflow = "fold"
    table.columns[0].no_wrap = True
    for column in table.columns[3:5]:
        column.justify = "right"
    kind = None
    for name, recipe in recipes.items():
        if kind not in (None, recipe.about.kind):
            table.add_section()
        kind = recipe.about.kind
        table.add_row(
            name,
            networks_in_words(recipe.about.networks),
            source_in_words(recipe),
            length_in_words(recipe),
            str(recipe.batch_size),
            f"{recipe.optimizer.learning_rate:g} {recipe.schedule.name}",
        )
    return table


def networks_in_words(names: list[str]) -> str:
    """Names that differ in their number only are put together.

    Example:
        >>> networks_in_words(["resnet18", "resnet34", "zfnet"])
        'resnet18/34, zfnet'
    """
    words: list[str] = []
    for name in names:
        stem = name.rstrip("0123456789c")
        number = name.removeprefix(stem)
        if number and words and re.split(r"\d", words[-1])[0] == stem:
            words[-1] += f"/{number}"
        else:
            words.append(name)
    return ", ".join(words)


def source_in_words(recipe: Recipe) -> str:
    """The authors and the year of the paper; for recipes of our own, what they are for."""
    if not recipe.about.paper:
        return "few pictures"
    authors = recipe.about.paper.split(",")[0]
    year = re.search(r", (\d{4})", recipe.about.paper)
    return f"{authors} {year[1]}" if year else authors


def length_in_words(recipe: Recipe) -> str:
    """In the recipe's own unit."""
    return f"{recipe.iterations:,} steps" if recipe.iterations else f"{recipe.epochs} epochs"


def schedule_in_words(recipe: Recipe) -> str:
    """What becomes of the learning rate."""
    schedule = recipe.schedule
    shape = {
        "cosine": "cosine to 0",
        "constant": "constant",
        "steps": f"x {schedule.factor:g} at {' and '.join(f'{place:g}' for place in schedule.at)} {schedule.unit}",
        "exponential": f"x {schedule.factor:g} every {schedule.every:.3g} {schedule.unit}",
        "plateau": f"x {schedule.factor:g} on a plateau, {schedule.most} times at most",
    }[schedule.name]
    if schedule.warmup_steps:
        return f"{shape}, after {schedule.warmup_steps} steps of warm-up"
    if schedule.warmup_epochs:
        return f"{shape}, after {schedule.warmup_epochs:g} epoch{'s' * (schedule.warmup_epochs != 1)} of warm-up"
    return shape


def learning_rate_in_words(recipe: Recipe) -> str:
    """The learning rate that runs, and the rule that it comes from."""
    rate, per = recipe.optimizer.learning_rate, recipe.optimizer.learning_rate_per
    start = f"learning rate {recipe.peak_learning_rate:g}"
    rule = f" = {rate:g} x {recipe.batch_size} / {per}, the batch by the recipe's" if per else ""
    return f"{start}{rule}; {schedule_in_words(recipe)}"


def _or_dash(figure: float | None, unit: str) -> str:
    return "–" if figure is None else f"{figure:g}{unit}"


def verification_table(exported: Export) -> None:
    """Prints the measurements of an export, what they were held against, and where it lies."""
    console = output()
    table = Table("", "top-1", "agree", "max |Δ|", "mean |Δ|", "size", "ms", "1 core", box=BOX, padding=(0, 1, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    rows = exported.verification.rows
    for row in rows:
        table.add_row(
            row.form,
            f"{row.accuracy:.2%}",
            f"{row.agreeing}/{row.pictures}",
            f"{row.largest_difference:.1e}",
            f"{row.mean_difference:.1e}",
            "–" if row.bytes is None else f"{row.bytes / 1e6:.2f} MB",
            f"{row.milliseconds:.2f}",
            "–" if row.milliseconds_one_thread is None else f"{row.milliseconds_one_thread:.2f}",
        )
    console.print(table)
    tolerance = exported.verification.tolerance
    lines = [
        f"top-1 accuracy on all {rows[0].pictures} validation pictures, how many predictions agree with the trained "
        f"model's,\nlargest difference of a probability from the network in float32 "
        f"(tolerated: {tolerance.probability:g}; from it as trained, on average, {tolerance.rounding:g}),\n"
        "mean difference from it as trained, median milliseconds a picture on all processor cores and on one"
    ]
    for row in rows:
        if row.operations:
            lines.append(f"{row.form} uses " + ", ".join(f"{name} {count}" for name, count in row.operations.items()))
        if row.in_float:
            lines.append(f"left in float32: {', '.join(row.in_float)}")
        if row.quantization != "none":
            allowed = tolerance.pictures_changed(row.quantization, row.pictures)
            lines.append(f"predictions that {row.form} changes: {row.changed} (tolerated: {allowed})")
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if exported.folder:
        console.print(f"exported to {exported.folder}", highlight=False, markup=False, soft_wrap=True)


def scores_table(scores: Scores, title: str) -> Table:
    """Errors, over all classes and for each."""
    table = Table("class", "pictures", "top-1 error", title=title, box=BOX)
    table.columns[1].justify = table.columns[2].justify = "right"
    confusion = scores.confusion()
    for index, name in enumerate(scores.class_names):
        count = int(confusion[index].sum())
        error = f"{1 - confusion[index, index] / count:.2%}" if count else "–"
        table.add_row(name, str(count), error)
    table.add_section()
    table.add_row("all", str(len(scores.labels)), f"{1 - scores.accuracy():.2%}")
    if len(scores.class_names) > 5:
        table.add_row("all, top-5", str(len(scores.labels)), f"{1 - scores.accuracy(5):.2%}")
    return table


def prediction_table(predictions: list[dict[str, Any]]) -> Table:
    """The most probable classes of each picture."""
    table = Table("image", "label", "probability", box=BOX)
    table.columns[2].justify = "right"
    for prediction in predictions:
        table.add_section()
        for number, item in enumerate(prediction["top"]):
            image = prediction["image"] if number == 0 else ""
            table.add_row(image, item["label"], f"{item['probability']:.2%}")
    return table
